//! The files of views: `views/NAME@VERSION.BUILD.db`, and `….building` while a rebuild is at work.
//!
//! **Invariant:** a batch and a query use the highest complete build of the program's version.

use std::fs;
use std::path::{Path, PathBuf};

use crate::store::LINGER;
use crate::{Error, Registered};

const COMPLETE: &str = "db";
const BUILDING: &str = "building";

/// A build of a view on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Build {
    pub(crate) number: u64,
    pub(crate) is_complete: bool,
    pub(crate) path: PathBuf,
}

/// The folder of views in a data directory.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("views")
}

pub(crate) fn path(folder: &Path, view: &Registered, number: u64, is_complete: bool) -> PathBuf {
    let end = if is_complete { COMPLETE } else { BUILDING };
    folder.join(format!("{}@{}.{number}.{end}", view.name, view.version))
}

/// The builds of the view's version, lowest first.
pub(crate) fn builds(folder: &Path, view: &Registered) -> Result<Vec<Build>, Error> {
    let fault = |source| Error::Folder {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(fault)?,
    };
    let mut builds = Vec::new();
    for entry in entries {
        let path = entry.map_err(fault)?.path();
        builds.extend(build(view, path));
    }
    builds.sort_by_key(|build| build.number);
    Ok(builds)
}

fn build(view: &Registered, path: PathBuf) -> Option<Build> {
    let name = path.file_name()?.to_str()?;
    let rest = name.strip_prefix(&format!("{}@{}.", view.name, view.version))?;
    let (number, end) = rest.split_once('.')?;
    let (number, is_complete) = (number.parse().ok()?, end == COMPLETE);
    (is_complete || end == BUILDING).then_some(Build {
        number,
        is_complete,
        path,
    })
}

/// The build that batches and queries use.
pub(crate) fn highest(folder: &Path, view: &Registered) -> Result<Option<Build>, Error> {
    let builds = builds(folder, view)?;
    Ok(builds.into_iter().rfind(|build| build.is_complete))
}

/// A number that no build has, complete or at work.
pub(crate) fn next(folder: &Path, view: &Registered) -> Result<u64, Error> {
    let builds = builds(folder, view)?;
    Ok(builds.last().map_or(0, |build| build.number) + 1)
}

/// Deletes builds that nobody needs: older than the highest complete one, or left behind by a rebuild that died.
pub(crate) fn sweep(folder: &Path, view: &Registered) -> Result<(), Error> {
    let builds = builds(folder, view)?;
    let highest = builds.iter().rfind(|build| build.is_complete);
    let highest = highest.map_or(0, |build| build.number);
    for build in builds {
        let is_old = build.is_complete && build.number < highest;
        if is_old || (!build.is_complete && is_abandoned(&build.path)) {
            delete(&build.path);
        }
    }
    Ok(())
}

/// Whether nothing was written for a while.
fn is_abandoned(path: &Path) -> bool {
    let quiet = |path: &Path| fs::metadata(path).ok()?.modified().ok()?.elapsed().ok();
    let wal = beside(path, "-wal");
    quiet(path).is_some_and(|age| age > LINGER) && quiet(&wal).is_none_or(|age| age > LINGER)
}

pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Brings a file to disk.
pub(crate) fn sync(path: &Path) -> std::io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Views are disposable: what cannot be deleted now is swept at the next open.
pub(crate) fn delete(path: &Path) {
    for path in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "an old view cannot be deleted");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> &'static Registered {
        &crate::ALL[0]
    }

    #[test]
    fn the_highest_complete_build_of_the_version_is_used() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(highest(dir.path(), view()).unwrap(), None);
        for (number, is_complete) in [(2, true), (10, true), (11, false)] {
            fs::write(path(dir.path(), view(), number, is_complete), "").unwrap();
        }
        fs::write(dir.path().join(format!("{}@999.12.db", view().name)), "").unwrap();
        assert_eq!(highest(dir.path(), view()).unwrap().unwrap().number, 10);
    }

    #[test]
    fn sweeping_keeps_the_live_build_and_a_rebuild_at_work() {
        let dir = tempfile::tempdir().unwrap();
        for (number, is_complete) in [(1, true), (2, true), (3, false)] {
            fs::write(path(dir.path(), view(), number, is_complete), "").unwrap();
        }
        sweep(dir.path(), view()).unwrap();
        let left: Vec<u64> = builds(dir.path(), view())
            .unwrap()
            .iter()
            .map(|build| build.number)
            .collect();
        assert_eq!(left, [2, 3]);
    }
}
