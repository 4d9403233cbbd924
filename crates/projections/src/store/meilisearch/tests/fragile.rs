//! A search view that sets streams aside.

use mirage_domain::id::Cursor;
use mirage_log::Recorded;

use crate::search::Search;
use crate::{Error, Operations, Projection, Registered, registered};

/// The search view, which some commits are too much for.
pub(super) struct Fragile;

impl Projection for Fragile {
    const NAME: &'static str = Search::NAME;
    const VERSION: u32 = Search::VERSION;
    const SCHEMA: &'static str = Search::SCHEMA;
    const SETTLE: &'static str = Search::SETTLE;

    fn apply(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error> {
        let cursor = Cursor {
            position: recorded.position,
            index: 1,
        };
        match recorded.position.0 % 31 {
            0 => Err(Error::unfit(cursor, "a commit of tests")),
            _ => Search::apply(recorded, operations),
        }
    }
}

pub(super) static FRAGILE: &[Registered] = &[registered::<Fragile>()];
