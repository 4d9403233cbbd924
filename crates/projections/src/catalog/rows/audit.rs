//! Rows of the audit: one per event that somebody caused, or that tells of a request.

use mirage_domain::audit;
use mirage_domain::event::Event;
use mirage_domain::id::{Cursor, StreamId};
use mirage_domain::sealed::Sealable;
use mirage_domain::session;
use mirage_log::Recorded;
use mirage_log::commit::{ActorKind, Entry};

use crate::claims::{text, time};
use crate::{Operations, Table, Value};

static AUDIT: Table = Table {
    name: "audit",
    columns: &[
        "cursor",
        "workspace",
        "at",
        "actor_kind",
        "actor",
        "outcome",
        "kind",
        "stream",
        "operation",
        "code",
        "origin",
        "subject",
        "count",
        "trace",
    ],
};

/// What a record tells of a request; nothing of one, for a change.
#[derive(Default)]
struct Request<'a> {
    operation: Option<&'a str>,
    code: Option<&'a str>,
    origin: Option<&'a str>,
    subject: Option<&'a str>,
    count: u64,
}

pub(super) fn row(recorded: &Recorded, cursor: Cursor, entry: &Entry, operations: &mut Operations) {
    let commit = &recorded.commit;
    let Some(workspace) = whose(&entry.event, &commit.stream) else {
        return;
    };
    let (outcome, request) = told(&entry.event);
    let optional = |value: Option<&str>| value.map_or(Value::Null, text);
    let kind = match commit.actor.kind {
        ActorKind::User => "user",
        ActorKind::Service => "service",
        ActorKind::Module => "module",
    };
    let trace = commit.traceparent.as_deref();
    operations.insert(
        &AUDIT,
        [
            cursor.packed().into(),
            text(workspace),
            time(entry.at),
            kind.into(),
            text(&commit.actor.id),
            outcome.into(),
            entry.event.kind().into(),
            text(&commit.stream.to_string()),
            optional(request.operation),
            optional(request.code),
            optional(request.origin),
            optional(request.subject),
            request.count.into(),
            // The trace's id stands between version and span.
            optional(trace.and_then(|trace| trace.split('-').nth(1))),
        ],
    );
}

/// The workspace that an event is about; none for what a scan does by itself.
fn whose<'a>(event: &'a Event, stream: &'a StreamId) -> Option<&'a str> {
    match event {
        // Deliveries have a log of their own.
        Event::Log(_) | Event::Plan(_) | Event::Task(_) | Event::Delivery(_) => None,
        Event::Scan(_)
        | Event::Mark(_)
        | Event::Audit(_)
        | Event::User(_)
        | Event::Identity(_)
        | Event::Team(_)
        | Event::Subscription(_) => Some(stream.workspace.as_str()),
        // A workspace's own stream is named after it.
        Event::Workspace(_) => Some(stream.id.as_str()),
        Event::Session(session::Event::Opened(opened)) => Some(opened.workspace.as_str()),
        Event::Session(_) => Some(stream.workspace.as_str()),
    }
}

fn told(event: &Event) -> (&'static str, Request<'_>) {
    fn open(value: &Sealable<String>) -> Option<&str> {
        value.open().map(String::as_str)
    }
    match event {
        Event::Audit(audit::Event::Refused(refused)) => (
            "refused",
            Request {
                operation: Some(&refused.operation),
                code: Some(&refused.code),
                origin: open(&refused.from),
                subject: None,
                count: refused.count,
            },
        ),
        Event::Audit(audit::Event::Read(read)) => (
            "read",
            Request {
                operation: Some(&read.operation),
                code: None,
                origin: open(&read.from),
                subject: open(&read.subject),
                count: 1,
            },
        ),
        _ => (
            "changed",
            Request {
                count: 1,
                ..Request::default()
            },
        ),
    }
}
