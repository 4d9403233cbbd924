//! Filters of Meilisearch as a tree, and the one place where they become text.
//!
//! **Invariant:** a value stands between quotes, and nothing in it ends them.
//! **Never:** a filter put together from strings.

use std::fmt;

/// A condition on documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Of none: everything.
    All(Vec<Filter>),
    /// Never of none: what matches nothing need not be asked.
    Any(Vec<Filter>),
    /// Meilisearch folds both sides, so what comes may be looked at again.
    Is(&'static str, String),
    /// Never of none.
    Among(&'static str, Vec<String>),
    Begins(&'static str, String),
    AtMost(&'static str, i64),
    AtLeast(&'static str, i64),
}

impl Filter {
    pub(crate) fn is(attribute: &'static str, value: impl Into<String>) -> Self {
        Self::Is(attribute, value.into())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(filters) => joined(f, filters, " AND "),
            Self::Any(filters) => joined(f, filters, " OR "),
            Self::Is(attribute, value) => write!(f, "{attribute} = {}", Quoted(value)),
            Self::Among(attribute, values) => {
                write!(f, "{attribute} IN [")?;
                for (index, value) in values.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", Quoted(value))?;
                }
                write!(f, "]")
            }
            Self::Begins(attribute, value) => {
                write!(f, "{attribute} STARTS WITH {}", Quoted(value))
            }
            Self::AtMost(attribute, value) => write!(f, "{attribute} <= {value}"),
            Self::AtLeast(attribute, value) => write!(f, "{attribute} >= {value}"),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, filters: &[Filter], between: &str) -> fmt::Result {
    write!(f, "(")?;
    for (index, filter) in filters.iter().enumerate() {
        let between = if index == 0 { "" } else { between };
        write!(f, "{between}{filter}")?;
    }
    write!(f, ")")
}

/// A value between quotes: a backslash and a quote lose their meaning by a backslash.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'")?;
        for c in self.0.chars() {
            match c {
                '\\' | '\'' => write!(f, "\\{c}")?,
                c => write!(f, "{c}")?,
            }
        }
        write!(f, "'")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::standin::filter::parse;
    use super::*;

    fn filters() -> impl Strategy<Value = Filter> {
        let value = || "(\\PC|['\"\\\\\\]\\[(),=\n]|AND|OR| ){0,8}";
        let leaf = prop_oneof![
            value().prop_map(|value| Filter::is("kind", value)),
            value().prop_map(|value| Filter::Begins("terms", value)),
            prop::collection::vec(value(), 1..4).prop_map(|values| Filter::Among("scan", values)),
            (0..i64::MAX).prop_map(|value| Filter::AtMost("cursor", value)),
            (0..i64::MAX).prop_map(|value| Filter::AtLeast("cursor", value)),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::All),
                prop::collection::vec(inner, 2..4).prop_map(Filter::Any),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_value_leaves_its_quotes(filter in filters()) {
            let text = filter.to_string();
            prop_assert_eq!(parse(&text), Ok(filter), "{}", text);
        }
    }

    #[test]
    fn a_filter_reads_as_the_server_wants_it() {
        let filter = Filter::All(vec![
            Filter::is("workspace", "default"),
            Filter::AtMost("cursor", 7),
            Filter::Any(vec![
                Filter::is("terms", "o'\\"),
                Filter::Begins("terms", "w".into()),
            ]),
            Filter::Among("kind", vec!["ip".into(), "domain".into()]),
        ]);
        let text = r"(workspace = 'default' AND cursor <= 7 AND (terms = 'o\'\\' OR terms STARTS WITH 'w') AND kind IN ['ip', 'domain'])";
        assert_eq!(filter.to_string(), text);
    }
}
