//! What one mark costs the reads of its scan.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use mirage_domain::id::StreamId;
use mirage_domain::mark::{Event, Set, Verdict};
use mirage_log::EventLog;
use mirage_log::commit::encode;
use mirage_log::contract::{commit_of, scan, workspace};

use super::made::finding;
use super::reads::{READS, Views};
use crate::row::{Row, grouped, median};

const ROUNDS: usize = 5;

/// Marks the page of a host in the middle, whose subtree falls with it.
pub(super) async fn mark(log: &dyn EventLog, hosts: usize) -> Result<()> {
    let set = Set {
        verdict: Verdict::FalsePositive,
        reason: "parked".to_owned().into(),
    };
    let stream = StreamId::mark(&workspace(), &scan(), finding(hosts / 2, 4));
    log.append(
        encode(&commit_of(stream, None, vec![Event::from(set).into()]))?,
        None,
    )
    .await?;
    Ok(())
}

/// The first read of a connection, and the reads after it.
pub(super) fn run(data: &Path, findings: usize) -> Result<Vec<Row>> {
    let newest = READS.first().context("a read")?;
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let views = Views::open(data)?;
        for times in [&mut first, &mut later] {
            let begun = Instant::now();
            (newest.ask)(&views, None, 0)?;
            times.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let (first, later) = (median(first), median(later));
    Ok(vec![Row {
        what: format!(
            "{} findings and one mark: {}, first of a connection",
            grouped(findings as f64),
            newest.what
        ),
        ours: format!("{first:.2} ms"),
        bare: format!("{later:.2} ms (the next)"),
        ratio: Some(first / later),
        wanted: "–".to_owned(),
        remark: "who stands is derived from the mark downwards".to_owned(),
    }])
}
