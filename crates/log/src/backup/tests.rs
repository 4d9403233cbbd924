//! Backups grow, restores go on, and nothing is written over another log.

use std::fs;

use mirage_domain::id::Digest;
use tempfile::TempDir;

use super::*;
use crate::commit::{Actor, ActorKind};
use crate::contract::{encoded, noon, workspace};
use crate::evidence::{Copyable, EvidenceStore};
use crate::sqlite::Anchor;
use crate::verify;

fn folders(dir: &TempDir) -> Folders {
    let data = dir.path().to_owned();
    Folders {
        evidence: data.join("evidence"),
        keys: data.join("keys"),
        views: data.join("views"),
        data,
    }
}

fn empty() -> (TempDir, Folders) {
    let dir = tempfile::tempdir().unwrap();
    let folders = folders(&dir);
    (dir, folders)
}

async fn grow(log: &Sqlite, at: &Folders, numbers: std::ops::Range<u64>) {
    let store = Files::open(&at.evidence).unwrap();
    for n in numbers {
        let bytes = n.to_be_bytes().to_vec();
        store.put(&workspace(), bytes).await.unwrap();
        store.flush().await.unwrap();
        log.append(encoded(n, None), None).await.unwrap();
    }
}

/// A data directory of a log with a workspace, its key, and `findings`.
async fn filled(findings: u64) -> (TempDir, Folders, Sqlite) {
    let (dir, at) = empty();
    let log = std::sync::Arc::new(Sqlite::open(&at.data).unwrap());
    let actor = Actor {
        kind: ActorKind::Service,
        id: "test".into(),
        version: None,
    };
    keys::begin(&*log, actor.clone(), noon()).await.unwrap();
    keys::workspace(log.clone(), &at.keys, &workspace(), actor, noon)
        .await
        .unwrap();
    drop(log);
    let log = Sqlite::open(&at.data).unwrap();
    grow(&log, &at, 1..findings + 1).await;
    (dir, at, log)
}

fn source<'a>(log: &'a Sqlite, folders: &'a Folders, workspace: &'a WorkspaceId) -> Source<'a> {
    // A test makes few, and they live as long as it.
    let stored = folders
        .stored()
        .unwrap()
        .map(|stored| &*Box::leak(Box::new(stored)));
    Source {
        log,
        evidence: stored.map(|stored| stored as &dyn Copyable),
        keys: &folders.keys,
        workspace,
    }
}

async fn restore(from: &Folders, to: &Folders, how: Copying) -> Result<Restored, Error> {
    super::restore(from, to, &workspace(), how).await
}

async fn saved(log: &Sqlite, from: &Folders, to: &Folders) -> Result<(Carried, Marker), Error> {
    back_up(source(log, from, &workspace()), to, Copying::default()).await
}

async fn head(at: &Folders) -> Head {
    verify(&Sqlite::open(&at.data).unwrap()).await.unwrap().head
}

use crate::Head;

#[tokio::test]
async fn a_backup_is_the_same_log_with_keys_and_evidence_and_grows() {
    let (_dir, from, log) = filled(600).await;
    let (_keep, to) = empty();
    let (carried, marker) = saved(&log, &from, &to).await.unwrap();
    assert_eq!(
        (carried.commits, carried.evidence.items, carried.keys),
        (602, 600, 1)
    );
    assert_eq!(marker.position, Position(602));
    assert_eq!(head(&to).await, log.head().await.unwrap());
    assert!(carried.keyless.is_empty());
    grow(&log, &from, 601..611).await;
    let (carried, _) = saved(&log, &from, &to).await.unwrap();
    assert_eq!(
        (carried.commits, carried.evidence.items, carried.keys),
        (10, 10, 0)
    );
    assert_eq!(carried.evidence.there, 600);
    assert_eq!(head(&to).await, log.head().await.unwrap());
    let key = keys::path(&to.keys, &workspace());
    assert_eq!(
        fs::read(key).unwrap(),
        fs::read(keys::path(&from.keys, &workspace())).unwrap()
    );
}

