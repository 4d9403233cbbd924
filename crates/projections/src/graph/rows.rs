//! What a commit becomes: a claim per finding, and a node where a scan meets an entity for the first time.

use jiff::Timestamp;
use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::id::{Cursor, ScanId};
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
    let workspace = || Value::from(at.commit.stream.workspace.to_string());
    let scan = || Value::from(at.scan.to_string());
    let cursor = || Value::from(at.cursor.packed());
    let key = match finding.key.open() {
        Some(key) if key.contains('\0') => return Err(unfit(at.cursor, "a key holds a NUL")),
        key => key.cloned(),
    };
    operations.insert(
        &NODES,
        [
            finding.entity.into(),
            scan(),
            workspace(),
            cursor(),
            finding.kind.as_str().into(),
            key.into(),
        ],
    );
    let parent = finding.parent.map(|parent| parent.entity);
    let (subject, object) = match finding.direction {
        Direction::In => (Some(finding.entity), parent.unwrap_or(finding.entity)),
        Direction::Out => (parent, finding.entity),
    };
    let relation = finding.relation.map(|relation| relation.as_str());
    operations.insert(
        &CLAIMS,
        [
            cursor(),
            finding.id.into(),
            workspace(),
            scan(),
            module(at.commit),
            // A claim without a relation is a seed's.
            relation.and(subject).into(),
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
