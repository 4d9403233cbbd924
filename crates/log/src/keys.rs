//! Opening a log for work: its first event, the workspace, and the workspace's id key.
//!
//! **Invariant:** a key is made only in the act of writing `workspace.created`; a missing or different one refuses.
//! **Never:** a key that takes the place of another one's file: whoever keeps a key may need it for another log.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use mirage_domain::id::{Digest, IdKey, Position, StreamId, Version, WorkspaceId};
use mirage_domain::log;
use mirage_domain::workspace::{Command, CreateWorkspace, Event, Workspace};
use uuid::Uuid;

use crate::commit::{Actor, Commit, Entry, encode};
use crate::execute::{self, Envelope, Store};
use crate::{AppendError, EventLog, OpenError};

/// Writes `log.created` as the first commit, unless it stands there.
pub async fn begin(log: &dyn EventLog, actor: Actor, now: Timestamp) -> Result<(), OpenError> {
    let created = log::Event::from(log::Created {
        log_id: Uuid::now_v7(),
    });
    let commit = Commit {
        id: Uuid::now_v7(),
        stream: StreamId::log(),
        version: Version(1),
        recorded_at: now,
        actor,
        command: None,
        correlation: None,
        causation: None,
        traceparent: None,
        prev: None,
        context: None,
        events: vec![Entry {
            event: created.into(),
            at: now,
        }],
    };
    if log
        .head()
        .await
        .map_err(|error| OpenError::Damaged(error.into()))?
        .position
        > Position(0)
    {
        return Ok(());
    }
    let encoded = encode(&commit).expect("one small event");
    match log.append(encoded, None).await {
        // Another starter was first.
        Ok(_) | Err(AppendError::Conflict { .. }) => Ok(()),
        Err(error) => Err(OpenError::Create(error.into())),
    }
}

/// The id key of a workspace; made with the workspace where that does not exist, unless one lies there already: a log
/// that is begun anew with an old key gives the same ids.
pub async fn workspace(
    log: Arc<dyn EventLog>,
    keys: &Path,
    workspace: &WorkspaceId,
    actor: Actor,
    now: fn() -> Timestamp,
) -> Result<IdKey, OpenError> {
    if let Some(fingerprint) = fingerprint(&*log, workspace).await? {
        return find(keys, workspace, fingerprint);
    }
    let kept = path(keys, workspace);
    let (key, fresh) = match read(&kept) {
        Some(key) => (key, None),
        None if kept.exists() => {
            return Err(OpenError::Key {
                workspace: workspace.to_string(),
                path: kept,
            });
        }
        None => {
            let key = IdKey::new(random().map_err(|source| store(keys, source))?);
            let fresh = keys.join(format!("{workspace}.key.{}", Uuid::now_v7()));
            write(&fresh, &key).map_err(|source| store(&fresh, source))?;
            (key, Some(fresh))
        }
    };
    let command = Command::Create(CreateWorkspace {
        name: workspace.to_string(),
        fingerprint: key.fingerprint(),
    });
    let stream = StreamId::workspace(workspace);
    let made = Store::<Workspace>::new(log.clone())
        .execute(&stream, command, Envelope::new(actor, now))
        .await;
    match made {
        // Its file gets its name by whoever looks for it first, this process or another one.
        Ok(_) => find(keys, workspace, key.fingerprint()),
        // Another starter was first: its key counts.
        Err(execute::Error::Refused(_) | execute::Error::Conflict) => {
            if let Some(fresh) = fresh {
                fs::remove_file(&fresh).map_err(|source| store(&fresh, source))?;
            }
            let fingerprint = fingerprint(&*log, workspace).await?;
            find(
                keys,
                workspace,
                fingerprint.expect("the workspace was just refused as made"),
            )
        }
        Err(execute::Error::Append(error)) => Err(OpenError::Create(error.into())),
        Err(other) => Err(store(keys, std::io::Error::other(other.to_string()))),
    }
}

