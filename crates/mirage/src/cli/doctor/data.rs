//! What `doctor` looks at beside the log: keys, evidence, views, leases.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use mirage_api::error::Problem;
use mirage_domain::id::{Position, WorkspaceId};
use mirage_log::evidence::check_cited;
use mirage_log::{EventLog, Filter, keys};
use mirage_projections::Status;
use mirage_workers::leases::LeaseFile;
use mirage_workers::node::Place;

use super::super::Context;
use super::repair::Repair;
use super::{Check, NEWEST, fail, of_problem, ok, refused, warn};
use crate::output::Failure;

pub(super) async fn checks(
    context: &Context,
    log: &Arc<dyn EventLog>,
    is_deep: bool,
) -> Vec<Check> {
    let mut all = keys_of(context, &**log).await;
    all.push(evidence(context, &**log, is_deep).await);
    all.extend(views(context, log.clone()).await);
    // Those of a cluster lie with its log, and end by themselves.
    if !context.is_cluster() {
        all.push(leases(&context.data.dir));
    }
    all
}

async fn keys_of(context: &Context, log: &dyn EventLog) -> Vec<Check> {
    let folder = Place(context.data.dir.clone()).keys();
    let mut workspaces: BTreeSet<WorkspaceId> = keys::held(&folder).into_iter().collect();
    match context.workspace() {
        Ok(workspace) => workspaces.insert(workspace),
        Err(problem) => return vec![of_problem("key", &problem)],
    };
    let mut all = Vec::new();
    for workspace in workspaces {
        all.push(key(log, &folder, &workspace).await);
    }
    all
}

async fn key(log: &dyn EventLog, folder: &Path, workspace: &WorkspaceId) -> Check {
    let fingerprint = match keys::fingerprint(log, workspace).await {
        Ok(Some(fingerprint)) => fingerprint,
        Ok(None) => return ok("key", format_args!("workspace {workspace} has none yet")),
        Err(error) => return of_problem("key", &error.into()),
    };
    let path = keys::path(folder, workspace);
    let shown = path.display();
    let back = "put the key file back from a backup: mirage log restore BACKUP";
    match fs::metadata(&path) {
        Err(error) => fail("key", format_args!("{shown}: {error}"), back),
        Ok(_) if !keys::is_right(folder, workspace, fingerprint) => {
            let detail = format!("{shown} is not the key that the log knows");
            fail("key", detail, back)
        }
        Ok(found) if is_open_to_others(&found) => fail(
            "key",
            format_args!("{shown} can be read by others"),
            format_args!("chmod 600 {shown}"),
        )
        .or(Repair::Mode(path.clone())),
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

/// Holds what the newest commits cite, or all that is cited, against its hashes.
async fn evidence(context: &Context, log: &dyn EventLog, is_deep: bool) -> Check {
    match cited(context, log, is_deep).await {
        Ok(check) => check,
        Err(failure) => refused("evidence", &failure),
    }
}

async fn cited(context: &Context, log: &dyn EventLog, is_deep: bool) -> Result<Check, Failure> {
    let store = context.evidence().await?;
    let head = log.head().await?.position;
    let after = match is_deep {
        true => Position(0),
        false => Position(head.0.saturating_sub(NEWEST)),
    };
    let mut first = None;
    let cited = check_cited(
        log,
        store.as_deref().map(|store| store as _),
        after,
        Filter::All,
        |bad| {
            first.get_or_insert(bad);
        },
    )
    .await?;
    let of = match after {
        Position(0) => "all that is cited".to_owned(),
        after => format!("what is cited after position {after}, --deep looks at all"),
    };
    Ok(match first {
        None => ok(
            "evidence",
            format_args!("{} items are as they were stored: {of}", cited.items),
        ),
        Some(bad) => {
            let what = if bad.is_damaged { "damaged" } else { "missing" };
            let (digest, at) = (bad.digest, bad.cited_at);
            fail(
                "evidence",
                format_args!(
                    "{} of {} are bad: {digest}, cited at {at}, is {what}",
                    cited.bad, cited.items
                ),
                "mirage evidence verify lists them; mirage log restore BACKUP puts back what it holds",
            )
        }
    })
}

/// Looks at the files as they are: a doctor folds nothing.
async fn views(context: &Context, log: Arc<dyn EventLog>) -> Vec<Check> {
    let runner = match context.runner_of(log) {
        Ok(runner) => runner,
        Err(failure) => return vec![refused("view", &failure)],
    };
    let all = runner.inspect(Timestamp::now()).await;
    all.into_iter()
        .map(|(view, looked)| match looked {
            Ok(status) => of_view(&status),
            Err(error) => {
                let url = context.config.get(&format!("{view}.url"));
                broken(view, error, url.is_some())
            }
        })
        .collect()
}

/// A view that does not fit the log may be what tells that the log was changed: it is left to a person.
fn broken(view: &'static str, error: mirage_projections::Error, has_server: bool) -> Check {
    let is_alarm = error.is_alarm();
    let is_away = is_away(&error);
    let problem = Problem::from(error);
    let why = problem.cause.map(|cause| format!(": {cause}"));
    let detail = format!("{view}: {}{}", problem.detail, why.unwrap_or_default());
    let rebuild = format!("mirage views rebuild {view}");
    if is_away && has_server {
        let fix = format!("start the server of the view, or correct {view}.url");
        return fail("view", detail, fix);
    }
    match is_alarm {
        true => fail(
            "view",
            detail,
            format_args!("mirage log restore BACKUP; if you are sure of the log, {rebuild}"),
        ),
        false => fail("view", detail, rebuild).or(Repair::Rebuild(view)),
    }
}

/// Whether it is not the view that is bad, but the way to it.
fn is_away(error: &mirage_projections::Error) -> bool {
    use mirage_projections::Error;
    match error {
        Error::Server { .. } => true,
        Error::Open { .. } | Error::Query { .. } => error.may_retry(),
        _ => false,
    }
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
        )
        .or(Repair::Rebuild(view.view)),
        (None, 0) => ok("view", detail),
        (None, streams) => warn(
            "view",
            format_args!("{detail}, {streams} streams quarantined"),
            format_args!("upgrade, then mirage views rebuild {}", view.view),
        ),
    }
}

fn leases(dir: &Path) -> Check {
    let path = Place(dir.to_owned()).leases();
    if !path.exists() {
        return ok("leases", "none");
    }
    let stale = LeaseFile::open(&path).and_then(|leases| leases.stale(Timestamp::now()));
    match stale.as_deref() {
        Ok([]) => ok("leases", "none is stale"),
        Ok(stale) => warn(
            "leases",
            format_args!("{} of scans that nobody holds any more", stale.len()),
            "mirage scans resume SCAN, or mirage doctor --fix",
        )
        .or(Repair::Leases(path)),
        Err(error) => warn(
            "leases",
            format_args!("{}: {error}", path.display()),
            format_args!("delete {}: it holds hints alone", path.display()),
        )
        .or(Repair::Delete(path)),
    }
}
