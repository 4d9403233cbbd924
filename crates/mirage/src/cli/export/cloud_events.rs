//! The events of a scan as CloudEvents 1.0, one JSON object a line.
//!
//! `id` is COMMIT-ID.INDEX, `sequence` the cursor by which a consumer goes on, `subject` the stream's category and id.
//! What is sealed stands as null in `data`, as in the log.

use std::io::{BufWriter, Write};

use futures::StreamExt;
use mirage_domain::id::{Cursor, Position, ScanId};
use mirage_log::commit::{Commit, Entry};
use mirage_log::{EventLog, Filter, Read};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::output::Failure;

/// The context attributes, in the order of the specification, then ours; names of attributes are small letters only.
#[derive(Serialize)]
struct CloudEvent<'a> {
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

/// Writes every event of the scan up to a position; answers how many.
pub(super) async fn write(
    log: &dyn EventLog,
    scan: &ScanId,
    upto: Position,
    out: Box<dyn Write>,
) -> Result<u64, Failure> {
    let mut out = BufWriter::new(out);
    let mut read = log.read(Position(0), Filter::Scan(scan.clone()));
    let mut count = 0;
    while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
        if recorded.position > upto {
            break;
        }
        for (cursor, entry) in recorded.entries() {
            let event = cloud_event(&recorded.commit, cursor, entry)?;
            serde_json::to_writer(&mut out, &event).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
            count += 1;
        }
    }
    out.flush()?;
    Ok(count)
}

fn cloud_event<'a>(
    commit: &'a Commit,
    cursor: Cursor,
    entry: &Entry,
) -> Result<CloudEvent<'a>, Failure> {
    let stream = &commit.stream;
    let (kind, version) = (entry.event.kind(), entry.event.version());
    let scan = stream.scan.as_ref().map_or("_", |scan| scan.as_str());
    Ok(CloudEvent {
        specversion: "1.0",
        id: format!("{}.{}", commit.id, cursor.index),
        source: format!("/workspaces/{}/scans/{scan}", stream.workspace),
        r#type: format!("mirage.{kind}"),
        subject: format!("{}/{}", stream.category, stream.id),
        time: entry.at.to_string(),
        datacontenttype: "application/json",
        dataschema: format!("mirage:/schemas/events/{kind}.v{version}.json"),
        sequence: cursor.to_string(),
        traceparent: commit.traceparent.as_deref(),
        data: entry.event.data().map_err(std::io::Error::from)?,
    })
}
