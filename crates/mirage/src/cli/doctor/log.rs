//! What `doctor` looks at in the log: its commits, its anchor, and the clock.

use std::path::Path;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use mirage_domain::id::Position;
use mirage_log::sqlite::Anchor;
use mirage_log::{EventLog, Filter, Read, verify};

use super::super::Context;
use super::{Check, NEWEST, fail, of_problem, ok, refused, warn};
use crate::output::Failure;

/// SQLite before this one may corrupt a log in WAL mode when it is reset (sqlite.org, 3.51.3 release notes).
const SQLITE_MIN: [u32; 3] = [3, 51, 3];
/// A clock may be this much behind the last commit.
const CLOCK_OFF: SignedDuration = SignedDuration::from_mins(1);

pub(super) async fn checks(context: &Context, log: &dyn EventLog, is_deep: bool) -> Vec<Check> {
    let dir = &context.data.dir;
    let mut all = vec![durable(log)];
    let is_file = log.capabilities().backend == "sqlite";
    if is_file {
        all.push(sqlite_version(&log.capabilities().server));
    }
    match log.head().await {
        Ok(head) => {
            all.push(commits(context, log, head.position, is_deep).await);
            // The servers keep none: a log that was put back shows at its marks, and at the checkpoints of the views.
            if is_file {
                all.push(anchor(dir, head.position));
            }
            all.extend(clock(log, head.position).await);
        }
        Err(error) => all.push(of_problem("log", &error.into())),
    }
    all
}

/// Holds the newest commits, or all, against their hashes.
async fn commits(context: &Context, log: &dyn EventLog, head: Position, is_deep: bool) -> Check {
    let looked = match is_deep {
        true => all_commits(context, log).await,
        false => newest(log, head).await,
    };
    match looked {
        Ok(looked) => ok("log", format_args!("ends at position {head}; {looked}")),
        Err(failure) => refused("log", &failure).try_this("mirage log restore BACKUP"),
    }
}

async fn all_commits(context: &Context, log: &dyn EventLog) -> Result<String, Failure> {
    context.check_file().await?;
    let verified = verify(log).await?;
    Ok(format!(
        "all {} events are as they were written",
        verified.events
    ))
}

async fn newest(log: &dyn EventLog, head: Position) -> Result<String, Failure> {
    let after = Position(head.0.saturating_sub(NEWEST));
    let mut read = log.read(after, Filter::All);
    while let Some(Read::Commit(_)) = read.next().await.transpose()? {}
    Ok(match after {
        Position(0) => "all are as they were written".to_owned(),
        after => format!("those after {after} are as they were written, --deep looks at all"),
    })
}

fn durable(log: &dyn EventLog) -> Check {
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

async fn clock(log: &dyn EventLog, head: Position) -> Option<Check> {
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
