//! Who holds the write lock of a log.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

/// How long a writer waits for another process.
pub(super) const BUSY_MAX: Duration = Duration::from_secs(5);

/// Switches a database to WAL. SQLite's own waiting does not cover the switch, which two starters of a fresh file make at
/// the same moment: whoever comes second tries again for as long as a writer waits.
pub fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        let switched = connection.pragma_update(None, "journal_mode", "WAL");
        let is_busy = switched.as_ref().is_err_and(|error| {
            let code = error.sqlite_error_code();
            matches!(
                code,
                Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
            )
        });
        if !is_busy || begun.elapsed() >= BUSY_MAX {
            return switched;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// SQLite locks this byte of the shared-memory file for writing (SQLite file format, "WAL-Index Locks").
const WRITE_LOCK_BYTE: &str = "120";

/// The pid of the process that holds the write lock, as far as the system tells.
///
/// It is read from `/proc/locks`: opening the locked file here would drop this process's own locks on it.
pub(super) fn holder(log: &Path) -> String {
    find(log).unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(target_os = "linux")]
fn find(log: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let mut shared = log.as_os_str().to_owned();
    shared.push("-shm");
    let inode = format!(":{}", std::fs::metadata(shared).ok()?.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        // "1: POSIX  ADVISORY  WRITE 4711 fd:00:123456 120 120"
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "POSIX", _, "WRITE", pid, file, first, _] = fields[..] else {
            return None;
        };
        let is_it = file.ends_with(&inode) && first == WRITE_LOCK_BYTE;
        is_it.then(|| pid.to_owned())
    })
}

#[cfg(not(target_os = "linux"))]
fn find(_: &Path) -> Option<String> {
    None
}
