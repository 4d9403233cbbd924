//! Statements of this program's own, and the rows that they answer.
//!
//! Names of a build stand in a statement with an `@` behind them (`:Entity@`), which becomes the build's mark.
//! **Never:** a value in the text: each is a parameter.

use data_encoding::HEXLOWER;
use neo4rs::{BoltInteger, BoltList, BoltMap, BoltNull, BoltString, BoltType, Query};

use crate::Value;
use crate::error::Cause;
use crate::row::ValueRef;

/// A statement and its parameters.
#[derive(Debug, Clone)]
pub(crate) struct Cypher {
    text: String,
    parameters: BoltMap,
}

impl Cypher {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            parameters: BoltMap::default(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<BoltType>) -> Self {
        self.parameters.put(name.into(), value.into());
        self
    }

    /// A list of values as one parameter.
    pub(crate) fn with_all(self, name: &'static str, values: Vec<BoltType>) -> Self {
        self.with(name, BoltType::List(BoltList { value: values }))
    }

    /// The statement for a build.
    pub(super) fn of(self, mark: &str) -> Query {
        Query::new(self.text.replace('@', mark)).with_params(self.parameters)
    }
}

/// Ids and hashes lie as hexadecimal text: that is indexed, and in the order of the bytes.
impl From<&Value> for BoltType {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null(BoltNull),
            Value::Integer(integer) => Self::Integer(BoltInteger::new(*integer)),
            Value::Text(text) => Self::String(BoltString::new(text)),
            Value::Id(id) => Self::String(HEXLOWER.encode(id).into()),
            Value::Blob(bytes) => Self::String(HEXLOWER.encode(bytes).into()),
        }
    }
}

/// One column of an answer.
#[derive(Debug)]
enum Cell {
    Null,
    Integer(i64),
    Text(String),
}

/// One row of an answer: its columns by name.
#[derive(Debug)]
pub(crate) struct Record(Vec<(String, Cell)>);

impl Record {
    pub(super) fn of(row: &neo4rs::Row) -> Result<Self, Cause> {
        let columns = row.keys().into_iter().map(|name| {
            let value = row.get::<BoltType>(&name.value).map_err(Cause::value)?;
            Ok((name.value.clone(), Cell::of(value)?))
        });
        columns.collect::<Result<_, Cause>>().map(Self)
    }

    pub(crate) fn columns(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    pub(crate) fn named(&self, wanted: &str) -> Option<ValueRef<'_>> {
        let column = self.0.iter().find(|(name, _)| name == wanted);
        column.map(|(_, cell)| cell.as_ref())
    }

    pub(crate) fn at(&self, index: usize) -> Option<ValueRef<'_>> {
        self.0.get(index).map(|(_, cell)| cell.as_ref())
    }
}

impl Cell {
    fn of(value: BoltType) -> Result<Self, Cause> {
        Ok(match value {
            BoltType::Null(_) => Self::Null,
            BoltType::Integer(integer) => Self::Integer(integer.value),
            BoltType::Boolean(truth) => Self::Integer(truth.value.into()),
            BoltType::String(text) => Self::Text(text.value),
            // Lists of names are read as SQLite's are, from JSON.
            BoltType::List(list) => {
                let names = list.value.iter().map(ToString::to_string);
                Self::Text(serde_json::Value::from_iter(names).to_string())
            }
            _ => {
                return Err(Cause::Shape {
                    wanted: "an integer, text or a list",
                    found: "another thing",
                });
            }
        })
    }

    fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Text(text) => ValueRef::Text(text),
        }
    }
}
