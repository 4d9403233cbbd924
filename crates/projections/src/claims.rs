//! Claims: the findings of a commit, each with where it stands; what several views fold alike.

use jiff::Timestamp;
use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::id::{Cursor, ScanId};
use mirage_domain::task;
use mirage_log::{Commit, Recorded};

use crate::{Error, Value};

/// A finding of a commit.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) finding: &'a Finding,
    pub(crate) commit: &'a Commit,
    pub(crate) scan: &'a ScanId,
    pub(crate) cursor: Cursor,
    observed_at: Timestamp,
}

/// The claims of a commit, in order: for views that keep nothing of any other event.
pub(crate) fn of_commit(recorded: &Recorded) -> impl Iterator<Item = Result<Claim<'_>, Error>> {
    recorded
        .entries()
        .filter_map(|(cursor, entry)| match &entry.event {
            Event::Task(task::Event::Found(finding)) => {
                let claim = |scan| Claim {
                    finding,
                    commit: &recorded.commit,
                    scan,
                    cursor,
                    observed_at: entry.at,
                };
                Some(scan_of(recorded, cursor).map(claim))
            }
            Event::Task(_)
            | Event::Scan(_)
            | Event::Plan(_)
            | Event::Mark(_)
            | Event::Log(_)
            | Event::Workspace(_)
            | Event::User(_)
            | Event::Identity(_)
            | Event::Team(_)
            | Event::Session(_)
            | Event::Audit(_)
            | Event::Subscription(_)
            | Event::Delivery(_) => None,
        })
}

/// The scan of an event that must belong to one.
pub(crate) fn scan_of(recorded: &Recorded, cursor: Cursor) -> Result<&ScanId, Error> {
    let scan = recorded.commit.stream.scan.as_ref();
    scan.ok_or_else(|| Error::unfit(cursor, "the stream belongs to no scan"))
}

/// A finding's key, none once it was erased. PostgreSQL keeps no NUL, and a key is not changed.
pub(crate) fn key(finding: &Finding, cursor: Cursor) -> Result<Option<&String>, Error> {
    match finding.key.open() {
        Some(key) if key.contains('\0') => Err(Error::unfit(cursor, "a key holds a NUL")),
        key => Ok(key),
    }
}

/// Who claims: the module of the task, or whoever wrote a commit without one.
pub(crate) fn module(commit: &Commit) -> Value {
    match &commit.context {
        Some(context) => context.module.to_string().into(),
        None => text(&commit.actor.id),
    }
}

/// Free text of a source. PostgreSQL keeps no NUL, and both stores must say the same.
pub(crate) fn text(text: &str) -> Value {
    text.replace('\0', "\u{fffd}").into()
}

/// Nanoseconds since 1970; a time beyond the years 1678 to 2262 is held there.
pub(crate) fn time(at: Timestamp) -> Value {
    let held = at.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into());
    Value::Integer(held as i64)
}

impl Claim<'_> {
    pub(crate) fn cursor(&self) -> Value {
        self.cursor.packed().into()
    }
    pub(crate) fn scan(&self) -> Value {
        self.scan.to_string().into()
    }
    pub(crate) fn workspace(&self) -> Value {
        self.commit.stream.workspace.to_string().into()
    }
    pub(crate) fn observed_at(&self) -> Value {
        time(self.observed_at)
    }
    pub(crate) fn key(&self) -> Result<Value, Error> {
        Ok(key(self.finding, self.cursor)?.cloned().into())
    }
}
