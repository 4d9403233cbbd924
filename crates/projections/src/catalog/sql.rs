//! Statements put together from fragments of this program's own; every value is bound.

use mirage_domain::id::{EntityId, FindingId, ScanId, TaskId};

use crate::Value;

/// A statement with `?` for each value, in order.
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) values: Vec<Value>,
}

impl Sql {
    pub(crate) fn new<const N: usize>(text: &'static str, values: [Value; N]) -> Self {
        Self {
            text: text.to_owned(),
            values: values.into(),
        }
    }

    pub(crate) fn and<const N: usize>(mut self, text: &'static str, values: [Value; N]) -> Self {
        self.text.push(' ');
        self.text.push_str(text);
        self.values.extend(values);
        self
    }

    /// A further condition, if there is a value for it.
    pub(crate) fn maybe(self, text: &'static str, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.and(text, [value]),
            None => self,
        }
    }

    /// `text` and a list of values in brackets; no values, no condition.
    pub(crate) fn one_of(
        mut self,
        text: &'static str,
        values: impl Iterator<Item = Value>,
    ) -> Self {
        let before = self.values.len();
        self.values.extend(values);
        let count = self.values.len() - before;
        if count > 0 {
            let marks = vec!["?"; count].join(", ");
            self.text.push_str(&format!(" {text} ({marks})"));
        }
        self
    }
}

macro_rules! bound {
    ($($id:ty),+) => {
        $(impl From<&$id> for Value {
            fn from(id: &$id) -> Self {
                id.as_str().to_owned().into()
            }
        })+
    };
}
bound!(ScanId, TaskId);

impl From<EntityId> for Value {
    fn from(id: EntityId) -> Self {
        Self::Id(id.0)
    }
}
impl From<FindingId> for Value {
    fn from(id: FindingId) -> Self {
        Self::Id(id.0)
    }
}
