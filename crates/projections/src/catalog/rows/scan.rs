//! Rows of a scan's own stream: the request, and one row per change of state.

use mirage_domain::scan::{Event, Requested};

use super::{At, text};
use crate::{Error, Operations, Table, Value};

static SCANS: Table = Table {
    name: "scans",
    columns: &[
        "scan",
        "workspace",
        "cursor",
        "name",
        "seeds",
        "seed_list",
        "profile",
        "request",
        "settings",
        "origin",
        "of_scan",
        "actor",
        "requested_at",
    ],
};
static CHANGES: Table = Table {
    name: "scan_changes",
    columns: &["scan", "cursor", "change", "detail", "changed_at"],
};

pub(super) fn rows(event: &Event, at: At<'_>, operations: &mut Operations) -> Result<(), Error> {
    let (change, detail) = match event {
        Event::Requested(request) => return requested(request, at, operations),
        Event::Started(_) => ("started", Value::Null),
        Event::Paused(_) => ("paused", Value::Null),
        Event::Resumed(_) => ("resumed", Value::Null),
        Event::StopRequested(_) => ("stop-requested", Value::Null),
        Event::Finished(finished) => ("finished", finished.outcome.as_str().into()),
        Event::Archived(_) => ("archived", Value::Null),
        Event::Unarchived(_) => ("unarchived", Value::Null),
    };
    operations.insert(
        &CHANGES,
        [at.scan(), at.cursor(), change.into(), detail, at.time()],
    );
    Ok(())
}

fn requested(request: &Requested, at: At<'_>, operations: &mut Operations) -> Result<(), Error> {
    // Name and scope may be erased one day, so the rest is kept apart from them.
    let rest = Requested {
        name: mirage_domain::sealed::Sealable::Erased,
        ..request.clone()
    };
    let rest = serde_json::to_string(&rest)
        .map_err(|_| at.unfit("the request cannot be written as JSON"))?;
    let name = request.name.open().map(|name| text(name));
    let of_scan = request.origin.of().map(ToString::to_string);
    operations.insert(
        &SCANS,
        [
            at.scan(),
            at.workspace(),
            at.cursor(),
            name.unwrap_or(Value::Null),
            request.seeds.count.into(),
            request.seeds.list.0.into(),
            request.profile.as_str().into(),
            rest.into(),
            request.settings.0.into(),
            request.origin.as_str().into(),
            of_scan.into(),
            text(&at.recorded.commit.actor.id),
            at.time(),
        ],
    );
    Ok(())
}
