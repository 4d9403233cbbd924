//! A scan of a million findings through log, frontier and catalog: memory, and speed at both ends.
//!
//! It runs in a process of its own, so that its memory is its own.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use mirage_domain::frontier::Frontier;
use mirage_domain::id::Position;
use mirage_log::contract::{scan, workspace};
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, Filter, Read};
use mirage_projections::Runner;
use mirage_projections::catalog::{FindingFilter, Page, Reader};
use mirage_workers::collectors::ALL;

use crate::append::commits;
use crate::machine::resident;
use crate::row::{Row, grouped, median};

const EVENTS: usize = 100;
/// Commits between two looks at the clock.
const STRETCH: usize = 500;
/// Resident memory that DESIGN §8 allows, in MiB.
const MEMORY_MIB: &str = "≤ 256 MiB";

/// Runs the measurement in a child of this program and takes its rows over.
pub(crate) fn run(dir: &Path) -> Result<Vec<Row>> {
    let child = Command::new(std::env::current_exe()?)
        .args(["--only", "million-inner", "--dir"])
        .arg(dir)
        .output()
        .context("starting the child")?;
    ensure!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stderr)
    );
    let said = String::from_utf8(child.stdout)?;
    Ok(said
        .lines()
        .filter(|line| line.starts_with("| 1 M"))
        .filter_map(Row::parse)
        .collect())
}

pub(crate) fn inner(dir: &Path) -> Result<Vec<Row>> {
    let place = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(measure(place.path(), 1_000_000 / EVENTS))
}

async fn measure(dir: &Path, many: usize) -> Result<Vec<Row>> {
    let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(dir)?);
    let views = Arc::new(Runner::open(dir, log.clone())?);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let following = {
        let views = views.clone();
        tokio::spawn(async move {
            let until = async { stopped.await.unwrap_or(()) };
            views.run(until).await
        })
    };
    let folding = tokio::spawn(fold(log.clone(), many));
    let (mut appends, mut pages, mut peak) = (Vec::new(), Vec::new(), 0);
    for from in (0..many).step_by(STRETCH) {
        let stretch = commits(from, STRETCH, EVENTS);
        let begun = Instant::now();
        for batch in stretch.chunks(16) {
            let batch = batch.iter().map(|commit| log.append(commit.clone(), None));
            futures::future::try_join_all(batch).await?;
        }
        appends.push((STRETCH * EVENTS) as f64 / begun.elapsed().as_secs_f64());
        let head = log.head().await?.position;
        views
            .catch_up("catalog", head, std::time::Duration::from_secs(600))
            .await?;
        pages.push(page(&views)?);
        peak = peak.max(resident());
    }
    let entities = folding.await??;
    ensure!(entities == (many * EVENTS) as u64, "{entities} entities");
    drop(stop);
    following.await??;
    peak = peak.max(resident());
    let ends = |values: &[f64]| {
        let tenth = (values.len() / 10).max(1);
        (
            median(values[..tenth].to_vec()),
            median(values[values.len() - tenth..].to_vec()),
        )
    };
    let (first, last) = ends(&appends);
    let (early, late) = ends(&pages);
    let row = |what: &str, ours: String, bare: String, ratio, wanted, remark: &str| Row {
        what: format!("1 M findings: {what}"),
        ours,
        bare,
        ratio,
        wanted,
        remark: remark.to_owned(),
    };
    let bytes = std::fs::metadata(mirage_log::sqlite::path(dir))?.len() as f64;
    Ok(vec![
        row(
            "resident memory of log, frontier and catalog together",
            format!("{} MiB", peak / (1024 * 1024)),
            "–".into(),
            None,
            MEMORY_MIB.into(),
            &format!(
                "{:.0} bytes of log a finding",
                bytes / (many * EVENTS) as f64
            ),
        ),
        row(
            "append, last tenth against first",
            format!("{} events/s", grouped(last)),
            format!("{} events/s", grouped(first)),
            Some(last / first),
            "about 1×".into(),
            "while frontier and catalog follow",
        ),
        row(
            "first page of 100 findings, last tenth against first",
            format!("{late:.2} ms"),
            format!("{early:.2} ms"),
            Some(late / early),
            "about 1×".into(),
            "",
        ),
    ])
}

/// Milliseconds that the newest hundred findings take.
fn page(views: &Runner) -> Result<f64> {
    let begun = Instant::now();
    let db = views.db("catalog")?;
    let reader = Reader::new(&db, &workspace(), None)?;
    let filter = FindingFilter {
        scan: Some(scan()),
        ..FindingFilter::default()
    };
    let list = reader.findings(&filter, &Page::newest(100))?;
    ensure!(list.rows.len() == 100, "{} rows", list.rows.len());
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

/// What the orchestrator keeps: the frontier of all modules, fed by the scan's commits.
async fn fold(log: Arc<dyn EventLog>, many: usize) -> Result<u64> {
    let manifests = ALL.iter().map(|collector| collector.manifest());
    let mut frontier = Frontier::new(scan(), manifests);
    let mut read = log.read(Position(0), Filter::Scan(scan()));
    let mut commits = 0;
    while commits < many {
        let Some(read) = read.next().await.transpose()? else {
            break;
        };
        let Read::Commit(recorded) = read else {
            continue;
        };
        for (cursor, entry) in recorded.entries() {
            frontier.apply(&recorded.commit.stream, &entry.event, cursor, entry.at);
        }
        commits += 1;
    }
    Ok(frontier.totals().entities)
}
