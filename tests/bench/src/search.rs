//! Searching a million findings: the first fifty hits of easy and of hard questions.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use mirage_domain::event::Event;
use mirage_domain::id::ScanId;
use mirage_domain::task;
use mirage_log::commit::encode;
use mirage_log::contract::{commit_of, found, stream, workspace};
use mirage_log::sqlite::Sqlite;
use mirage_log::{EncodedCommit, EventLog};
use mirage_projections::search::{Page, Query, Reader, Search};
use mirage_projections::{Registered, Runner, registered};

use crate::row::{Row, grouped};

static VIEWS: &[Registered] = &[registered::<Search>()];

const FINDINGS: usize = 1_000_000;
/// Another size, for a look at the measurement itself.
const FINDINGS_VARIABLE: &str = "MIRAGE_BENCH_FINDINGS";
const EVENTS: usize = 100;
const ROUNDS: usize = 100;
/// Milliseconds in which the first fifty hits are there.
const WANTED: &str = "p99 ≤ 50 ms";

/// What is asked: a name for the report and queries in which `#` is a number.
const QUESTIONS: [(&str, &str); 7] = [
    ("a word of every finding", "example"),
    ("a part of every key", "xampl"),
    ("a part of few keys", "ost-#"),
    ("words that seldom meet", "host-# nginx"),
    ("words that never meet", "apache nginx"),
    ("a filter and a word", "kind:domain -apache example"),
    ("the beginning of a word", "ngi*"),
];

pub(crate) fn run(dir: &Path) -> Result<Vec<Row>> {
    let findings = std::env::var(FINDINGS_VARIABLE).map_or(Ok(FINDINGS), |text| text.parse())?;
    let place = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(place.path())?);
    let (first, later) = runtime.block_on(fill(place.path(), &log, findings / EVENTS))?;
    let bytes = folder_bytes(&place.path().join("views"))? / findings as u64;
    let size = grouped(findings as f64);
    let fold = Row {
        what: format!("search, {size} findings: folding, last tenth against first"),
        ours: format!("{} events/s", grouped(later)),
        bare: format!("{} events/s", grouped(first)),
        ratio: Some(later / first),
        wanted: "–".to_owned(),
        remark: format!("{bytes} bytes a finding"),
    };
    let mut rows = vec![fold];
    for (what, text) in QUESTIONS {
        rows.push(question(
            place.path(),
            &format!("search, {size} findings: {what}"),
            text,
            findings,
        )?);
    }
    Ok(rows)
}

/// Folds tenth by tenth, and answers the rates of the first and the last.
async fn fill(dir: &Path, log: &Arc<dyn EventLog>, commits: usize) -> Result<(f64, f64)> {
    let views = Runner::open_views(dir, log.clone(), VIEWS)?;
    let mut rates = Vec::new();
    let tenth = (commits / 10).max(1);
    for from in (0..commits).step_by(tenth) {
        for n in (from..from + tenth).step_by(16) {
            let batch = (n..(n + 16).min(from + tenth)).map(|n| log.append(commit(n), None));
            futures::future::try_join_all(batch).await?;
        }
        let begun = Instant::now();
        views.fold_to_head().await?;
        rates.push((tenth * EVENTS) as f64 / begun.elapsed().as_secs_f64());
    }
    Ok((rates[0], rates[rates.len() - 1]))
}

/// Findings with attributes as a web server has them.
fn commit(n: usize) -> EncodedCommit {
    let event = |k: usize| -> Event {
        let number = n * EVENTS + k;
        let (_, event) = found(number as u64);
        let Event::Task(task::Event::Found(mut finding)) = event else {
            return event;
        };
        let mut attributes = finding.attributes.open().cloned().unwrap_or_default();
        let server = ["nginx/1.18", "apache/2.4", "caddy"][number % 3];
        attributes.insert("server".into(), server.into());
        attributes.insert("title".into(), format!("Welcome to title-{number}").into());
        finding.attributes = attributes.into();
        task::Event::Found(finding).into()
    };
    let commit = commit_of(stream(n as u64), None, (0..EVENTS).map(event).collect());
    encode(&commit).expect("a commit within bounds")
}

fn question(dir: &Path, what: &str, text: &str, findings: usize) -> Result<Row> {
    let db = mirage_projections::Db::open(dir, &VIEWS[0])?;
    let reader = Reader::new(&db, &workspace(), None)?;
    let mut times = Vec::with_capacity(ROUNDS);
    let mut hits = 0;
    for round in 0..ROUNDS {
        // Numbers from all over, none twice.
        let number = round * (findings / ROUNDS).max(1) + round;
        let query = Query::parse(&text.replace('#', &number.to_string()))?;
        let filter = query.filter(|scan| scan.parse::<ScanId>())?;
        let begun = Instant::now();
        let found = reader.search(&query, &filter, &Page::first(50))?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure!(found.hits.len() <= 50, "{} hits", found.hits.len());
        hits += found.hits.len();
    }
    times.sort_by(f64::total_cmp);
    let (half, most) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
    Ok(Row {
        what: what.to_owned(),
        ours: format!("p50 {half:.2} ms, p99 {most:.2} ms"),
        bare: "–".to_owned(),
        ratio: None,
        wanted: WANTED.to_owned(),
        remark: format!("`{text}`, {} hits on average", hits / ROUNDS),
    })
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
