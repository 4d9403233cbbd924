//! A rebuild of each view beside two bare loads of its rows: in turns, of which the middle counts.
//!
//! One bare load is fed: a bare reader reads, hashes and decodes the log on the other core, and rows go in no sooner than
//! their commits were decoded. The other one has its rows from nowhere, and bounds what any loader could reach.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mirage_log::EventLog;
use mirage_log::sqlite::Sqlite;
use mirage_projections::Runner;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row as Record, params_from_iter};

use super::fed;
use crate::machine::{peak, resident};
use crate::row::{Row, grouped};

/// Resident memory that DESIGN §8 allows.
const MEMORY: &str = "≤ 256 MiB";
/// The machine writes what was written before while a turn is taken.
const TURNS: usize = 3;
/// Rows of one bare statement, and rows of one bare transaction: about a batch of the runner.
const ROWS: usize = 64;
const BATCH: usize = 8_192;
/// Pages that a build keeps while it is fed, and while it is put in order, in KiB.
const CACHE_KIB: i64 = 24 * 1024;
const SORTED_KIB: i64 = 4 * 1024;

/// A view, what feeds its indexes in the bare one beside the rows, and the ratio that DESIGN wants.
struct View {
    name: &'static str,
    /// `?1` and `?2` are the least and greatest cursor of a batch.
    index: &'static [&'static str],
    wanted: &'static str,
}

static VIEWS: [View; 3] = [
    View {
        name: "catalog",
        index: &[],
        wanted: "≥ 0.8×",
    },
    View {
        name: "graph",
        index: &[],
        wanted: "≥ 0.9×",
    },
    View {
        name: "search",
        index: &[
            "INSERT INTO words (rowid, key, text, marks)
             SELECT cursor, key, text, marks FROM indexed WHERE cursor BETWEEN ?1 AND ?2",
            "INSERT INTO parts (rowid, key, unspaced)
             SELECT cursor, key, unspaced FROM indexed WHERE cursor BETWEEN ?1 AND ?2",
        ],
        wanted: "≥ 0.9×",
    },
];