/// The id key of a workspace that is there; none if the workspace is not, or its key is not in the folder.
pub async fn of_workspace(
    log: &dyn EventLog,
    keys: &Path,
    workspace: &WorkspaceId,
) -> Result<Option<IdKey>, OpenError> {
    if !held(keys).contains(workspace) {
        return Ok(None);
    }
    match fingerprint(log, workspace).await? {
        Some(fingerprint) => find(keys, workspace, fingerprint).map(Some),
        None => Ok(None),
    }
}

/// Where a workspace's key lies.
pub fn path(keys: &Path, workspace: &WorkspaceId) -> PathBuf {
    keys.join(format!("{workspace}.key"))
}

fn store(path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Store {
        path: path.to_owned(),
        source: source.into(),
    }
}

fn random() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// The workspaces whose key lies in a folder, in order of name; a key under its first name counts.
pub fn held(keys: &Path) -> Vec<WorkspaceId> {
    let entries = fs::read_dir(keys).into_iter().flatten().flatten();
    let workspace = |entry: fs::DirEntry| {
        let name = entry.file_name();
        let (workspace, rest) = name.to_str()?.split_once(".key")?;
        let is_key = rest.is_empty() || rest.starts_with('.');
        WorkspaceId::new(workspace).ok().filter(|_| is_key)
    };
    let held: BTreeSet<WorkspaceId> = entries.filter_map(workspace).collect();
    held.into_iter().collect()
}

/// The fingerprint of a workspace's key, as the log knows it; none before the workspace has begun.
pub async fn fingerprint(
    log: &dyn EventLog,
    workspace: &WorkspaceId,
) -> Result<Option<Digest>, OpenError> {
    let stream = log
        .read_stream(&StreamId::workspace(workspace), Position(0))
        .await;
    let stream = stream.map_err(|error| OpenError::Damaged(error.into()))?;
    let mut entries = stream.iter().flat_map(|recorded| &recorded.commit.events);
    Ok(entries.find_map(|entry| match &entry.event {
        mirage_domain::event::Event::Workspace(Event::Created(created)) => {
            Some(created.fingerprint)
        }
        _ => None,
    }))
}

/// The key with this fingerprint; one that a crash left under its first name is put in its place.
pub(crate) fn find(
    keys: &Path,
    workspace: &WorkspaceId,
    fingerprint: Digest,
) -> Result<IdKey, OpenError> {
    let path = path(keys, workspace);
    let prefix = format!("{workspace}.key.");
    let left = fs::read_dir(keys)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let left = left.filter(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(&prefix))
    });
    for candidate in std::iter::once(path.clone()).chain(left) {
        let Some(key) = read(&candidate).filter(|key| key.fingerprint() == fingerprint) else {
            continue;
        };
        if candidate != path {
            if path.exists() {
                let beside = keys.join(format!("{workspace}.key.{}", Uuid::now_v7()));
                fs::rename(&path, beside).map_err(|source| store(&path, source))?;
            }
            match fs::rename(&candidate, &path) {
                // Another starter has just named it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                renamed => renamed.map_err(|source| store(&path, source))?,
            }
        }
        return Ok(key);
    }
    Err(OpenError::Key {
        workspace: workspace.to_string(),
        path,
    })
}

/// Puts a key that is known to be right in its place; another one that lies there is kept beside it.
/// Answers whether it was not there.
pub(crate) fn put(keys: &Path, workspace: &WorkspaceId, key: &IdKey) -> std::io::Result<bool> {
    let path = path(keys, workspace);
    if read(&path).is_some_and(|there| there.fingerprint() == key.fingerprint()) {
        return Ok(false);
    }
    let beside = || keys.join(format!("{workspace}.key.{}", Uuid::now_v7()));
    let fresh = beside();
    write(&fresh, key)?;
    if path.exists() {
        fs::rename(&path, beside())?;
    }
    fs::rename(fresh, &path)?;
    fs::File::open(keys)?.sync_all()?;
    Ok(true)
}

/// Whether the key of a workspace lies in its place and is the one that the log knows.
pub fn is_right(keys: &Path, workspace: &WorkspaceId, fingerprint: Digest) -> bool {
    read(&path(keys, workspace)).is_some_and(|key| key.fingerprint() == fingerprint)
}

fn read(path: &Path) -> Option<IdKey> {
    let bytes = fs::read(path).ok()?;
    bytes.try_into().ok().map(IdKey::new)
}

