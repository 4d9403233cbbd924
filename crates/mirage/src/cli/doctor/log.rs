//! What `doctor` looks at in the data directory: the log, its anchor, key, evidence and views.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use mirage_domain::id::{Position, StreamId};
use mirage_log::EventLog;
use mirage_log::sqlite::{Anchor, Sqlite};
use mirage_projections::{Runner, Status};
use mirage_workers::node::Place;

use super::super::Context;
use super::{Check, fail, of_problem, ok, refused, warn};
use crate::output::Failure;

/// SQLite before this one may corrupt a log in WAL mode when it is reset (sqlite.org, 3.51.3 release notes).
const SQLITE_MIN: [u32; 3] = [3, 51, 3];
/// A clock may be this much behind the last commit.
const CLOCK_OFF: SignedDuration = SignedDuration::from_mins(1);

pub(super) async fn checks(context: &Context, log: &Sqlite) -> Vec<Check> {
    let dir = &context.data.dir;
    let mut all = vec![durable(log), sqlite_version(&log.capabilities().server)];
    match log.head().await {
        Ok(head) => {
            all.push(ok(
                "log",
                format_args!("opens; ends at position {}", head.position),
            ));
            all.push(anchor(dir, head.position));
            all.extend(clock(log, head.position).await);
        }
        Err(error) => all.push(of_problem("log", &error.into())),
    }
    all.push(key(context, log).await);
    all.push(evidence(dir));
    all.extend(views(context).await);
    all
}

/// Looks at the files as they are: a doctor folds nothing.
async fn views(context: &Context) -> Vec<Check> {
    let status = async {
        let log = context.data.log()?;
        let runner = Runner::open(&context.data.dir, log)?;
        Ok::<_, Failure>(runner.status(Timestamp::now()).await?)
    };
    let all = match status.await {
        Ok(all) => all,
        Err(failure) => return vec![refused("views", &failure)],
    };
    all.iter().map(of_view).collect()
}

fn of_view(view: &Status) -> Check {
    let detail = format!(
        "{} stands at {}, {} behind",
        view.view, view.position, view.lag
    );
    match (&view.stopped, view.quarantined) {
        (Some(reason), _) => fail(
            "view",
            format_args!("{detail}: {reason}"),
            format_args!("mirage views rebuild {}", view.view),
        ),
        (None, 0) => ok("view", detail),
        (None, streams) => warn(
            "view",
            format_args!("{detail}, {streams} streams quarantined"),
            "upgrade, then mirage views rebuild",
        ),
    }
}

fn durable(log: &Sqlite) -> Check {
    let capabilities = log.capabilities();
    match capabilities.is_durable {
        true => ok(
            "durability",
            format_args!("{}: acknowledged is on disk", capabilities.backend),
        ),
        false => fail(
            "durability",
            "a power cut may lose acknowledged commits",
            "use a durable log",
        ),
    }
}

fn sqlite_version(server: &str) -> Check {
    let numbers = server.split_whitespace().next_back().unwrap_or_default();
    let found: Vec<u32> = numbers
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    match found.as_slice() >= SQLITE_MIN.as_slice() {
        true => ok("sqlite", server),
        false => fail(
            "sqlite",
            format_args!("{server} may corrupt the log"),
            "use a build with SQLite 3.51.3 or later",
        ),
    }
}

/// Opening has compared the two; what is left to see is whether there is one.
fn anchor(dir: &Path, head: Position) -> Check {
    match Anchor::read(dir) {
        Ok(Some(anchor)) => ok(
            "anchor",
            format_args!("matches the log at position {}", anchor.position),
        ),
        Ok(None) if head == Position(0) => ok("anchor", "the log is empty"),
        Ok(None) => warn(
            "anchor",
            "missing: an older log put back would not show",
            "any write makes it anew; if you did not delete `head`, compare the log with a backup",
        ),
        Err(error) => fail(
            "anchor",
            format_args!("cannot be read: {error}"),
            "restore `head` from a backup, or delete it if you are sure of the log",
        ),
    }
}

async fn clock(log: &Sqlite, head: Position) -> Option<Check> {
    if head == Position(0) {
        return None;
    }
    let last = match log.commit(head).await {
        Ok(recorded) => recorded.commit.recorded_at,
        Err(error) => return Some(of_problem("clock", &error.into())),
    };
    let behind = last.duration_since(Timestamp::now());
    Some(match behind > CLOCK_OFF {
        true => warn(
            "clock",
            format_args!("{} s behind the last commit", behind.as_secs()),
            "set the clock of this machine",
        ),
        false => ok("clock", "not behind the last commit"),
    })
}

async fn key(context: &Context, log: &Sqlite) -> Check {
    let workspace = match context.workspace() {
        Ok(workspace) => workspace,
        Err(problem) => return of_problem("key", &problem),
    };
    let stream = StreamId::workspace(&workspace);
    match log.read_stream(&stream, Position(0)).await {
        Err(error) => return of_problem("key", &error.into()),
        Ok(commits) if commits.is_empty() => {
            return ok("key", format_args!("workspace {workspace} has none yet"));
        }
        Ok(_) => {}
    }
    let path = mirage_log::keys::path(&Place(context.data.dir.clone()).keys(), &workspace);
    let shown = path.display();
    match fs::metadata(&path) {
        Err(error) => fail(
            "key",
            format_args!("{shown}: {error}"),
            "put the key file back from a backup",
        ),
        Ok(found) if is_open_to_others(&found) => fail(
            "key",
            format_args!("{shown} can be read by others"),
            format_args!("chmod 600 {shown}"),
        ),
        Ok(_) => ok("key", format_args!("{shown}, for its owner alone")),
    }
}

#[cfg(unix)]
fn is_open_to_others(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    found.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

fn evidence(dir: &Path) -> Check {
    let folder = Place(dir.to_owned()).evidence();
    match fs::read_dir(&folder) {
        Ok(_) => ok("evidence", folder.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => ok("evidence", "none yet"),
        Err(error) => fail(
            "evidence",
            format_args!("{}: {error}", folder.display()),
            "check its permissions",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn an_old_sqlite_fails_and_a_newer_one_does_not() {
        for (server, verdict) in [
            ("SQLite 3.51.2", Verdict::Fail),
            ("SQLite 3.46.0", Verdict::Fail),
            ("SQLite 3.51.3", Verdict::Ok),
            ("SQLite 3.54.1", Verdict::Ok),
            ("SQLite 4.0.0", Verdict::Ok),
        ] {
            assert_eq!(sqlite_version(server).verdict, verdict, "{server}");
        }
    }
}
