//! A bare load whose rows come from the log: on one core a bare reader, on the other the inserts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use mirage_domain::id::Digest;
use mirage_log::commit::decode;
use mirage_log::sqlite::path;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use super::rebuild::{Bare, Kept, schema, tables_of, take};

/// How often the inserts look how far the reader is.
const LOOK: Duration = Duration::from_micros(200);

/// Rows of one transaction, and the part of the log after which they are there.
struct Batch {
    table: usize,
    width: usize,
    rows: Vec<Value>,
    part: f64,
}

/// The time from the first commit read to the last row on disk.
pub(super) fn load(from: &Path, to: &Path, index: &[&str], data: &Path) -> Result<Duration> {
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let (indexes, statements): (Vec<String>, Vec<String>) = schema(&source)?
        .into_iter()
        .partition(|statement| statement.starts_with("CREATE INDEX"));
    let tables = tables_of(&source)?;
    let batches = batches(&source, &tables)?;
    let begun = Instant::now();
    let reader = Reader::start(data.to_owned());
    let bare = Bare::create(to, &statements)?;
    for kept in tables.iter().filter(|kept| kept.key.is_some()) {
        bare.gather(&kept.table)?;
    }
    for batch in &batches {
        reader.wait(batch.part);
        let table = tables[batch.table].table.as_str();
        let index = if table == "documents" { index } else { &[] };
        bare.insert(table, batch.width, &batch.rows, index)?;
    }
    reader.end()?;
    bare.put_all_in_order(&tables, &indexes)?;
    drop(bare);
    std::fs::File::open(to)?.sync_all()?;
    let spent = begun.elapsed();
    std::fs::remove_file(to)?;
    Ok(spent)
}

/// All rows, table by table within the same part of the log.
fn batches(source: &Connection, tables: &[Kept]) -> Result<Vec<Batch>> {
    let mut all = Vec::new();
    for (at, Kept { table, key }) in tables.iter().enumerate() {
        let order = key.as_ref().map_or("", |_| "ORDER BY cursor");
        let mut statement = source.prepare(&format!("SELECT * FROM {table} {order}"))?;
        let width = statement.column_count();
        let mut rows = statement.query([])?;
        let first = all.len();
        loop {
            let rows = take(&mut rows, width)?;
            if rows.is_empty() {
                break;
            }
            all.push(Batch {
                table: at,
                width,
                rows,
                part: 0.0,
            });
        }
        let count = all.len() - first;
        for (n, batch) in all[first..].iter_mut().enumerate() {
            batch.part = (n + 1) as f64 / count as f64;
        }
    }
    all.sort_by(|one, other| one.part.total_cmp(&other.part));
    Ok(all)
}

/// A thread that reads, hashes and decodes the log, and tells how much of it.
pub(super) struct Reader {
    millionths: Arc<AtomicU64>,
    thread: JoinHandle<Result<()>>,
}

impl Reader {
    pub(super) fn start(data: PathBuf) -> Self {
        let millionths = Arc::new(AtomicU64::new(0));
        let told = millionths.clone();
        let thread = std::thread::spawn(move || {
            let outcome = read(&data, &told);
            // Nobody waits for a reader that has failed.
            told.store(1_000_000, Ordering::Release);
            outcome
        });
        Self { millionths, thread }
    }

    pub(super) fn wait(&self, part: f64) {
        let wanted = (part * 1e6) as u64;
        while self.millionths.load(Ordering::Acquire) < wanted {
            std::thread::sleep(LOOK);
        }
    }

    pub(super) fn end(self) -> Result<()> {
        self.thread
            .join()
            .map_err(|_| anyhow!("the reader panicked"))?
    }
}

fn read(data: &Path, told: &AtomicU64) -> Result<()> {
    let connection = Connection::open_with_flags(path(data), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let count = "SELECT count(*) FROM commits";
    let count: i64 = connection.query_row(count, [], |row| row.get(0))?;
    let mut statement = connection.prepare("SELECT hash, bytes FROM commits ORDER BY position")?;
    let mut rows = statement.query([])?;
    let mut done: i64 = 0;
    while let Some(row) = rows.next()? {
        let hash: [u8; 32] = row.get(0)?;
        let bytes = row.get_ref(1)?.as_blob()?;
        anyhow::ensure!(Digest::of(bytes).0 == hash);
        std::hint::black_box(decode(bytes)?);
        done += 1;
        told.store((done * 1_000_000 / count) as u64, Ordering::Release);
    }
    Ok(())
}