fn write(path: &Path, key: &IdKey) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(key.bytes())?;
    file.sync_all()?;
    // The event that names the key follows: a power cut after it must find the file.
    for folder in path.ancestors().skip(1).take(2) {
        if folder.is_dir() {
            fs::File::open(folder)?.sync_all()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::ActorKind;
    use crate::contract::noon;
    use crate::memory::Memory;

    fn actor() -> Actor {
        Actor {
            kind: ActorKind::Service,
            id: "test".into(),
            version: None,
        }
    }

    async fn open(log: &Arc<dyn EventLog>, keys: &Path) -> Result<IdKey, OpenError> {
        let name = WorkspaceId::new("default").unwrap();
        workspace(log.clone(), keys, &name, actor(), noon).await
    }

    #[tokio::test]
    async fn the_key_is_made_once_with_its_event_and_found_again() {
        let (log, dir): (Arc<dyn EventLog>, _) =
            (Arc::new(Memory::default()), tempfile::tempdir().unwrap());
        begin(&*log, actor(), noon()).await.unwrap();
        begin(&*log, actor(), noon()).await.unwrap();
        let first = open(&log, dir.path()).await.unwrap();
        let again = open(&log, dir.path()).await.unwrap();
        assert_eq!(first.bytes(), again.bytes());
        assert_eq!(log.head().await.unwrap().position, Position(2));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join("default.key"))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn a_missing_or_different_key_is_refused_and_says_the_file() {
        let (log, dir): (Arc<dyn EventLog>, _) =
            (Arc::new(Memory::default()), tempfile::tempdir().unwrap());
        open(&log, dir.path()).await.unwrap();
        let path = dir.path().join("default.key");
        for content in [None, Some([9u8; 32])] {
            let _ = fs::remove_file(&path);
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            let refused = open(&log, dir.path()).await.unwrap_err().to_string();
            assert!(refused.contains("default.key"), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_key_that_lies_there_before_its_log_is_used_and_harmed_by_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("default.key");
        fs::write(&path, [5; 32]).unwrap();
        let log: Arc<dyn EventLog> = Arc::new(Memory::default());
        assert_eq!(open(&log, dir.path()).await.unwrap().bytes(), &[5; 32]);
        assert_eq!(open(&log, dir.path()).await.unwrap().bytes(), &[5; 32]);
        assert_eq!(fs::read(&path).unwrap(), [5; 32]);

        fs::write(&path, b"no key").unwrap();
        let other: Arc<dyn EventLog> = Arc::new(Memory::default());
        let refused = open(&other, dir.path()).await.unwrap_err().to_string();
        assert!(refused.contains("default.key"), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"no key");
        assert_eq!(other.head().await.unwrap().position, Position(0));
    }

    #[tokio::test]
    async fn the_key_of_another_log_is_kept_beside() {
        let (log, dir): (Arc<dyn EventLog>, _) =
            (Arc::new(Memory::default()), tempfile::tempdir().unwrap());
        let key = open(&log, dir.path()).await.unwrap();
        let path = dir.path().join("default.key");
        fs::rename(&path, dir.path().join("default.key.crashed")).unwrap();
        fs::write(&path, [7; 32]).unwrap();
        assert_eq!(open(&log, dir.path()).await.unwrap().bytes(), key.bytes());
        let files = fs::read_dir(dir.path()).unwrap().flatten();
        let mut kept = files.filter(|file| fs::read(file.path()).unwrap() == [7; 32]);
        assert!(kept.next().is_some());
    }

    #[tokio::test]
    async fn a_key_that_a_crash_left_under_its_first_name_is_found() {
        let (log, dir): (Arc<dyn EventLog>, _) =
            (Arc::new(Memory::default()), tempfile::tempdir().unwrap());
        let key = open(&log, dir.path()).await.unwrap();
        fs::rename(
            dir.path().join("default.key"),
            dir.path().join("default.key.crashed"),
        )
        .unwrap();
        fs::write(dir.path().join("default.key.other"), [3; 32]).unwrap();
        assert_eq!(open(&log, dir.path()).await.unwrap().bytes(), key.bytes());
        assert!(dir.path().join("default.key").exists());
    }
}
