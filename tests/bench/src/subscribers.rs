//! Ten thousand subscribers of one node: does each hear all in order, how late, at what cost.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use mirage_scenarios::Place;
use mirage_scenarios::subscribers::{Dose, Heard, load};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::company::beside;
use crate::row::{Row, grouped};

const DOSE: Dose = Dose {
    subscribers: 10_000,
    events: 600,
    per_second: 10,
};
/// Files beside one socket a subscriber.
const FILES_BESIDE: u64 = 200;

pub(crate) fn run(dir: &Path) -> Result<Vec<Row>> {
    beside("mirage")?;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised)?;
    let wanted = DOSE.subscribers as u64 + FILES_BESIDE;
    ensure!(
        limit.maximum.is_none_or(|files| files >= wanted),
        "{wanted} open files are needed, and more may not be asked for than {:?}: ulimit -Hn {wanted}",
        limit.maximum
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let heard = runtime.block_on(async { load(&Place::new_in(dir)?, DOSE).await });
    let heard = heard.context("bringing the subscribers")?;
    ensure!(
        heard.faults.is_empty(),
        "{} of {} readers: {:?}",
        heard.faults.len(),
        heard.readers,
        &heard.faults[..heard.faults.len().min(3)]
    );
    Ok(rows(&heard))
}

fn rows(heard: &Heard) -> Vec<Row> {
    let row = |what: &str, ours: String, wanted: &str, remark: String| Row {
        what: format!("{} WebSockets on one node: {what}", grouped(10_000.0)),
        ours,
        bare: "–".to_owned(),
        ratio: None,
        wanted: wanted.to_owned(),
        remark,
    };
    let (latencies, (before, most)) = (&heard.latencies, heard.resident_kib);
    let each = (most.saturating_sub(before)) as f64 / DOSE.subscribers as f64;
    let (computed, passed) = heard.cpu;
    let late = |per_mille| latencies.within(per_mille);
    vec![
        row(
            "from append to receipt",
            format!(
                "p50 {} ms, p99 {} ms, p99.9 {} ms",
                late(500),
                late(990),
                late(999)
            ),
            "p99 ≤ 1 s",
            format!(
                "{} events at {} a second on the log, {} receipts, each once and in order by {} readers; the others never read",
                DOSE.events,
                DOSE.per_second,
                grouped(latencies.count() as f64),
                grouped(heard.readers as f64),
            ),
        ),
        row(
            "memory of one",
            format!("{each:.1} KiB"),
            "≤ 40 KiB",
            format!(
                "the node: {} MiB before, at most {} MiB",
                before / 1024,
                most / 1024
            ),
        ),
        row(
            "CPU of the node",
            format!("{computed:.1} s of {passed:.1} s"),
            "–",
            "the clients share the two cores with it".to_owned(),
        ),
    ]
}
