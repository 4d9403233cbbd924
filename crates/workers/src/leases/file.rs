//! Leases in a file, shared by the processes of one machine.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use mirage_domain::id::ScanId;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, LEASE, Leases};

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS leases (
    scan TEXT PRIMARY KEY, holder TEXT NOT NULL, until_ms INTEGER NOT NULL) STRICT";

/// See the module's doc.
pub struct LeaseFile {
    connection: Mutex<Connection>,
}

impl LeaseFile {
    pub fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(2))?;
        mirage_log::sqlite::use_wal(&connection)?;
        // A hint that is lost in a power cut is a hint that nobody holds any more.
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    fn with<T>(&self, act: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        act(&self.connection.lock().expect("no holder panics"))
    }

    /// Voids the lease of a process of this machine that is gone: nobody needs to wait for it to run out.
    fn bury(&self, what: &str, now: Timestamp) -> rusqlite::Result<()> {
        match self.holder(what, now)? {
            Some(holder) if is_gone(&holder) => self.release(what, &holder),
            _ => Ok(()),
        }
    }

    /// Takes or renews the lease; `Err` in the answer names who holds it.
    pub fn take(
        &self,
        what: &str,
        holder: &str,
        now: Timestamp,
    ) -> rusqlite::Result<Result<(), String>> {
        self.bury(what, now)?;
        let until = now.as_millisecond() + LEASE.as_millis() as i64;
        let taken = self.with(|connection| {
            connection.execute(
                "INSERT INTO leases (scan, holder, until_ms) VALUES (?1, ?2, ?3)
                 ON CONFLICT (scan) DO UPDATE SET holder = ?2, until_ms = ?3
                 WHERE holder = ?2 OR until_ms < ?4",
                params![what, holder, until, now.as_millisecond()],
            )
        })?;
        match taken {
            0 => Ok(Err(self.holder(what, now)?.unwrap_or_default())),
            _ => Ok(Ok(())),
        }
    }

    /// Who holds it now, if anybody does.
    pub fn holder(&self, what: &str, now: Timestamp) -> rusqlite::Result<Option<String>> {
        self.with(|connection| {
            connection
                .query_row(
                    "SELECT holder FROM leases WHERE scan = ?1 AND until_ms >= ?2",
                    params![what, now.as_millisecond()],
                    |row| row.get(0),
                )
                .optional()
        })
    }

    /// Scans whose lease has run out, or is held by a process that is gone, and who holds it.
    pub fn stale(&self, now: Timestamp) -> rusqlite::Result<Vec<(ScanId, String)>> {
        let sql = "SELECT scan, holder, until_ms FROM leases ORDER BY scan";
        let all: Vec<(String, String, i64)> = self.with(|connection| {
            let mut statement = connection.prepare(sql)?;
            let rows =
                statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect()
        })?;
        let is_stale = |holder: &str, until: i64| until < now.as_millisecond() || is_gone(holder);
        let stale = all
            .into_iter()
            .filter(|(_, holder, until)| is_stale(holder, *until));
        let named = stale.filter_map(|(scan, holder, _)| Some((ScanId::new(&scan).ok()?, holder)));
        Ok(named.collect())
    }

    /// Gives a lease back.
    pub fn release(&self, what: &str, holder: &str) -> rusqlite::Result<()> {
        let sql = "DELETE FROM leases WHERE scan = ?1 AND holder = ?2";
        self.with(|connection| connection.execute(sql, params![what, holder]))
            .map(|_| ())
    }
}

#[async_trait]
impl Leases for LeaseFile {
    async fn take(
        &self,
        what: &str,
        holder: &str,
        now: Timestamp,
    ) -> Result<Result<(), String>, Error> {
        Ok(Self::take(self, what, holder, now)?)
    }

    async fn holder(&self, what: &str, now: Timestamp) -> Result<Option<String>, Error> {
        Ok(Self::holder(self, what, now)?)
    }

    async fn release(&self, what: &str, holder: &str) -> Result<(), Error> {
        Ok(Self::release(self, what, holder)?)
    }
}

/// How this process names itself: pid, when it was started, and of which boot, so that a reused pid is another holder.
pub fn this_process() -> String {
    let pid = std::process::id();
    let (start, boot) = (started(pid).unwrap_or_default(), boot().unwrap_or_default());
    format!("process {pid} {start} {boot}")
}

/// Whether a holder was a process of this boot of this machine that is no more.
fn is_gone(holder: &str) -> bool {
    let words: Vec<&str> = holder.split(' ').collect();
    let ["process", pid, start, its_boot] = words[..] else {
        return false;
    };
    let Ok(pid) = pid.parse::<u32>() else {
        return false;
    };
    let is_here = !its_boot.is_empty() && boot().as_deref() == Some(its_boot);
    is_here && started(pid).as_deref() != Some(start)
}

/// When a process was started, in ticks since boot: field 22 of proc_pid_stat(5). `None` where there is none.
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, which may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(str::to_owned)
}

fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_until_it_gives_back_or_goes_silent() {
        let dir = tempfile::tempdir().unwrap();
        let leases = LeaseFile::open(&dir.path().join("leases.db")).unwrap();
        let scan = ScanId::new("scn_a").unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(leases.take(scan.as_str(), "one", at(0)).unwrap(), Ok(()));
        assert_eq!(leases.take(scan.as_str(), "one", at(3)).unwrap(), Ok(()));
        assert_eq!(
            leases.take(scan.as_str(), "two", at(7)).unwrap(),
            Err("one".into())
        );
        assert_eq!(leases.take(scan.as_str(), "two", at(9)).unwrap(), Ok(()));
        assert_eq!(
            leases.holder(scan.as_str(), at(10)).unwrap().as_deref(),
            Some("two")
        );
        leases.release(scan.as_str(), "one").unwrap();
        assert_eq!(
            leases.holder(scan.as_str(), at(10)).unwrap().as_deref(),
            Some("two")
        );
        leases.release(scan.as_str(), "two").unwrap();
        assert_eq!(leases.holder(scan.as_str(), at(10)).unwrap(), None);
    }

    #[test]
    fn a_process_that_is_gone_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let leases = LeaseFile::open(&dir.path().join("leases.db")).unwrap();
        let scan = ScanId::new("scn_a").unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let (start, boot) = (started(child.id()).unwrap(), boot().unwrap());
        let holder = format!("process {} {start} {boot}", child.id());
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(leases.take(scan.as_str(), &holder, now).unwrap(), Ok(()));
        assert_eq!(
            leases.take(scan.as_str(), "other", now).unwrap(),
            Err(holder)
        );
        child.kill().unwrap();
        child.wait().unwrap();
        let stale = leases.stale(now).unwrap();
        assert_eq!(stale.len(), 1);
        assert_eq!(leases.take(scan.as_str(), "other", now).unwrap(), Ok(()));
        assert_eq!(leases.stale(now).unwrap(), []);
        assert!(!is_gone(&this_process()));
    }
}
