//! Rows of a mark's stream: one per word on the finding.

use mirage_domain::id::FindingId;
use mirage_domain::mark::Event;

use super::{At, text};
use crate::{Error, Operations, Table, Value};

static MARKS: Table = Table {
    name: "marks",
    columns: &[
        "scan",
        "cursor",
        "workspace",
        "finding",
        "verdict",
        "reason",
        "actor",
        "marked_at",
    ],
};

pub(super) fn rows(event: &Event, at: At<'_>, operations: &mut Operations) -> Result<(), Error> {
    let stream = &at.recorded.commit.stream.id;
    let finding: FindingId = stream
        .as_str()
        .parse()
        .map_err(|_| at.unfit("the stream is not named after a finding"))?;
    let (verdict, reason) = match event {
        Event::Set(set) => (set.verdict.as_str().into(), &set.reason),
        Event::Cleared(cleared) => (Value::Null, &cleared.reason),
    };
    let reason = reason.open().map(|reason| text(reason));
    operations.insert(
        &MARKS,
        [
            at.scan(),
            at.cursor(),
            at.workspace(),
            finding.into(),
            verdict,
            reason.unwrap_or(Value::Null),
            text(&at.recorded.commit.actor.id),
            at.time(),
        ],
    );
    Ok(())
}
