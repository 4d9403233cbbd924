//! What `doctor` looks at in a cluster: servers, room, the bucket of evidence, live nodes.

use std::time::Duration;

use futures::StreamExt;
use mirage_log::jetstream::{Facts, JetStream, SUBJECTS_MAX};
use mirage_log::{EventLog, OpenError};

use super::super::Context;
use super::{Check, fail, of_problem, ok, refused, warn};
use crate::output::Failure;

/// Nodes are waited for this long; a second of silence ends it earlier.
const WAIT: Duration = Duration::from_secs(5);
/// Of a bound, in percent, from where on there is a warning.
const NEARLY: u64 = 80;

pub(super) async fn checks(context: &Context, log: &JetStream) -> Vec<Check> {
    let mut all = vec![ok("server", log.capabilities().server)];
    match log.facts().await {
        Ok(facts) => all.extend([replicas(&facts), room(&facts), subjects(facts.subjects)]),
        Err(error) => all.push(of_problem("server", &error.into())),
    }
    all.push(match bucket(context).await {
        Ok(check) => check,
        Err(failure) => refused("bucket", &failure),
    });
    all.push(nodes(log).await);
    all
}

/// A log that was refused, with what to do about it.
pub(super) fn unfit(error: OpenError) -> Check {
    let fix = match &error {
        OpenError::Unreachable { .. } => "start it, or correct log.servers",
        OpenError::ServerTooOld { .. } => "upgrade nats-server to 2.15 or later",
        OpenError::NotSynced { .. } | OpenError::NoJetStream { .. } => {
            "put `sync_interval: always` into `jetstream { … }` of its file and restart it"
        }
        OpenError::Unproven { .. } => {
            "put `http: \"HOST:8222\"` into its file, and http://HOST:8222 into log.monitors"
        }
        OpenError::Configuration { .. } => "nats stream edit, or name another log: log.name",
        OpenError::Damaged(_) => "mirage log restore BACKUP into another log: log.name",
        _ => return of_problem("log", &error.into()),
    };
    of_problem("log", &error.into()).try_this(fix)
}

fn replicas(facts: &Facts) -> Check {
    let detail = format!(
        "{} of {} up to date",
        facts.replicas_current, facts.replicas
    );
    match facts.replicas_current < facts.replicas {
        true => warn(
            "replicas",
            detail,
            "look at the nodes of the cluster: nats server report jetstream",
        ),
        false => ok("replicas", detail),
    }
}

fn room(facts: &Facts) -> Check {
    let detail = format!(
        "{} commits in {} of {} MiB",
        facts.messages,
        facts.bytes >> 20,
        facts.bytes_max >> 20
    );
    let fix = "raise max_bytes: nats stream edit, and log.max_bytes to the same";
    match percent(facts.bytes, facts.bytes_max) {
        100.. => fail("room", detail, fix),
        NEARLY.. => warn("room", detail, fix),
        _ => ok("room", detail),
    }
}

/// Each stream costs every server that keeps the log about 400 bytes of memory.
fn subjects(subjects: u64) -> Check {
    let detail = format!("{subjects} of {SUBJECTS_MAX} at most");
    let fix = "begin another log: log.name";
    match percent(subjects, SUBJECTS_MAX) {
        100.. => fail(
            "streams",
            format_args!("{detail}: no new scan is begun"),
            fix,
        ),
        NEARLY.. => warn("streams", detail, fix),
        _ => ok("streams", detail),
    }
}

fn percent(part: u64, of: u64) -> u64 {
    part.saturating_mul(100) / of.max(1)
}

async fn bucket(context: &Context) -> Result<Check, Failure> {
    if context.config.get("evidence.bucket").is_none() {
        let detail = "evidence lies in the data directory, where other nodes do not see it";
        return Ok(warn(
            "bucket",
            detail,
            "evidence.bucket and evidence.endpoint",
        ));
    }
    if let Some(store) = context.evidence().await? {
        store.list(&context.workspace()?).next().await.transpose()?;
    }
    Ok(ok("bucket", "answers"))
}

async fn nodes(log: &JetStream) -> Check {
    let nodes = match log.nodes(WAIT).await {
        Ok(nodes) => nodes,
        Err(error) => return of_problem("nodes", &error.into()),
    };
    let count = |role: &str| {
        let has = |node: &&_| has_role(node, role);
        nodes.iter().filter(has).count()
    };
    let roles = ["orchestrate", "collect", "project"];
    let counts = roles.map(|role| format!("{} {role}", count(role)));
    let detail = counts.join(", ");
    // Whoever reads folds the views by itself.
    match roles[..2].iter().find(|role| count(role) == 0) {
        Some(role) => warn("nodes", detail, format_args!("mirage serve --role {role}")),
        None => ok("nodes", detail),
    }
}

fn has_role(node: &mirage_log::jetstream::NodeInfo, role: &str) -> bool {
    node.said.roles.iter().any(|said| said == role)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_log_that_fills_up_is_told_before_it_is_full() {
        for (bytes, verdict) in [(79, Verdict::Ok), (80, Verdict::Warn), (100, Verdict::Fail)] {
            let facts = Facts {
                messages: 1,
                bytes,
                bytes_max: 100,
                subjects: 1,
                replicas: 1,
                replicas_current: 1,
            };
            assert_eq!(room(&facts).verdict, verdict, "{bytes}");
            assert_eq!(subjects(SUBJECTS_MAX / 100 * bytes).verdict, verdict);
        }
    }

    #[test]
    fn a_copy_that_is_behind_is_told() {
        let facts = Facts {
            messages: 1,
            bytes: 1,
            bytes_max: 100,
            subjects: 1,
            replicas: 3,
            replicas_current: 2,
        };
        assert_eq!(replicas(&facts).verdict, Verdict::Warn);
    }
}
