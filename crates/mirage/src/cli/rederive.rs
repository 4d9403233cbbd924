//! `mirage rederive`: today's modules over what a scan kept, and what they see differently.

use std::sync::Arc;

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{ModuleName, ScanId};
use mirage_domain::scan::{Limits, Origin};
use mirage_log::Filter;
use mirage_projections::catalog::{Side, State};
use mirage_workers::node::{Node, ScanRequest};

use super::global::KeyArgument;
use super::scan::{follow, manifest};
use super::{Answer, Context, diff, evidence, ids, known, scans};
use crate::output::Failure;
use crate::wire;

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
    let of = finished(context, &arguments.scan).await?;
    // A finding without its evidence would silently be gone: better to say so before anything is written.
    evidence::verify_cited(context, &*context.log().await?, Filter::Scan(of.clone())).await?;
    let node = Arc::new(context.node_with_room().await?);
    let fresh = start(&node, &of, &modules, arguments).await?;
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

async fn start(
    node: &Node,
    of: &ScanId,
    modules: &[ModuleName],
    arguments: &Arguments,
) -> Result<ScanId, Failure> {
    let request = scans::request_of(node, of).await?;
    let depth = request.limits.depth;
    let request = ScanRequest {
        modules: request
            .modules
            .into_iter()
            .chain(modules.iter().cloned())
            .collect(),
        // Nothing is sent, so nothing is to be spared.
        limits: Limits {
            depth,
            ..Limits::default()
        },
        origin: Origin::Rederivation { of: of.clone() },
        ..request
    };
    let mut words = vec!["rederive", of.as_str()];
    words.extend(modules.iter().map(ModuleName::as_str));
    let started = node
        .commands
        .start(request, &arguments.key.caller(&words))
        .await;
    let (fresh, _) = started.map_err(wire::of_command)?;
    Ok(fresh)
}
