//! What a commit becomes: rows of the catalog, by the kind of stream that carries it.

mod audit;
mod mark;
mod plan;
mod scan;
mod task;

use jiff::Timestamp;
use mirage_domain::event::Event;
use mirage_domain::id::{Cursor, ScanId};
use mirage_log::Recorded;

use crate::claims::{scan_of, text, time};
use crate::{Error, Operations, Table, Value};

static TIMES: Table = Table {
    name: "times",
    columns: &["second", "position"],
};

/// The same to the nanosecond: it says where within a second a time falls.
static INSTANTS: Table = Table {
    name: "instants",
    columns: &["nanosecond", "position"],
};

/// One event and where it stands.
#[derive(Clone, Copy)]
struct At<'a> {
    recorded: &'a Recorded,
    scan: &'a ScanId,
    cursor: Cursor,
    at: Timestamp,
}

impl At<'_> {
    fn cursor(&self) -> Value {
        self.cursor.packed().into()
    }
    fn scan(&self) -> Value {
        self.scan.to_string().into()
    }
    fn workspace(&self) -> Value {
        self.recorded.commit.stream.workspace.to_string().into()
    }
    /// The id of the stream: of the task, in a task's.
    fn stream(&self) -> Value {
        self.recorded.commit.stream.id.to_string().into()
    }
    fn time(&self) -> Value {
        time(self.at)
    }
    fn unfit(&self, reason: &str) -> Error {
        Error::unfit(self.cursor, reason)
    }
}

pub(super) fn of_commit(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error> {
    clock(recorded, operations);
    for (cursor, entry) in recorded.entries() {
        let scan = || scan_of(recorded, cursor);
        let at = |scan| At {
            recorded,
            scan,
            cursor,
            at: entry.at,
        };
        audit::row(recorded, cursor, entry, operations);
        match &entry.event {
            Event::Scan(event) => scan::rows(event, at(scan()?), operations)?,
            Event::Plan(event) => plan::rows(event, at(scan()?), operations),
            Event::Task(event) => task::rows(event, at(scan()?), operations)?,
            Event::Mark(event) => mark::rows(event, at(scan()?), operations)?,
            Event::Log(_)
            | Event::Workspace(_)
            | Event::User(_)
            | Event::Identity(_)
            | Event::Team(_)
            | Event::Session(_)
            | Event::Audit(_)
            | Event::Subscription(_)
            | Event::Delivery(_) => {}
        }
    }
    Ok(())
}

/// The first commit that was recorded in each second, and at each instant: absent ones only, so clocks that step back
/// add nothing.
///
/// The running maximum of recorded-at passes a time with the first commit of any later second, which is the least
/// position among the later rows. So no maximum need be carried from commit to commit, and `apply` stays pure.
fn clock(recorded: &Recorded, operations: &mut Operations) {
    let (at, position) = (recorded.commit.recorded_at, recorded.position.0);
    let second = at.as_nanosecond().div_euclid(1_000_000_000);
    operations.insert(&TIMES, [Value::Integer(second as i64), position.into()]);
    operations.insert(&INSTANTS, [time(at), position.into()]);
}