/// Rebuilds every view of a data directory.
pub(super) fn run(data: &Path, findings: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for view in &VIEWS {
        let (mut ours, mut fed, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        let (mut bytes, mut mib) = (0, 0);
        for _ in 0..TURNS {
            let (seconds, peak) = child(data, view)?;
            let built = newest(&data.join("views"), view.name)?;
            bytes = std::fs::metadata(&built)?.len() / findings as u64;
            let to = data.join("bare.db");
            let loaded = load(&built, &to, view.index)?;
            ours.push(seconds);
            bare.push(loaded.as_secs_f64());
            fed.push(fed::load(&built, &to, view.index, data)?.as_secs_f64());
            mib = mib.max(peak);
        }
        let (seconds, fed, bare) = (middle(ours), middle(fed), middle(bare));
        let rates = |other| (findings as f64 / seconds, findings as f64 / other);
        let what = format!(
            "{} findings, rebuild of {}",
            grouped(findings as f64),
            view.name
        );
        rows.push(
            Row::rates(&what, "findings", rates(fed), view.wanted).remark(format!(
                "{seconds:.1} s against {fed:.1} s, middle of {TURNS} turns, {bytes} bytes a finding; \
                 both read, verify and decode the log beside it"
            )),
        );
        let bound = format!("{what}, against rows from nowhere");
        rows.push(
            Row::rates(&bound, "findings", rates(bare), "–").remark(format!(
                "{seconds:.1} s against {bare:.1} s: the bare one has its rows in memory, as the log orders them, \
                 and no log to read"
            )),
        );
        rows.push(Row {
            what: format!("{what}: peak memory"),
            ours: format!("{mib} MiB"),
            bare: "–".to_owned(),
            ratio: None,
            wanted: MEMORY.to_owned(),
            remark: String::new(),
        });
    }
    Ok(rows)
}

fn middle(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Seconds and MiB of a rebuild in a process of its own.
fn child(data: &Path, view: &View) -> Result<(f64, u64)> {
    let child = Command::new(std::env::current_exe()?)
        .args(["--only", &format!("rebuild-{}", view.name), "--dir"])
        .arg(data)
        .output()
        .context("starting the child")?;
    let complaint = String::from_utf8_lossy(&child.stderr);
    ensure!(child.status.success(), "{complaint}");
    let said = String::from_utf8(child.stdout)?;
    let row = said.lines().filter_map(Row::parse).next_back();
    let row = row.context("the child tells a row")?;
    Ok((row.ours.parse()?, row.bare.parse()?))
}

/// What the child does: its row tells seconds and MiB.
pub(crate) fn inner(data: &Path, view: &str) -> Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let log: Arc<dyn EventLog> = Arc::new(Sqlite::open(data)?);
    let views = Runner::open(data, log)?;
    let begun = Instant::now();
    runtime.block_on(views.rebuild(view))?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(vec![Row {
        what: view.to_owned(),
        ours: format!("{seconds:.3}"),
        bare: (peak().max(resident()) / (1024 * 1024)).to_string(),
        ratio: None,
        wanted: String::new(),
        remark: String::new(),
    }])
}

/// The file of the highest build.
pub(super) fn newest(views: &Path, name: &str) -> Result<std::path::PathBuf> {
    let mut newest = None;
    for entry in std::fs::read_dir(views)? {
        let path = entry?.path();
        let file = path
            .file_name()
            .and_then(|file| file.to_str())
            .unwrap_or_default();
        let build = file
            .strip_suffix(".db")
            .filter(|file| file.starts_with(name));
        let build = build.and_then(|file| file.rsplit('.').next()?.parse::<u64>().ok());
        newest = newest.max(build.map(|build| (build, path)));
    }
    Ok(newest.context("the view's file")?.1)
}

/// Loads what a view holds into a new file, its indexes last; answers the time that its statements took.
fn load(from: &Path, to: &Path, index: &[&str]) -> Result<Duration> {
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let (indexes, tables): (Vec<String>, Vec<String>) = schema(&source)?
        .into_iter()
        .partition(|statement| statement.starts_with("CREATE INDEX"));
    let begun = Instant::now();
    let bare = Bare::create(to, &tables)?;
    let mut spent = begun.elapsed();
    for Kept { table, key } in tables_of(&source)? {
        // Rows come as the log tells them; those of a table that lies in its key are gathered and put in order at the
        // end, which is how it takes them fastest.
        let order = key.as_ref().map_or("", |_| "ORDER BY cursor");
        let mut statement = source.prepare(&format!("SELECT * FROM {table} {order}"))?;
        let width = statement.column_count();
        let mut rows = statement.query([])?;
        if key.is_some() {
            bare.gather(&table)?;
        }
        loop {
            let batch = take(&mut rows, width)?;
            if batch.is_empty() {
                break;
            }
            let index = if table == "documents" { index } else { &[] };
            let begun = Instant::now();
            bare.insert(&table, width, &batch, index)?;
            spent += begun.elapsed();
        }
        if let Some(key) = key {
            let begun = Instant::now();
            bare.0.pragma_update(None, "cache_size", -SORTED_KIB)?;
            bare.put_in_order(&table, &key)?;
            bare.0.pragma_update(None, "cache_size", -CACHE_KIB)?;
            spent += begun.elapsed();
        }
    }
    let begun = Instant::now();
    bare.0.pragma_update(None, "cache_size", -SORTED_KIB)?;
    for index in indexes {
        bare.0.execute_batch(&index)?;
    }
    drop(bare);
    std::fs::File::open(to)?.sync_all()?;
    spent += begun.elapsed();
    std::fs::remove_file(to)?;
    Ok(spent)
}

/// A table, and the columns of its key if it lies in that and not in the log's order.
pub(super) struct Kept {
    pub(super) table: String,
    pub(super) key: Option<String>,
}

pub(super) fn tables_of(source: &Connection) -> Result<Vec<Kept>> {
    let sql = "SELECT l.name, (
            SELECT group_concat(i.name, ', ' ORDER BY i.pk) FROM pragma_table_info(l.name) i
            WHERE i.pk > 0 AND l.wr = 1
            AND EXISTS (SELECT 1 FROM pragma_table_info(l.name) c WHERE c.name = 'cursor'))
        FROM pragma_table_list l
        WHERE l.schema = 'main' AND l.type = 'table' AND l.name NOT LIKE 'sqlite_%'";
    let mut statement = source.prepare(sql)?;
    let kept = statement.query_map([], |row| {
        Ok(Kept {
            table: row.get(0)?,
            key: row.get(1)?,
        })
    })?;
    Ok(kept.collect::<Result<_, _>>()?)
}

