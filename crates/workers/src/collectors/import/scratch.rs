//! What an importer looks up while it reads: tables on disk, whatever the size of the file.
//!
//! A private database in the system's folder for temporary files, gone with its connection.

use rusqlite::Connection;

use super::BadFile;

/// Rows that a table keeps in memory: the parents of what is read now.
pub(super) const ROWS_MAX: usize = 4096;
/// Longest chain of parents; what hangs deeper is told and hangs under the file.
pub(super) const DEPTH_MAX: usize = 256;
/// Records of one transaction.
const BATCH: usize = 10_000;

const QUICK: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -16384;
";

/// A database that nobody else sees.
pub(super) struct Scratch {
    pub(super) db: Connection,
    waiting: usize,
}

impl Scratch {
    /// With these tables.
    pub(super) fn new(tables: &str) -> Result<Self, BadFile> {
        // No path: a file of its own that SQLite removes.
        let db = Connection::open("").map_err(failed)?;
        db.execute_batch(&format!("{QUICK}{tables}; BEGIN;"))
            .map_err(failed)?;
        Ok(Self { db, waiting: 0 })
    }

    /// A record was taken note of.
    pub(super) fn noted(&mut self) -> Result<(), BadFile> {
        self.waiting += 1;
        if self.waiting >= BATCH {
            self.db.execute_batch("COMMIT; BEGIN").map_err(failed)?;
            self.waiting = 0;
        }
        Ok(())
    }
}

pub(super) fn failed(error: rusqlite::Error) -> BadFile {
    BadFile::new(
        format!("the table of parents cannot be kept: {error}"),
        "free some space in the folder for temporary files, or name another one in TMPDIR",
    )
}
