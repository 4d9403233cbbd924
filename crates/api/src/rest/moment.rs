//! Which moment a read is made of: `at` and `min_position`.

use std::fmt;

use jiff::Timestamp;
use mirage_domain::id::Position;
use serde::{Deserialize, Deserializer};

/// A position, or a time in RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Position(Position),
    Time(Timestamp),
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Ok(position) = text.parse() {
            return Ok(Self::Position(Position(position)));
        }
        let wrong = || serde::de::Error::custom("write a position, or a time in RFC 3339");
        text.parse().map(Self::Time).map_err(|_| wrong())
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position(position) => position.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

/// Which moment a read is made of; the default is now.
#[derive(Debug, Clone, Default)]
pub struct Moment {
    pub at: Option<At>,
    pub min_position: Option<Position>,
}

impl Moment {
    /// The position that the views must have reached: a time has no position before they are asked.
    pub fn least(&self) -> Position {
        let at = match self.at {
            Some(At::Position(at)) => at,
            Some(At::Time(_)) | None => Position(0),
        };
        at.max(self.min_position.unwrap_or_default())
    }
}