pub(super) fn schema(source: &Connection) -> Result<Vec<String>> {
    // An index of FTS5 makes its own tables.
    let sql = "SELECT s.sql FROM sqlite_schema s LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = s.name
        WHERE s.sql IS NOT NULL AND l.type IS NOT 'shadow' ORDER BY s.rowid";
    let mut statement = source.prepare(sql)?;
    let texts = statement.query_map([], |row| row.get(0))?;
    Ok(texts.collect::<Result<_, _>>()?)
}

pub(super) fn take(rows: &mut rusqlite::Rows<'_>, width: usize) -> Result<Vec<Value>> {
    let mut batch = Vec::new();
    while batch.len() < BATCH * width {
        let Some(row) = rows.next()? else { break };
        let value = |row: &Record<'_>, column| row.get::<_, Value>(column);
        for column in 0..width {
            batch.push(value(row, column)?);
        }
    }
    Ok(batch)
}

/// A file that is written as a build is: the same journal, the same cache, indexes merged as seldom.
pub(super) struct Bare(Connection);

impl Bare {
    pub(super) fn create(path: &Path, schema: &[String]) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "MEMORY")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        for statement in schema {
            connection.execute_batch(statement)?;
        }
        if schema.iter().any(|statement| statement.contains("words")) {
            let merged = "INSERT INTO parts (parts, rank) VALUES ('automerge', 0);
                INSERT INTO words (words, rank) VALUES ('automerge', 0)";
            connection.execute_batch(merged)?;
        }
        Ok(Self(connection))
    }

    /// Takes the rows of a table aside: a name without a schema means the temporary table first.
    pub(super) fn gather(&self, table: &str) -> Result<()> {
        let sql = format!("CREATE TEMP TABLE {table} AS SELECT * FROM main.{table}");
        Ok(self.0.execute_batch(&sql)?)
    }

    /// Rows that were gathered, then indexes, with the cache that sorting takes.
    pub(super) fn put_all_in_order(&self, tables: &[Kept], indexes: &[String]) -> Result<()> {
        self.0.pragma_update(None, "cache_size", -SORTED_KIB)?;
        for kept in tables {
            if let Some(key) = &kept.key {
                self.put_in_order(&kept.table, key)?;
            }
        }
        for index in indexes {
            self.0.execute_batch(index)?;
        }
        Ok(())
    }

    fn put_in_order(&self, table: &str, key: &str) -> Result<()> {
        let sql = format!(
            "INSERT INTO main.{table} SELECT * FROM temp.{table} ORDER BY {key}; DROP TABLE temp.{table}"
        );
        Ok(self.0.execute_batch(&sql)?)
    }

    pub(super) fn insert(
        &self,
        table: &str,
        width: usize,
        batch: &[Value],
        index: &[&str],
    ) -> Result<()> {
        let one = format!("({})", vec!["?"; width].join(","));
        self.0.execute_batch("BEGIN IMMEDIATE")?;
        for rows in batch.chunks(ROWS * width) {
            let many = vec![one.as_str(); rows.len() / width].join(",");
            let sql = format!("INSERT OR IGNORE INTO {table} VALUES {many}");
            self.0
                .prepare_cached(&sql)?
                .execute(params_from_iter(rows))?;
        }
        let ends = [&batch[0], &batch[batch.len() - width]];
        for sql in index {
            self.0.prepare_cached(sql)?.execute(ends)?;
        }
        self.0.execute_batch("COMMIT")?;
        Ok(())
    }
}
