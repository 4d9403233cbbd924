//! The events of a scan as CloudEvents 1.0, one JSON object a line.

use std::io::{BufWriter, Write};

use futures::StreamExt;
use mirage_domain::id::{Position, ScanId};
use mirage_log::cloud_event::CloudEvent;
use mirage_log::{EventLog, Filter, Read};

use crate::output::Failure;

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
            let event = CloudEvent::of(&recorded.commit, cursor, entry);
            let event = event.map_err(std::io::Error::from)?;
            serde_json::to_writer(&mut out, &event).map_err(std::io::Error::from)?;
            out.write_all(b"\n")?;
            count += 1;
        }
    }
    out.flush()?;
    Ok(count)
}
