//! Views at several sizes: rebuilding, reading now and as of then, growing.
//!
//! The log grows through the three sizes. At the smaller two the views follow; at the last each is rebuilt in a process
//! of its own, so that its memory is its own, and a bare client then loads the same rows into the same tables.

mod asked;
mod fed;
mod growth;
mod made;
mod marks;
mod neo4j;
mod postgres;
mod reads;
mod rebuild;
mod upserts;
mod words;

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use mirage_log::EventLog;
use mirage_log::sqlite::Sqlite;
use mirage_projections::Runner;

use crate::row::Row;
pub(crate) use asked::Asked;
use growth::Growth;
use made::Company;
pub(crate) use made::Company as Made;
pub(crate) use neo4j::run as into_neo4j;
pub(crate) use postgres::run as into_postgres;
pub(crate) use rebuild::inner;

/// Sizes at which growth is looked at, as parts of the whole.
const PARTS: [usize; 3] = [100, 10, 1];

pub(crate) fn run(dir: &Path, findings: usize) -> Result<Vec<Row>> {
    let place = tempfile::tempdir_in(dir)?;
    let data = place.path();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(data)?);
    let (mut company, mut growth) = (Company::default(), Growth::default());
    let mut rows = Vec::new();
    for part in PARTS {
        runtime.block_on(company.grow(&*log, findings / part))?;
        let appended = runtime.block_on(growth::append(&*log, company.tasks))?;
        match part {
            1 => rows.extend(rebuild::run(data, findings)?),
            _ => runtime.block_on(Runner::open(data, log.clone())?.fold_to_head())?,
        }
        growth.look(data, &company, appended)?;
    }
    rows.extend(growth.rows(findings));
    rows.extend(reads::then_and_now(data, &company, findings)?);
    rows.extend(words::run(data, findings)?);
    runtime.block_on(marks::mark(&*log, company.hosts()))?;
    runtime.block_on(Runner::open(data, log.clone())?.fold_to_head())?;
    rows.extend(marks::run(data, findings)?);
    Ok(rows)
}
