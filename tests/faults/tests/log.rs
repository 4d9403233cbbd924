//! The log under kills, stops, a full disk and a failing fsync.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use mirage_faults::{Appender, Ledger, Said, skip};
use mirage_log::contract::encoded;
use mirage_log::sqlite::Sqlite;
use mirage_log::{AppendError, EventLog};

/// Cycles of kill and check; more by `FAULT_CYCLES`.
fn cycles() -> u64 {
    std::env::var("FAULT_CYCLES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(25)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_loses_no_acknowledged_commit_and_writes_none_twice() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut ledger = Ledger::default();
    for cycle in 0..cycles() {
        let appender = Appender::start(dir.path(), cycle, &[])?;
        // A different number of acknowledgements each time: the kill falls at another point.
        for _ in 0..(1 + cycle * 37 % 211) {
            ledger.note(appender.next()?);
        }
        appender
            .kill()?
            .into_iter()
            .for_each(|said| ledger.note(said));
        ledger.check(dir.path()).await?;
    }
    assert!(ledger.refused.is_empty(), "{:?}", ledger.refused);
    assert!(ledger.len() as u64 > cycles());
    ledger.plant("00000000-0000-0000-0000-000000000000", 1);
    let found = ledger.check(dir.path()).await.unwrap_err().to_string();
    assert!(
        found.starts_with("acknowledged and lost"),
        "the checker missed a planted loss: {found}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_process_that_holds_the_lock_is_named_and_nothing_is_lost() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let log = Sqlite::open(dir.path())?;
    let mut ledger = Ledger::default();
    for cycle in 0..50 {
        let appender = Appender::start(dir.path(), cycle, &[])?;
        for _ in 0..(3 + cycle % 5) {
            ledger.note(appender.next()?);
        }
        appender.signal("STOP")?;
        let refused = log.append(encoded(cycle + 1, None), None).await;
        let pid = appender.pid().to_string();
        appender.signal("CONT")?;
        appender
            .kill()?
            .into_iter()
            .for_each(|said| ledger.note(said));
        // Only a stop inside a transaction holds the lock: the loop goes on until one did.
        if let Err(AppendError::Busy { pid: named }) = refused {
            assert_eq!(named, pid);
            drop(log);
            return ledger.check(dir.path()).await;
        }
    }
    skip(
        "a_stopped_process_that_holds_the_lock",
        "no stop fell into a transaction in 50 tries",
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_refused_clearly_and_heals_by_itself() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(small) = Tmpfs::mount(dir.path(), "3m") else {
        skip("a_full_disk", "a tmpfs cannot be mounted here");
        return Ok(());
    };
    let mut ledger = Ledger::default();
    let appender = Appender::start(dir.path(), 1, &[])?;
    loop {
        let said = appender.next()?;
        let is_full = said == Said::Refused("disk_full".into());
        ledger.note(said);
        if is_full {
            break;
        }
    }
    assert!(!ledger.is_empty());
    small.grow("64m")?;
    let mut healed = 0;
    while healed < 100 {
        if let said @ Said::Acknowledged { .. } = appender.next()? {
            ledger.note(said);
            healed += 1;
        }
    }
    appender
        .kill()?
        .into_iter()
        .for_each(|said| ledger.note(said));
    ledger.check(dir.path()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_after_a_failed_fsync() -> Result<()> {
    if Command::new("strace").arg("-V").output().is_err() {
        skip("a_failed_fsync", "strace is not installed");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    drop(Sqlite::open(dir.path())?);
    let inject = "inject=fsync,fdatasync:error=EIO:when=12+";
    let strace = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        inject,
    ];
    let mut ledger = Ledger::default();
    let appender = Appender::start(dir.path(), 1, &strace)?;
    let mut is_closed = false;
    while let Ok(said) = appender.next() {
        is_closed |= said == Said::Refused("log_write_failed".into());
        ledger.note(said);
        if ledger.refused.len() >= 20 {
            break;
        }
    }
    appender.kill()?;
    assert!(is_closed && !ledger.is_empty(), "{ledger:?}");
    assert!(
        ledger.late.is_empty(),
        "acknowledged after a failed fsync: {ledger:?}"
    );
    ledger.check(dir.path()).await
}

/// A small file system in memory, unmounted when it is dropped.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .output();
        mounted.ok()?.status.success().then_some(Self(at))
    }

    fn grow(&self, size: &str) -> Result<()> {
        let options = format!("remount,size={size}");
        anyhow::ensure!(
            Command::new("mount")
                .args(["-o", &options])
                .arg(self.0)
                .status()?
                .success()
        );
        Ok(())
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        // Lazily: a file may still be open in a process that is going away.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
