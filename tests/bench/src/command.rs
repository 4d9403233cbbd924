//! Latency of a command against one bare durable append.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use mirage_domain::id::StreamId;
use mirage_domain::scan::{Command, PauseScan, ResumeScan, Scan};
use mirage_log::commit::{Actor, ActorKind};
use mirage_log::contract::{commit_of, noon, scan, workspace};
use mirage_log::execute::{Envelope, Store};
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, commit};

use crate::append::{Bare, commits};
use crate::row::Row;

const COMMANDS: usize = 500;

pub(crate) fn run(dir: &Path) -> Result<Vec<Row>> {
    let place = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let bare = Bare::open(&place.path().join("bare.db"))?;
    let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(place.path())?);
    let stream = StreamId::scan(&workspace(), &scan());
    let started = mirage_domain::scan::Event::from(mirage_domain::scan::Started {});
    let first = commit::encode(&commit_of(stream.clone(), None, vec![started.into()]))?;
    runtime.block_on(log.append(first, None))?;
    let store = Store::<Scan>::new(log);
    let rows = commits(0, COMMANDS, 1);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (n, row) in rows.chunks(1).enumerate() {
        let begun = Instant::now();
        bare.insert(row)?;
        theirs.push(begun.elapsed().as_secs_f64() * 1e3);
        let command = match n % 2 {
            0 => Command::Pause(PauseScan),
            _ => Command::Resume(ResumeScan { failed: false }),
        };
        let actor = Actor {
            kind: ActorKind::User,
            id: "bench".into(),
            version: None,
        };
        let begun = Instant::now();
        runtime.block_on(store.execute(&stream, command, Envelope::new(actor, noon)))?;
        ours.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let at = |times: &mut Vec<f64>, percent: usize| {
        times.sort_by(f64::total_cmp);
        times[times.len() * percent / 100]
    };
    let row = |percent: usize, wanted: &str, ours: f64, bare: f64| Row {
        what: format!("command, p{percent}"),
        ours: format!("{ours:.2} ms"),
        bare: format!("{bare:.2} ms"),
        ratio: Some(ours / bare),
        wanted: wanted.to_owned(),
        remark: String::new(),
    };
    Ok(vec![
        row(50, "–", at(&mut ours, 50), at(&mut theirs, 50)),
        row(99, "≤ 2×", at(&mut ours, 99), at(&mut theirs, 99)),
    ])
}
