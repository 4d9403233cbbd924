//! What a commit becomes: a claim per finding, and a node where a scan meets an entity first.

use jiff::Timestamp;
use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::id::{Cursor, EntityId, ScanId};
use mirage_domain::relation::Direction;
use mirage_domain::task;
use mirage_log::{Commit, Recorded};

use crate::{Error, Operations, Table, Value};

static CLAIMS: Table = Table {
    name: "claims",
    columns: &[
        "cursor",
        "finding",
        "workspace",
        "scan",
        "module",
        "subject",
        "relation",
        "object",
        "direction",
        "in_scope",
        "confidence",
        "observed_at",
    ],
};
static NODES: Table = Table {
    name: "nodes",
    columns: &["entity", "scan", "workspace", "cursor", "kind", "key"],
};

/// A finding and where it stands.
#[derive(Clone, Copy)]
struct At<'a> {
    commit: &'a Commit,
    scan: &'a ScanId,
    cursor: Cursor,
    observed_at: Timestamp,
}

impl At<'_> {
    fn cursor(&self) -> Value {
        self.cursor.packed().into()
    }
    fn scan(&self) -> Value {
        self.scan.to_string().into()
    }
    fn workspace(&self) -> Value {
        self.commit.stream.workspace.to_string().into()
    }
}

pub(super) fn of_commit(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error> {
    for (cursor, entry) in recorded.entries() {
        match &entry.event {
            Event::Task(task::Event::Found(finding)) => {
                let scan = recorded.commit.stream.scan.as_ref();
                let at = At {
                    commit: &recorded.commit,
                    scan: scan.ok_or_else(|| unfit(cursor, "the stream belongs to no scan"))?,
                    cursor,
                    observed_at: entry.at,
                };
                found(finding, at, operations)?;
            }
            Event::Task(_)
            | Event::Log(_)
            | Event::Mark(_)
            | Event::Plan(_)
            | Event::Scan(_)
            | Event::Workspace(_) => {}
        }
    }
    Ok(())
}

fn unfit(cursor: Cursor, reason: &str) -> Error {
    Error::Unfit {
        cursor,
        reason: reason.to_owned(),
    }
}

fn found(finding: &Finding, at: At<'_>, operations: &mut Operations) -> Result<(), Error> {
    let key = match finding.key.open() {
        Some(key) if key.contains('\0') => return Err(unfit(at.cursor, "a key holds a NUL")),
        key => key.cloned(),
    };
    operations.insert(
        &NODES,
        [
            finding.entity.into(),
            at.scan(),
            at.workspace(),
            at.cursor(),
            finding.kind.as_str().into(),
            key.into(),
        ],
    );
    let (subject, object) = ends(finding);
    let relation = finding.relation.map(|relation| relation.as_str());
    operations.insert(
        &CLAIMS,
        [
            at.cursor(),
            finding.id.into(),
            at.workspace(),
            at.scan(),
            module(at.commit),
            subject.into(),
            relation.into(),
            object.into(),
            relation.map(|_| finding.direction.as_str()).into(),
            finding.scope.is_in.into(),
            u32::from(finding.confidence).into(),
            nanoseconds(at.observed_at),
        ],
    );
    Ok(())
}

/// Subject and object; a seed's claim has no subject.
fn ends(finding: &Finding) -> (Option<EntityId>, EntityId) {
    let parent = finding.relation.and(finding.parent);
    match (parent, finding.direction) {
        (None, _) => (None, finding.entity),
        (Some(parent), Direction::Out) => (Some(parent.entity), finding.entity),
        (Some(parent), Direction::In) => (Some(finding.entity), parent.entity),
    }
}

/// Who claims: the module of the task, or whoever wrote a commit without one (an import).
fn module(commit: &Commit) -> Value {
    match &commit.context {
        Some(context) => context.module.to_string().into(),
        None => commit.actor.id.replace('\0', "\u{fffd}").into(),
    }
}

/// Since 1970; a time beyond the years 1678 to 2262 is held there.
fn nanoseconds(time: Timestamp) -> Value {
    let held = time.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into());
    Value::Integer(held as i64)
}
