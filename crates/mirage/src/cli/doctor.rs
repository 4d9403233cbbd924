//! `mirage doctor`: whether everything is as it must be, and how to mend what is not.
//!
//! **Never:** a change, or a packet: what would have to ask the network is only read from its configuration.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{Position, StreamId};
use mirage_log::EventLog;
use mirage_log::sqlite::{Anchor, Sqlite};
use mirage_projections::{Runner, Status};
use mirage_workers::node::Place;

use super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape};

/// Look whether everything is as it must be, and say the fix where it is not
///
/// Exit codes: 0 nothing failed, 1 something did
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

/// SQLite before this one may corrupt a log in WAL mode when it is reset (sqlite.org, 3.51.3 release notes).
const SQLITE_MIN: [u32; 3] = [3, 51, 3];
/// Free space below which there is a warning, and below which there is a failure, in bytes.
const FREE_LOW: u64 = 1 << 30;
const FREE_OUT: u64 = 64 << 20;
/// A clock may be this much behind the last commit.
const CLOCK_OFF: SignedDuration = SignedDuration::from_mins(1);
/// Open files that a scan with many connections needs.
const FILES_MIN: u64 = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line.
struct Finding {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    fix: String,
}

fn ok(check: &'static str, detail: impl ToString) -> Finding {
    let (detail, fix) = (detail.to_string(), String::new());
    Finding {
        check,
        verdict: Verdict::Ok,
        detail,
        fix,
    }
}
fn warn(check: &'static str, detail: impl ToString, fix: impl ToString) -> Finding {
    let (detail, fix) = (detail.to_string(), fix.to_string());
    Finding {
        check,
        verdict: Verdict::Warn,
        detail,
        fix,
    }
}
fn fail(check: &'static str, detail: impl ToString, fix: impl ToString) -> Finding {
    let verdict = Verdict::Fail;
    Finding {
        verdict,
        ..warn(check, detail, fix)
    }
}

static LISTING: Listing = Listing {
    key: "check",
    fields: &[
        Field::new("verdict", Shape::Text),
        Field::new("check", Shape::Text),
        Field::new("detail", Shape::Text),
        Field::new("fix", Shape::Text),
    ],
};

pub(crate) async fn run(context: &Context) -> Answer {
    let mut rows = context.output.rows(&LISTING)?;
    let mut is_failed = false;
    for finding in findings(context).await {
        is_failed |= finding.verdict == Verdict::Fail;
        let verdict = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        rows.push(vec![
            verdict.into(),
            finding.check.into(),
            finding.detail.into(),
            finding.fix.into(),
        ])?;
    }
    rows.end(None)?;
    Ok(if is_failed { Exit::Failed } else { Exit::Done })
}

async fn findings(context: &Context) -> Vec<Finding> {
    let mut all = vec![configuration(context)];
    match context.data.log() {
        Ok(log) => all.extend(of_log(context, &log).await),
        Err(failure) => all.push(refused("log", &failure)),
    }
    let dir = &context.data.dir;
    all.push(disk(dir));
    all.push(resolvers(context));
    all.push(open_files());
    all
}

fn refused(check: &'static str, failure: &Failure) -> Finding {
    match failure {
        Failure::Problem(problem) | Failure::Beside(problem) => of_problem(check, problem),
        Failure::ClosedPipe => fail(check, "the output is closed", ""),
    }
}

fn of_problem(check: &'static str, problem: &Problem) -> Finding {
    fail(check, problem, problem.hint())
}

fn configuration(context: &Context) -> Finding {
    match context.config.faults.len() {
        0 => ok("configuration", "valid"),
        faults => fail(
            "configuration",
            format_args!("{faults} faults"),
            "mirage config check",
        ),
    }
}

async fn of_log(context: &Context, log: &Sqlite) -> Vec<Finding> {
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
async fn views(context: &Context) -> Vec<Finding> {
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

fn of_view(view: &Status) -> Finding {
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

fn durable(log: &Sqlite) -> Finding {
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

fn sqlite_version(server: &str) -> Finding {
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
fn anchor(dir: &Path, head: Position) -> Finding {
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

async fn clock(log: &Sqlite, head: Position) -> Option<Finding> {
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

async fn key(context: &Context, log: &Sqlite) -> Finding {
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

fn evidence(dir: &Path) -> Finding {
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

#[cfg(unix)]
fn disk(dir: &Path) -> Finding {
    let existing = dir
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("."));
    match rustix::fs::statvfs(existing) {
        Err(error) => warn("disk", error, "check the data directory"),
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let detail = format!("{} MiB free", free >> 20);
            match free {
                0..FREE_OUT => fail("disk", detail, "free some space"),
                FREE_OUT..FREE_LOW => warn("disk", detail, "free some space soon"),
                _ => ok("disk", detail),
            }
        }
    }
}

#[cfg(not(unix))]
fn disk(_: &Path) -> Finding {
    warn(
        "disk",
        "not looked at on this system",
        "see for yourself that there is space",
    )
}

fn resolvers(context: &Context) -> Finding {
    let set = context.config.list("scan.resolver");
    if !set.is_empty() {
        return ok(
            "resolvers",
            format_args!("{} by configuration", set.join(", ")),
        );
    }
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .map(str::trim)
        .collect();
    match servers.is_empty() {
        true => warn(
            "resolvers",
            "the system names none",
            "name one with --resolver, or scan.resolver in mirage.toml",
        ),
        false => ok(
            "resolvers",
            format_args!("{} of the system", servers.join(", ")),
        ),
    }
}

#[cfg(unix)]
fn open_files() -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(files) if files < FILES_MIN => warn(
            "open files",
            format_args!("{files} at most"),
            format_args!("ulimit -n {FILES_MIN}"),
        ),
        Some(files) => ok("open files", format_args!("{files} at most")),
        None => ok("open files", "without limit"),
    }
}

#[cfg(not(unix))]
fn open_files() -> Finding {
    ok("open files", "not limited on this system")
}

#[cfg(test)]
mod tests {
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
