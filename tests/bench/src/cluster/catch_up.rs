//! How fast each view catches up with a log on JetStream that is there already.
//!
//! The multiple of the rate at which a scan appends says how soon a view that was away is there again.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use mirage_log::EventLog;
use mirage_log::jetstream::{JetStream, Options};
use mirage_projections::{
    Folder, Home, Neo4j, Neo4jOptions, Postgres, PostgresOptions, Runner, named,
};
use tokio::runtime::Runtime;

use crate::row::{Row, grouped};
use crate::views::Made;

/// Of the findings that are asked for.
const PART: usize = 10;

pub(super) fn run(dir: &Path, findings: usize, live: f64) -> Result<Vec<Row>> {
    let Some(nats) = mirage_servers::nats(1) else {
        return Ok(Vec::new());
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let log = runtime.block_on(JetStream::open(Options {
        servers: vec![nats.url()],
        monitors: vec![nats.monitor(0)],
        ..Options::default()
    }))?;
    let log: Arc<dyn EventLog> = Arc::new(log);
    let mut company = Made::default();
    runtime.block_on(company.grow(&*log, findings / PART))?;
    let rig = Rig {
        runtime,
        log,
        events: company.events() as f64,
        live,
    };
    rig.views(dir)
}

struct Rig {
    runtime: Runtime,
    log: Arc<dyn EventLog>,
    events: f64,
    live: f64,
}

impl Rig {
    fn views(&self, dir: &Path) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for view in ["catalog", "graph", "search"] {
            let place = tempfile::tempdir_in(dir)?;
            let home = Arc::new(Folder::of(place.path()));
            rows.push(self.row(view, "SQLite", self.fold(view, home)?));
        }
        if let Some(server) = mirage_servers::postgres_alone() {
            let options = PostgresOptions {
                url: server.url(),
                ..PostgresOptions::default()
            };
            let seconds = self.fold("catalog", Arc::new(Postgres::new(&options)?))?;
            rows.push(self.row("catalog", "PostgreSQL", seconds));
        }
        if let Some(server) = mirage_servers::neo4j() {
            // The server's virtual machine gets faster as it works.
            self.graph(server.bolt(), 0)?;
            let seconds = self.graph(server.bolt(), 1)?;
            rows.push(self.row("graph", "Neo4j", seconds));
        }
        Ok(rows)
    }

    fn graph(&self, bolt: &str, turn: usize) -> Result<f64> {
        let space = format!("bench_{}_up_{turn}", std::process::id());
        let home = Arc::new(Neo4j::at(&Neo4jOptions::at(bolt).in_namespace(space))?);
        let seconds = self.fold("graph", home.clone())?;
        home.discard(named("graph")?)?;
        Ok(seconds)
    }

    fn fold(&self, view: &str, home: Arc<dyn Home>) -> Result<f64> {
        let runner = Runner::open_at(self.log.clone(), [(named(view)?, home)])?;
        let begun = Instant::now();
        self.runtime.block_on(runner.fold_to_head())?;
        Ok(begun.elapsed().as_secs_f64())
    }

    fn row(&self, view: &str, store: &str, seconds: f64) -> Row {
        let rate = self.events / seconds;
        let events = grouped(self.events);
        Row {
            what: format!("{events} events on JetStream, {view} on {store} catches up"),
            bare: format!("{} events/s (a scan appends)", grouped(self.live)),
            wanted: "> 1×".to_owned(),
            ..Row::rates("", "events", (rate, self.live), "")
        }
    }
}