#[tokio::test]
async fn a_restore_into_an_empty_directory_and_again_gives_the_same_log() {
    let (_dir, from, log) = filled(50).await;
    let ((_keep, saved_to), (_also, to)) = (empty(), empty());
    saved(&log, &from, &saved_to).await.unwrap();
    let restored = restore(&saved_to, &to, Copying::default()).await.unwrap();
    assert_eq!((restored.carried.commits, restored.set_back), (52, None));
    assert_eq!(head(&to).await, log.head().await.unwrap());
    let again = restore(&saved_to, &to, Copying::default()).await.unwrap();
    assert_eq!(
        (again.carried.commits, again.carried.evidence.items),
        (0, 0)
    );
    let anchor = Anchor::read(&to.data).unwrap().unwrap();
    assert_eq!(anchor.position, Position(52));
}

#[tokio::test]
async fn a_beginning_of_the_same_log_is_gone_on_with_and_another_log_is_not_touched() {
    let (_dir, from, log) = filled(5).await;
    let ((_keep, backup), (_also, to)) = (empty(), empty());
    saved(&log, &from, &backup).await.unwrap();
    restore(&backup, &to, Copying::default()).await.unwrap();
    grow(&log, &from, 6..20).await;
    saved(&log, &from, &backup).await.unwrap();
    let restored = restore(&backup, &to, Copying::default()).await.unwrap();
    assert_eq!(restored.carried.commits, 14);
    assert_eq!(head(&to).await, log.head().await.unwrap());

    let (_dir, other, log) = filled(3).await;
    let before = (
        head(&other).await,
        fs::read_dir(&other.data).unwrap().count(),
    );
    let refused = restore(&backup, &other, Copying::default())
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Other { .. }), "{refused}");
    let refused = saved(&log, &other, &backup).await.unwrap_err();
    assert!(matches!(refused, Error::Other { .. }), "{refused}");
    drop(log);
    assert_eq!(before.0, head(&other).await);
    assert_eq!(
        Files::open(&other.evidence)
            .unwrap()
            .get(&workspace(), Digest::of(&19u64.to_be_bytes()))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn a_lost_log_is_restored_from_an_older_backup_and_the_head_goes_back() {
    let (_dir, from, log) = filled(10).await;
    let (_keep, backup) = empty();
    saved(&log, &from, &backup).await.unwrap();
    grow(&log, &from, 11..16).await;
    drop(log);
    assert_eq!(
        Anchor::read(&from.data).unwrap().unwrap().position,
        Position(17)
    );
    fs::remove_file(sqlite::path(&from.data)).unwrap();
    fs::create_dir_all(from.views.join("x")).unwrap();
    assert!(Sqlite::open(&from.data).is_err());
    let restored = restore(&backup, &from, Copying::default()).await.unwrap();
    assert_eq!(restored.set_back, Some(Position(17)));
    assert_eq!(restored.carried.commits, 12);
    assert_eq!(head(&from).await.position, Position(12));
    assert!(!from.views.exists());
}

#[tokio::test]
async fn a_restore_that_was_cut_short_is_refused_until_it_is_done() {
    let (_dir, from, log) = filled(40).await;
    let ((_keep, backup), (_also, to)) = (empty(), empty());
    saved(&log, &from, &backup).await.unwrap();
    // As a restore leaves it that ended after 7 commits.
    let end = log.head().await.unwrap();
    let anchor = Anchor {
        log_id: log_id(&log).await.unwrap().unwrap(),
        position: end.position,
        log_hash: end.log_hash,
    };
    anchor.set(&to.data).unwrap();
    assert!(Sqlite::open(&to.data).is_err());
    let target = Sqlite::open_behind(&to.data).unwrap();
    carry_commits(&log, &target, &to.data, Position(7))
        .await
        .unwrap();
    drop(target);
    assert!(Sqlite::open(&to.data).is_err());
    let restored = restore(&backup, &to, Copying::default()).await.unwrap();
    assert_eq!((restored.carried.commits, restored.set_back), (35, None));
    assert_eq!(head(&to).await, end);
}

#[tokio::test]
async fn a_damaged_or_unfinished_backup_is_refused_and_nothing_is_written() {
    let (_dir, from, log) = filled(20).await;
    let ((_keep, backup), (_also, to)) = (empty(), empty());
    carry(
        source(&log, &from, &workspace()),
        &backup,
        Position(22),
        Copying::default(),
    )
    .await
    .unwrap();
    let refused = restore(&backup, &to, Copying::default()).await.unwrap_err();
    assert!(matches!(refused, Error::Unfinished(_)), "{refused}");
    saved(&log, &from, &backup).await.unwrap();
    let file = rusqlite::Connection::open(sqlite::path(&backup.data)).unwrap();
    file.execute("UPDATE commits SET bytes = CAST(replace(CAST(bytes AS TEXT), 'host-9', 'host-8') AS BLOB) WHERE position = 11", [])
        .unwrap();
    let refused = restore(&backup, &to, Copying::default()).await.unwrap_err();
    assert!(refused.to_string().contains("position 11"), "{refused}");
    assert_eq!(fs::read_dir(&to.data).unwrap().count(), 0);
}

#[tokio::test]
async fn a_foreign_folder_and_a_backup_that_is_ahead_are_refused() {
    let (_dir, from, log) = filled(5).await;
    let (_keep, to) = empty();
    fs::write(to.data.join("letter.txt"), "dear").unwrap();
    let refused = saved(&log, &from, &to).await.unwrap_err();
    assert!(matches!(refused, Error::Foreign(_)), "{refused}");
    fs::remove_file(to.data.join("letter.txt")).unwrap();
    saved(&log, &from, &to).await.unwrap();
    let ahead = Sqlite::open(&to.data).unwrap();
    grow(&ahead, &to, 6..8).await;
    drop(ahead);
    let refused = saved(&log, &from, &to).await.unwrap_err();
    assert!(matches!(refused, Error::Ahead { .. }), "{refused}");
}

#[tokio::test]
async fn a_missing_key_is_told_and_another_key_in_the_target_is_kept_beside() {
    let (_dir, from, log) = filled(2).await;
    let ((_keep, to), (_also, keyless)) = (empty(), empty());
    fs::create_dir_all(&to.keys).unwrap();
    let path = keys::path(&to.keys, &workspace());
    fs::write(&path, [9; 32]).unwrap();
    let (carried, _) = saved(&log, &from, &to).await.unwrap();
    assert_eq!(carried.keys, 1);
    assert_eq!(fs::read_dir(&to.keys).unwrap().count(), 2);
    fs::remove_file(keys::path(&from.keys, &workspace())).unwrap();
    let (carried, _) = saved(&log, &from, &keyless).await.unwrap();
    assert_eq!(carried.keyless, [workspace()]);
}

#[tokio::test]
async fn a_log_is_restored_from_an_archive_and_goes_on_or_is_refused() {
    let (dir, from, log) = filled(100).await;
    let path = dir.path().join("archive");
    let save = async |after, upto| {
        let header = archive::Header::of(&log, &from.keys, Position(after))
            .await
            .unwrap();
        let out = fs::File::create(&path).unwrap();
        let writer = archive::Writer::begin(out, header).unwrap();
        archive::export(&log, writer, Position(upto)).await.unwrap();
    };
    let (_keep, to) = empty();
    for (upto, commits) in [(60, 60), (102, 42), (102, 0), (80, 0)] {
        save(0, upto).await;
        let restored = restore_archive(&path, &to).await.unwrap();
        assert_eq!(restored.carried.commits, commits);
        assert_eq!(restored.carried.keyless, [workspace()]);
    }
    assert_eq!(head(&to).await, log.head().await.unwrap());
    let (_dir, other, _log) = filled(3).await;
    let refused = restore_archive(&path, &other).await.unwrap_err();
    assert!(matches!(refused, Error::Other { .. }), "{refused}");
    let (_also, fresh) = empty();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    let refused = restore_archive(&path, &fresh).await.unwrap_err();
    assert_eq!(refused.code(), "archive_cut");
    save(7, 102).await;
    let refused = restore_archive(&path, &fresh).await.unwrap_err();
    assert!(matches!(refused, Error::Partial { .. }), "{refused}");
    assert_eq!(fs::read_dir(&fresh.data).unwrap().count(), 0);
}
