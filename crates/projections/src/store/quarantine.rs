//! Applying commits, and setting aside the streams whose events cannot be applied.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use mirage_domain::id::Cursor;
use mirage_log::Recorded;

use crate::operations::{Operations, Table};
use crate::{Error, Registered};

pub(super) static QUARANTINE: Table = Table {
    name: "quarantine",
    columns: &["stream", "cursor", "error"],
};
pub(super) static SKIPPED: Table = Table {
    name: "skipped",
    columns: &["stream", "position"],
};

/// The rows of one commit; a stream whose event cannot be applied is set aside.
pub(super) fn apply(
    view: &Registered,
    recorded: &Recorded,
    operations: &mut Operations,
    quarantined: &mut HashSet<String>,
) {
    let stream = || recorded.commit.stream.to_string();
    // Most views have none, and then the stream's name need not be built.
    if !quarantined.is_empty() && quarantined.contains(&stream()) {
        operations.insert(&SKIPPED, [stream().into(), recorded.position.0.into()]);
        return operations.accept();
    }
    let applied = catch_unwind(AssertUnwindSafe(|| (view.apply)(recorded, operations)));
    let (cursor, reason) = match applied {
        Ok(Ok(())) => return operations.accept(),
        Ok(Err(Error::Unfit { cursor, reason })) => (cursor, reason),
        Ok(Err(other)) => (first_of(recorded), other.to_string()),
        Err(_) => (first_of(recorded), "the view's code panicked".to_owned()),
    };
    operations.discard();
    tracing::error!(view.name = view.name, stream = %stream(), %cursor, reason, "a stream is quarantined");
    operations.insert(
        &QUARANTINE,
        [stream().into(), cursor.packed().into(), reason.into()],
    );
    operations.accept();
    quarantined.insert(stream());
}

fn first_of(recorded: &Recorded) -> Cursor {
    Cursor {
        position: recorded.position,
        index: 1,
    }
}
