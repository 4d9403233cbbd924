//! Parameters of a request, known ones only, and the cursors that continue a list.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use mirage_domain::id::Digest;
use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::catalog::{self, Listed};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::answer::Page;
use super::moment::{At, Moment};
use crate::error::Problem;
use crate::rest::answer::Refusal;

/// Rows of a page where nothing else is said.
const ROWS: u32 = 100;

/// Declares the parameters of a read: its own, and those that every read has.
macro_rules! read_query {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident : $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(crate) struct $name {
            $($(#[$field_doc])* $field: $type,)*
            /// As of this position, or of this time in RFC 3339.
            #[serde(default)]
            #[param(value_type = Option<String>, pattern = "^([0-9]{1,18}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,}(Z|[+-][0-9]{2}:[0-9]{2}))$")]
            at: Option<$crate::rest::moment::At>,
            /// Waits until the views hold the commit at this position, a few seconds at most.
            #[serde(default)]
            #[param(value_type = Option<u64>, minimum = 0)]
            min_position: Option<mirage_domain::id::Position>,
        }
        impl $name {
            fn moment(&self) -> $crate::rest::moment::Moment {
                let (at, min_position) = (self.at, self.min_position);
                $crate::rest::moment::Moment { at, min_position }
            }
        }
    };
}
pub(crate) use read_query;

/// Declares the parameters of a list: as [`read_query!`], and the page.
macro_rules! list_query {
    ($(#[$doc:meta])* $name:ident { $($fields:tt)* }) => {
        $crate::rest::query::read_query! {
            $(#[$doc])* $name {
                $($fields)*
                /// Where the page before ended: its `next_cursor`. The rest of the query is to be the same.
                #[serde(default)]
                cursor: Option<String>,
                /// At most so many items.
                #[serde(default)]
                #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
                limit: Option<$crate::rest::query::Limit>,
            }
        }
        impl $name {
            /// The mark to go on from, if any, the moment of its list, and the most rows.
            fn page<M: $crate::rest::query::Mark>(&self, list: &$crate::rest::query::List)
                -> Result<(Option<M>, $crate::rest::moment::Moment, u32), $crate::error::Problem>
            {
                list.page(self.cursor.as_deref(), self.limit, self.moment())
            }
        }
    };
}
pub(crate) use list_query;

/// 1 to [`PAGE_ROWS_MAX`].
#[derive(Debug, Clone, Copy)]
pub struct Limit(u32);

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = u32::deserialize(deserializer)?;
        limit.try_into().map_err(serde::de::Error::custom)
    }
}

impl TryFrom<u32> for Limit {
    type Error = String;
    fn try_from(limit: u32) -> Result<Self, String> {
        match limit {
            1..=PAGE_ROWS_MAX => Ok(Self(limit)),
            _ => Err(format!("1 to {PAGE_ROWS_MAX}")),
        }
    }
}

/// A list as it was asked for: cursors of another one do not continue it.
pub struct List {
    /// Hash of path and query without cursor and limit.
    question: [u8; 4],
}

/// A view's own mark of where a page ended.
pub trait Mark: FromStr<Err = mirage_projections::Error> + Display {
    /// As of which its list was begun.
    fn position(&self) -> mirage_domain::id::Position;
}

macro_rules! marks {
    ($($mark:ty),+) => {
        $(impl Mark for $mark {
            fn position(&self) -> mirage_domain::id::Position {
                <$mark>::position(*self)
            }
        })+
    };
}
marks!(
    mirage_projections::catalog::After,
    mirage_projections::graph::After,
    mirage_projections::search::After
);

impl List {
    /// The list that a question asks for.
    pub fn of(question: &[u8]) -> Self {
        let [a, b, c, d, ..] = Digest::of(question).0;
        Self {
            question: [a, b, c, d],
        }
    }

    pub fn page<M: Mark>(
        &self,
        cursor: Option<&str>,
        limit: Option<Limit>,
        mut moment: Moment,
    ) -> Result<(Option<M>, Moment, u32), Problem> {
        let rows = limit.map_or(ROWS, |limit| limit.0);
        let Some(cursor) = cursor else {
            return Ok((None, moment, rows));
        };
        let wrong = || Problem::new("bad_cursor", "it is not of this list");
        let (mark, question) = cursor.rsplit_once('~').ok_or_else(wrong)?;
        if question != self.question() {
            return Err(wrong());
        }
        let mark: M = mark.parse().map_err(|_| wrong())?;
        // The pages of a list are of one moment.
        moment.at = Some(At::Position(mark.position()));
        Ok((Some(mark), moment, rows))
    }

    /// The cursor behind which the list goes on.
    pub fn cursor(&self, next: Option<impl Mark>) -> Option<String> {
        next.map(|mark| format!("{mark}~{}", self.question()))
    }

    /// The answer to a page of rows that stand as they are told.
    pub fn page_of<R, T: From<R>>(&self, listed: Listed<R>) -> Page<T> {
        Page {
            items: listed.rows.into_iter().map(T::from).collect(),
            as_of: listed.at,
            next_cursor: self.cursor(listed.next),
        }
    }

    fn question(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.question)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for List {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        let of_page = |pair: &&str| pair.starts_with("cursor=") || pair.starts_with("limit=");
        let mut pairs: Vec<&str> = query.split('&').filter(|pair| !of_page(pair)).collect();
        pairs.sort_unstable();
        let text = format!("{}?{}", parts.uri.path(), pairs.join("&"));
        Ok(Self::of(text.as_bytes()))
    }
}

/// The rows of a list of the catalog, oldest first.
pub fn rows(after: Option<catalog::After>, limit: u32) -> catalog::Page {
    catalog::Page {
        after,
        ..catalog::Page::first(limit)
    }
}

/// No parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// The query of a request, every parameter of it known.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        let read = serde_urlencoded::from_str(query);
        read.map(Self)
            .map_err(|error| Problem::new("bad_query", error).into())
    }
}

/// Words between commas, each of which can be read.
pub fn words<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: FromStr<Err: Display>,
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    let words = text.split(',').filter(|word| !word.is_empty());
    words
        .map(|word| word.parse().map_err(serde::de::Error::custom))
        .collect()
}
