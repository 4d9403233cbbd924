//! What part of the graph is asked for, and where the next page of a list begins.

use std::fmt;
use std::str::FromStr;

use mirage_domain::entity::Kind;
use mirage_domain::id::{EntityId, Position, ScanId};
use mirage_domain::relation::{Direction, Relation};
use serde::Serialize;

use super::neighbors::Neighbor;
use crate::Error;
use crate::page::same_moment;

/// Which claims and neighbours count; the default is all of the workspace. An empty list asks for nothing in
/// particular.
#[derive(Debug, Clone, Default)]
pub struct Among {
    pub scan: Option<ScanId>,
    pub relations: Vec<Relation>,
    /// Of the neighbour.
    pub kinds: Vec<Kind>,
}

/// Where the next page begins, opaque to those who hand it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    at: Position,
    pub(super) entity: EntityId,
    pub(super) relation: Relation,
    pub(super) direction: Direction,
}

impl After {
    pub(super) fn of(at: Position, last: &Neighbor) -> Self {
        Self {
            at,
            entity: last.name.entity_id,
            relation: last.relation,
            direction: last.direction,
        }
    }

    /// The position as of which the list was begun, and is to be continued.
    pub fn position(self) -> Position {
        self.at
    }

    /// The mark, if it belongs to a list of this position.
    pub(super) fn checked(self, at: Position) -> Result<Self, Error> {
        same_moment(self.at, at)?;
        Ok(self)
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (relation, direction) = (self.relation, self.direction.as_str());
        write!(f, "{:x}.{}.{relation}.{direction}", self.at.0, self.entity)
    }
}

impl FromStr for After {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let parts: Vec<&str> = text.split('.').collect();
            let [at, entity, relation, direction] = parts[..] else {
                return None;
            };
            Some(Self {
                at: Position(u64::from_str_radix(at, 16).ok()?),
                entity: entity.parse().ok()?,
                relation: relation.parse().ok()?,
                direction: [Direction::Out, Direction::In]
                    .into_iter()
                    .find(|known| known.as_str() == direction)?,
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

/// Which part of the neighbours is wanted.
pub type Page = crate::Page<After>;

/// One page of neighbours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expanded {
    pub rows: Vec<Neighbor>,
    /// As of which the list was made.
    pub at: Position,
    /// None on the last page.
    pub next: Option<After>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_reads_back_and_holds_only_at_its_position() {
        let after = After {
            at: Position(300),
            entity: EntityId([7; 16]),
            relation: Relation::ResolvesTo,
            direction: Direction::In,
        };
        assert_eq!(after.to_string().parse::<After>().unwrap(), after);
        assert_eq!(after.checked(Position(300)).unwrap(), after);
        assert!(matches!(
            after.checked(Position(301)),
            Err(Error::OtherPosition { .. })
        ));
        for wrong in ["", "12", "1.2.3.4", "12c.07.resolves-to.in"] {
            assert!(wrong.parse::<After>().is_err(), "{wrong}");
        }
    }
}
