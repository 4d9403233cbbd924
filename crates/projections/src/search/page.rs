//! Pages of hits: an opaque mark, bound to the question and to the position of the first page.

use std::fmt;
use std::str::FromStr;

use mirage_domain::id::{Digest, Position};
use serde::Serialize;

use super::reader::Hit;
use crate::Error;
use crate::page::same_moment;

/// Where the next page begins, opaque to those who hand it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    at: Position,
    /// Packed cursor of the last claim that was looked at.
    cursor: i64,
    /// Beginning of a hash of the question.
    question: u32,
}

impl After {
    pub(super) fn new(at: Position, cursor: i64, question: &str) -> Self {
        let [a, b, c, d, ..] = Digest::of(question.as_bytes()).0;
        Self {
            at,
            cursor,
            question: u32::from_be_bytes([a, b, c, d]),
        }
    }

    /// The position as of which the search was begun, and is to be continued.
    pub fn position(self) -> Position {
        self.at
    }

    /// The cursor before which to go on, if it is the same search.
    pub(super) fn checked(self, at: Position, question: &str) -> Result<i64, Error> {
        same_moment(self.at, at)?;
        match self == Self::new(at, self.cursor, question) {
            true => Ok(self.cursor),
            false => Err(Error::OtherQuery),
        }
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}-{:x}", self.at.0, self.cursor, self.question)
    }
}

impl FromStr for After {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let mut parts = text.splitn(3, '-');
            Some(Self {
                at: Position(u64::from_str_radix(parts.next()?, 16).ok()?),
                cursor: i64::from_str_radix(parts.next()?, 16)
                    .ok()
                    .filter(|cursor| *cursor > 0)?,
                question: u32::from_str_radix(parts.next()?, 16).ok()?,
            })
        };
        parse().ok_or_else(|| Error::After(text.to_owned()))
    }
}

impl Serialize for After {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which part of the hits is wanted.
pub type Page = crate::Page<After>;

/// One page of hits. It may hold fewer than asked for and yet go on: looking on would have taken too long.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    pub hits: Vec<Hit>,
    /// Best first: the page holds all hits. Otherwise newest first.
    pub is_ranked: bool,
    /// As of which the search was made.
    pub at: Position,
    /// None on the last page.
    pub next: Option<After>,
}
