//! The reads that are timed: one row each, asked of a random host.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use mirage_domain::id::{EntityId, Position};
use mirage_log::contract::{scan, workspace};
use mirage_projections::catalog::{EntityFilter, FindingFilter, Page, Reader};
use mirage_projections::{Db, graph, named, search};

use super::made::{self, Company, entity, finding};
use crate::row::{Row, grouped, median};

/// How often each is asked at each position.
const ROUNDS: usize = 41;
/// The same for what costs with the size of the scan.
const WHOLE_ROUNDS: usize = 3;
/// Rows of a page.
const ROWS: u32 = 100;

/// The views of a data directory, open.
pub(super) struct Views {
    catalog: Db,
    graph: Db,
    search: Db,
}

/// One question to readers as of a position, about a host; answers how many rows it got.
pub(super) type Ask = fn(&Views, Option<Position>, usize) -> Result<usize>;

/// A name and the question.
pub(super) struct Read {
    pub(super) what: &'static str,
    pub(super) ask: Ask,
    /// Costs with the size of the scan, so that few rounds say enough.
    is_whole: bool,
}

const fn read(what: &'static str, ask: Ask) -> Read {
    Read {
        what,
        ask,
        is_whole: false,
    }
}

pub(super) static READS: &[Read] = &[
    read("newest 100 findings", |views, at, _| {
        let filter = FindingFilter {
            scan: Some(scan()),
            ..FindingFilter::default()
        };
        let listed = views.catalog(at)?.findings(&filter, &Page::newest(ROWS))?;
        Ok(listed.rows.len())
    }),
    read("newest 100 entities", |views, at, _| {
        let filter = EntityFilter {
            scan: Some(scan()),
            ..EntityFilter::default()
        };
        let listed = views.catalog(at)?.entities(&filter, &Page::newest(ROWS))?;
        Ok(listed.rows.len())
    }),
    read("why of a finding", |views, at, host| {
        let why = views.catalog(at)?.why(&scan(), finding(host, 5))?;
        Ok(why.context("a finding")?.steps.len())
    }),
    read("why of an entity", |views, at, host| {
        let why = views
            .catalog(at)?
            .why_entity(made::id(&entity(host, 6)), Some(&scan()))?;
        Ok(why.context("an entity")?.steps.len())
    }),
    read("neighbours of a host", |views, at, host| {
        views.neighbors(at, host, 0)
    }),
    read(
        "first page of the neighbours of a program that runs on every twentieth host",
        |views, at, host| views.expand(at, host, 5),
    ),
    Read {
        is_whole: true,
        ..read(
            "the same with its findings and with all neighbours counted by kind",
            |views, at, host| views.neighbors(at, host, 5),
        )
    },
    read("search, a word of every tenth", |views, at, _| {
        views.search(at, "welcome")
    }),
    read("search, a host's name", |views, at, host| {
        views.search(at, &format!("host-{host}"))
    }),
    Read {
        is_whole: true,
        ..read("counts of the scan", |views, at, _| {
            let detail = views.catalog(at)?.scan(&scan())?;
            Ok(detail.context("a scan")?.scan.findings as usize)
        })
    },
];

impl Views {
    pub(super) fn open(data: &Path) -> Result<Self> {
        Ok(Self {
            catalog: Db::open(data, named("catalog")?)?,
            graph: Db::open(data, named("graph")?)?,
            search: Db::open(data, named("search")?)?,
        })
    }

    fn catalog(&self, at: Option<Position>) -> Result<Reader<'_>> {
        Ok(Reader::new(&self.catalog, &workspace(), at)?)
    }

    pub(super) fn first_findings(&self) -> Result<usize> {
        let filter = FindingFilter {
            scan: Some(scan()),
            ..FindingFilter::default()
        };
        let listed = self.catalog(None)?.findings(&filter, &Page::first(ROWS))?;
        Ok(listed.rows.len())
    }

    pub(super) fn entity(&self, id: EntityId) -> Result<usize> {
        let found = self.catalog(None)?.entity(id)?;
        Ok(found.context("an entity")?.claims.len())
    }

    fn neighbors(&self, at: Option<Position>, host: usize, place: usize) -> Result<usize> {
        let reader = graph::Reader::new(&self.graph, &workspace(), at)?;
        let page = graph::Page::first(ROWS);
        let found = reader.neighbors(
            made::id(&entity(host, place)),
            &graph::Among::default(),
            &page,
        )?;
        Ok(found.context("an entity")?.page.rows.len())
    }

    fn expand(&self, at: Option<Position>, host: usize, place: usize) -> Result<usize> {
        let reader = graph::Reader::new(&self.graph, &workspace(), at)?;
        let (id, among) = (made::id(&entity(host, place)), graph::Among::default());
        ensure!(reader.holds(id, &among)?, "an entity");
        let page = graph::Page::first(ROWS);
        Ok(reader.expand(id, &among, &page)?.rows.len())
    }

    pub(super) fn search(&self, at: Option<Position>, text: &str) -> Result<usize> {
        let reader = search::Reader::new(&self.search, &workspace(), at)?;
        let query = search::Query::parse(text)?;
        let filter = query.filter(|scan| scan.parse())?;
        Ok(reader
            .search(&query, &filter, &search::Page::first(50))?
            .hits
            .len())
    }
}

impl Read {
    /// Milliseconds of the middle question, as of each of the positions in turns, about hosts below a bound.
    pub(super) fn median_ms<const N: usize>(
        &self,
        views: &Views,
        positions: [Option<Position>; N],
        hosts: usize,
    ) -> Result<[f64; N]> {
        let rounds = if self.is_whole { WHOLE_ROUNDS } else { ROUNDS };
        let mut times = [const { Vec::new() }; N];
        for round in 0..rounds {
            // Hosts from all over, none twice.
            let host = (round * (hosts / ROUNDS) + round) % hosts;
            for (at, times) in positions.iter().zip(&mut times) {
                let begun = Instant::now();
                let rows = (self.ask)(views, *at, host)?;
                times.push(begun.elapsed().as_secs_f64() * 1e3);
                ensure!(rows > 0, "{}: nothing about host {host}", self.what);
            }
        }
        Ok(times.map(median))
    }
}

/// Each read as of half the log beside the newest.
pub(super) fn then_and_now(data: &Path, company: &Company, findings: usize) -> Result<Vec<Row>> {
    let views = Views::open(data)?;
    let half = views.catalog.position()?.0 / 2;
    // Hosts that were there by then.
    let hosts = company.hosts() / 2 * 9 / 10;
    let row = |read: &Read| {
        let [then, now] = read.median_ms(&views, [Some(Position(half)), None], hosts)?;
        Ok(Row {
            what: format!(
                "{} findings, as of half: {}",
                grouped(findings as f64),
                read.what
            ),
            ours: format!("{then:.2} ms"),
            bare: format!("{now:.2} ms (newest)"),
            ratio: Some(then / now),
            wanted: "≤ 2×".to_owned(),
            remark: String::new(),
        })
    };
    READS.iter().map(row).collect()
}
