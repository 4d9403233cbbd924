//! The SQLite log: the contract, damage of every kind, other processes, a log put back.

use std::fs;

use mirage_domain::id::Digest;
use rusqlite::params;
use tempfile::TempDir;

use super::*;
use crate::contract::encoded;
use crate::verify;

async fn fresh() -> (Sqlite, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (Sqlite::open(dir.path()).unwrap(), dir)
}

crate::contract::suite!(fresh);

async fn filled(commits: u64) -> TempDir {
    let (log, dir) = fresh().await;
    for n in 1..=commits {
        let tip = log.append(encoded(n, None), None).await.unwrap();
        log.append(encoded(n, Some(tip)), Some(tip)).await.unwrap();
    }
    dir
}

fn tamper(dir: &TempDir, sql: &str) {
    let connection = Connection::open(path(dir.path())).unwrap();
    connection.execute_batch(sql).unwrap();
}

async fn verdict(dir: &TempDir) -> Result<crate::Verified, String> {
    let log = Sqlite::open(dir.path()).map_err(|error| match error {
        OpenError::Damaged(cause) => format!("open: {cause}"),
        other => format!("open: {other}"),
    })?;
    log.check_file().await.map_err(|error| error.to_string())?;
    verify(&log).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_clean_log_verifies() {
    let dir = filled(10).await;
    let verified = verdict(&dir).await.unwrap();
    assert_eq!(
        (verified.head.position, verified.events, verified.streams),
        (Position(20), 20, 10)
    );
}

/// The log as one file, without what SQLite keeps beside it.
fn image(dir: &TempDir) -> Vec<u8> {
    let copy = dir.path().join("copy.db");
    tamper(dir, &format!("VACUUM INTO '{}'", copy.display()));
    let bytes = fs::read(&copy).unwrap();
    fs::remove_file(copy).unwrap();
    bytes
}

/// Puts a file in the place of the log.
fn put(dir: &TempDir, image: &[u8]) {
    for beside in ["log.db-wal", "log.db-shm"] {
        let _ = fs::remove_file(dir.path().join(beside));
    }
    fs::write(path(dir.path()), image).unwrap();
}

#[tokio::test]
async fn a_flipped_bit_of_a_commit_is_found_with_its_position() {
    let dir = filled(5).await;
    let image = image(&dir);
    let needle = br#"{"format":1,"#;
    let starts = image
        .windows(needle.len())
        .enumerate()
        .filter(|(_, window)| window == needle);
    let mut found = 0;
    for ((start, _), offset) in
        starts.zip([0, 5, 40, 90, 130, 200, 260, 300, 350, 400].iter().cycle())
    {
        let mut flipped = image.clone();
        flipped[start + offset] ^= 1;
        put(&dir, &flipped);
        // A page keeps what was moved to another one: a flip in such a remnant is a flip in nothing.
        let Err(verdict) = verdict(&dir).await else {
            continue;
        };
        assert!(
            verdict.starts_with("position ") && verdict.contains("the bytes"),
            "{verdict}"
        );
        found += 1;
    }
    assert_eq!(found, 10, "one flip in each commit");
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_the_file_is_found_or_changes_nothing() {
    let dir = filled(30).await;
    let image = image(&dir);
    let clean = verdict(&dir).await.unwrap();
    let mut found = 0;
    for n in 0..120 {
        let mut flipped = image.clone();
        let at = (n * 7919) % image.len();
        flipped[at] ^= 1 << (n % 8);
        put(&dir, &flipped);
        match verdict(&dir).await {
            Ok(verified) => assert_eq!(verified, clean, "byte {at}"),
            Err(_) => found += 1,
        }
    }
    assert!(
        found > 60,
        "{found} of 120: most of the file is commits and their index"
    );
}

#[tokio::test]
async fn a_removed_renumbered_or_rewritten_commit_is_found() {
    for (sql, found) in [
        (
            "DELETE FROM commits WHERE position = 3",
            "position 3: the commit is missing",
        ),
        (
            "DELETE FROM commits WHERE position = 20",
            "open: position 20: the log ends at 19, before its anchor",
        ),
        (
            "UPDATE commits SET position = 99 WHERE position = 20",
            "open: position 20",
        ),
        (
            "UPDATE commits SET version = 9 WHERE position = 4",
            "position 4: the row says something else",
        ),
        (
            "UPDATE commits SET stream = 'a/_/b/c' WHERE position = 4",
            "position 4: the row says something else",
        ),
        (
            "UPDATE commits SET scan = NULL WHERE position = 4",
            "position 4: the row says something else",
        ),
        (
            "UPDATE commits SET id = zeroblob(16) WHERE position = 4",
            "position 4: the row says something else",
        ),
        (
            "UPDATE commits SET hash = zeroblob(32) WHERE position = 4",
            "position 4: the bytes",
        ),
        (
            "UPDATE commits SET log_hash = zeroblob(32) WHERE position = 4",
            "position 4: the log hash",
        ),
        (
            "UPDATE commits SET log_hash = zeroblob(3) WHERE position = 4",
            "position 4: the row says",
        ),
    ] {
        let dir = filled(10).await;
        tamper(&dir, sql);
        let verdict = verdict(&dir).await.unwrap_err();
        assert!(verdict.starts_with(found), "{sql}: {verdict}");
    }
}

#[tokio::test]
async fn a_whole_rewritten_history_is_found_by_the_anchor() {
    let dir = filled(3).await;
    let connection = Connection::open(path(dir.path())).unwrap();
    let mut hash = Digest::EMPTY;
    for n in 1..=3u64 {
        let other = encoded(n + 50, None);
        hash = Digest::chain(hash, Position(n), other.hash);
        let (stream, bytes) = (other.stream.to_string(), other.bytes.to_vec());
        connection
            .execute(
                "UPDATE commits SET stream = ?2, version = 1, id = ?3, hash = ?4, log_hash = ?5, bytes = ?6 \
                 WHERE position = ?1",
                params![n as i64, stream, other.id.as_bytes(), other.hash.0, hash.0, bytes],
            )
            .unwrap();
    }
    connection
        .execute("DELETE FROM commits WHERE position > 3", [])
        .unwrap();
    drop(connection);
    assert!(
        verdict(&dir)
            .await
            .unwrap_err()
            .contains("before its anchor")
    );
}

#[tokio::test]
async fn an_older_copy_put_back_is_refused() {
    let dir = filled(2).await;
    let old = image(&dir);
    let log = Sqlite::open(dir.path()).unwrap();
    log.append(encoded(9, None), None).await.unwrap();
    drop(log);
    put(&dir, &old);
    let refused = verdict(&dir).await.unwrap_err();
    assert_eq!(
        refused,
        "open: position 5: the log ends at 4, before its anchor"
    );
    fs::remove_file(path(dir.path())).unwrap();
    assert!(
        verdict(&dir)
            .await
            .unwrap_err()
            .contains("the log ends at 0")
    );
    assert!(!path(dir.path()).exists(), "a lost log is not made anew");
}

#[tokio::test]
async fn what_stands_before_a_bad_commit_is_read() {
    use futures::StreamExt;
    let dir = filled(3).await;
    tamper(
        &dir,
        "UPDATE commits SET bytes = x'7b7d' WHERE position = 4",
    );
    let log = Sqlite::open(dir.path()).unwrap();
    let mut read = log.read(Position(0), Filter::All);
    for n in 1..=3 {
        assert!(
            matches!(read.next().await, Some(Ok(Read::Commit(commit))) if commit.position.0 == n)
        );
    }
    assert!(matches!(
        read.next().await,
        Some(Err(ReadError::Damaged {
            at: Position(4),
            ..
        }))
    ));
    assert!(read.next().await.is_none());
}

#[tokio::test]
async fn a_stream_reader_stops_at_a_broken_chain() {
    let dir = filled(1).await;
    let log = Sqlite::open(dir.path()).unwrap();
    tamper(
        &dir,
        "UPDATE commits SET hash = zeroblob(32) WHERE position = 1",
    );
    let stopped = log
        .read_stream(&crate::contract::stream(1), Position(0))
        .await
        .unwrap_err();
    assert!(
        matches!(
            stopped,
            ReadError::Damaged {
                at: Position(1),
                ..
            }
        ),
        "{stopped}"
    );
    assert!(log.commit(Position(1)).await.is_err());
}

#[tokio::test]
async fn foreign_and_newer_files_are_refused_untouched() {
    for (content, refusal) in [
        (&b"this is no database, only some text that is longer than a header ...................."[..], "is not a Mirage log"),
        (&b""[..], ""),
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path(dir.path()), content).unwrap();
        match Sqlite::open(dir.path()) {
            Err(error) => assert!(error.to_string().ends_with(refusal), "{error}"),
            Ok(_) => assert!(refusal.is_empty()),
        }
    }
    let dir = tempfile::tempdir().unwrap();
    tamper(&dir, "CREATE TABLE other (a)");
    assert!(matches!(
        Sqlite::open(dir.path()),
        Err(OpenError::Foreign { .. })
    ));
    let dir = filled(1).await;
    tamper(&dir, "PRAGMA user_version = 2");
    let before = fs::read(path(dir.path())).unwrap();
    assert!(matches!(
        Sqlite::open(dir.path()),
        Err(OpenError::Newer {
            found: 2,
            known: 1,
            ..
        })
    ));
    assert_eq!(fs::read(path(dir.path())).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_opener_sees_commits_live_and_both_may_append() {
    use futures::StreamExt;
    let (one, dir) = fresh().await;
    let two = Sqlite::open(dir.path()).unwrap();
    let mut read = two.read(Position(0), Filter::All);
    assert!(matches!(
        read.next().await,
        Some(Ok(Read::CaughtUp(Position(0))))
    ));
    let first = one.append(encoded(1, None), None).await.unwrap();
    assert!(
        matches!(read.next().await, Some(Ok(Read::Commit(commit))) if commit.position == Position(1))
    );
    let second = two
        .append(encoded(1, Some(first)), Some(first))
        .await
        .unwrap();
    assert_eq!(second.position, Position(2));
    let stale = one
        .append(encoded(1, Some(first)), Some(first))
        .await
        .unwrap();
    assert_eq!(
        stale, second,
        "the same commit is a landed retry, whoever wrote it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_blocked_by_another_answers_busy_and_heals() {
    let (log, dir) = fresh().await;
    let blocker = Connection::open(path(dir.path())).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = log.append(encoded(1, None), None).await.unwrap_err();
    assert!(matches!(busy, AppendError::Busy { .. }), "{busy}");
    assert!(busy.may_retry());
    blocker.execute_batch("ROLLBACK").unwrap();
    assert_eq!(
        log.append(encoded(1, None), None).await.unwrap().position,
        Position(1)
    );
}

#[tokio::test]
async fn the_anchor_follows_and_never_goes_back() {
    let dir = filled(4).await;
    let anchor = Anchor::read(dir.path()).unwrap().unwrap();
    assert_eq!(anchor.position, Position(8));
    let older = Anchor {
        position: Position(3),
        ..anchor
    };
    older.write(dir.path()).unwrap();
    assert_eq!(Anchor::read(dir.path()).unwrap(), Some(anchor));
}

#[test]
fn many_may_start_one_log_at_the_same_moment() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let gate = std::sync::Barrier::new(4);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    gate.wait();
                    drop(Sqlite::open(dir.path()).unwrap());
                });
            }
        });
    }
}
