//! `mirage rederive`: today's modules over what a scan kept, and what they see differently.

use std::sync::Arc;
use std::time::Duration;

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{ModuleName, ScanId};
use mirage_log::Filter;
use mirage_projections::catalog::{Side, State};
use reqwest::Method;
use serde_json::{Value, json};

use super::global::KeyArgument;
use super::scan::follow::{self, How};
use super::scan::{MARKED_BEFORE_MAX, manifest, summary};
use super::{Answer, Context, diff, evidence, findings, ids, known};
use crate::output::Failure;
use crate::wire;
use crate::wire::remote::Remote;

/// Between two looks at a scan that a server runs.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Run today's modules over the evidence of a scan, and compare
///
/// Nothing is sent. The scan's own modules run anew over what it kept, as a scan of its own that is linked to it; then
/// the two are compared. A question to which no answer was kept fails, and counts among the failures.
///
/// Exit codes: 0 ok, 1 with --exit-code: they differ (failures are then 10), 2 usage, 3 no such scan or module,
/// 5 the scan is not over, 6 evidence of the scan is damaged or missing, 8 still running at --timeout, 130 interrupted
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "SCAN")]
    scan: String,
    /// Compare only what these modules find; those that the scan had not run as well
    #[arg(long, add = known::modules(), value_name = "A,B", value_delimiter = ',')]
    modules: Vec<String>,
    /// End with 1 if they differ; failures are then 10
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    key: KeyArgument,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    match derive(context, arguments).await {
        Ok(differences) if arguments.exit_code && differences > 0 => Ok(Exit::Failed),
        Ok(_) => Ok(Exit::Done),
        Err(failure) if arguments.exit_code => Err(failure.beside()),
        Err(failure) => Err(failure),
    }
}

async fn derive(context: &Context, arguments: &Arguments) -> Result<u64, Failure> {
    let modules = modules(&arguments.modules)?;
    if let Some(remote) = context.remote()? {
        return ask(context, &remote, &modules, arguments).await;
    }
    let of = finished(context, &arguments.scan).await?;
    // A finding without its evidence would silently be gone: better to say so before anything is written.
    evidence::verify_cited(context, &*context.log().await?, Filter::Scan(of.clone())).await?;
    let node = Arc::new(context.node_with_room().await?);
    let caller = arguments.key.caller(&words(&of, &modules));
    let started = node.commands.rederive(&of, modules.clone(), &caller).await;
    let (fresh, _) = started.map_err(wire::of_command)?;
    context
        .output
        .say(format_args!("scan {fresh} derives {of} anew"));
    let (tally, how) = follow::follow(context, node, &fresh).await?;
    if let Some(problem) = how.unfinished(&fresh) {
        return Err(problem.into());
    }
    let unanswered: u64 = tally.failures.values().sum();
    if unanswered > 0 {
        context.output.say(format_args!(
            "{unanswered} inputs could not be asked about to the end, mostly since no answer was kept: \
             mirage scans get {fresh}"
        ));
    }
    let views = context.views().await?;
    let reader = views.reader(None)?;
    // What was marked away stands here again, and is new to the diff.
    summary::marked_before(context, &reader.earlier_marks(&fresh, MARKED_BEFORE_MAX)?);
    let sides = [&of, &fresh].map(|scan| Side {
        reader: &reader,
        scan,
        modules: &modules,
    });
    diff::write(context, &sides)
}

fn modules(names: &[String]) -> Result<Vec<ModuleName>, Failure> {
    let named = |name: &String| {
        manifest(name, "unknown_module")?;
        ModuleName::new(name).map_err(|error| Problem::new("bad_id", error))
    };
    Ok(names.iter().map(named).collect::<Result<_, _>>()?)
}

/// The scan that is meant, if it is over.
async fn finished(context: &Context, text: &str) -> Result<ScanId, Failure> {
    let views = context.views().await?;
    let reader = views.reader(None)?;
    let id = ids::scan(&reader, text)?;
    let row = reader.scan_row(&id)?;
    match row.is_some_and(|row| row.state == State::Finished) {
        true => Ok(id),
        false => Err(Problem::new("scan_not_over", &id).into()),
    }
}

/// The words of the command, which its key stands for.
fn words<'a>(of: &'a ScanId, modules: &'a [ModuleName]) -> Vec<&'a str> {
    let mut words = vec!["rederive", of.as_str()];
    words.extend(modules.iter().map(ModuleName::as_str));
    words
}

/// The same over a server, whose nodes run it.
async fn ask(
    context: &Context,
    remote: &Remote,
    modules: &[ModuleName],
    arguments: &Arguments,
) -> Result<u64, Failure> {
    // @last is another one afterwards.
    let of = remote.get(&["scans", &arguments.scan], &Vec::new()).await?;
    let of = of["scan_id"].as_str().unwrap_or_default().to_owned();
    let path = ["scans", &of, "rederive"];
    let body = Some(json!({ "modules": modules }));
    let key = arguments.key.text();
    let started = remote.change(Method::POST, &path, body, key, None).await?;
    let fresh = started["scan_id"].as_str().unwrap_or_default();
    context
        .output
        .say(format_args!("scan {fresh} derives {of} anew"));
    over(context, remote, fresh, &started).await?;
    let modules = modules.iter().map(ToString::to_string).collect::<Vec<_>>();
    let query = vec![
        ("before", Some(of)),
        ("after", Some(fresh.to_owned())),
        ("modules", findings::listed(&modules)),
    ];
    diff::ask(context, remote, query).await
}

/// Until the scan is over, or somebody has waited long enough; it goes on there.
async fn over(
    context: &Context,
    remote: &Remote,
    scan: &str,
    started: &Value,
) -> Result<(), Failure> {
    let is_over = async || loop {
        let query = vec![("min_position", Some(started["position"].to_string()))];
        let row = remote.get(&["scans", scan], &query).await?;
        if row["state"] == "finished" {
            return Ok::<_, Failure>(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    let code = tokio::select! {
        over = is_over() => return over,
        asked = follow::asked_to_stop(context.timeout) => match asked {
            How::Interrupted => "interrupted",
            How::TimedOut | How::Over => "still_running",
        },
    };
    let problem = Problem::new(code, format!("scan {scan} goes on at the server"));
    Err(problem.try_this(format!("mirage scans get {scan}")).into())
}
