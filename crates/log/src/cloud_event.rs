//! An event of the log as a CloudEvent 1.0: the one mapping, of streams, exports and webhooks.
//!
//! `id` is COMMIT-ID.INDEX, `sequence` the cursor by which a consumer goes on, `subject` the stream's category and id.
//! What is sealed stands as null in `data`, as in the log, and so does what proves who somebody is.

use mirage_domain::id::Cursor;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::commit::{Commit, Entry};

/// The context attributes, in the order of the specification, then ours; names of attributes are small letters only.
#[derive(Debug, Serialize)]
pub struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: String,
    r#type: String,
    subject: String,
    time: String,
    datacontenttype: &'static str,
    /// The schema's path, as a URI, which is what the specification wants here.
    dataschema: String,
    sequence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    data: Box<RawValue>,
}

impl<'a> CloudEvent<'a> {
    /// The event at a cursor of its commit.
    pub fn of(commit: &'a Commit, cursor: Cursor, entry: &Entry) -> serde_json::Result<Self> {
        let stream = &commit.stream;
        let (kind, version) = (entry.event.kind(), entry.event.version());
        Ok(Self {
            specversion: "1.0",
            id: format!("{}.{}", commit.id, cursor.index),
            source: format!("/mirage/{}", stream.workspace),
            r#type: format!("mirage.{kind}"),
            subject: format!("{}/{}", stream.category, stream.id),
            time: entry.at.to_string(),
            datacontenttype: "application/json",
            dataschema: format!("mirage:/schemas/events/{kind}.v{version}.json"),
            sequence: cursor.to_string(),
            traceparent: commit.traceparent.as_deref(),
            data: entry.event.told().data()?,
        })
    }
}
