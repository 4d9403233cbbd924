//! `mirage scan`: starts a scan, follows it to its end, and says what came of it.

pub(crate) mod consent;
pub(crate) mod follow;
mod plan;
mod progress;
mod request;
mod seeds;
pub(crate) mod summary;

use std::sync::Arc;

use mirage_api::error::Exit;
use mirage_domain::id::{FindingId, ScanId};
use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::catalog::{FindingFilter, MarkRow, Page, Reader, ScanFilter, State};
use mirage_workers::node::{Caller, Node, ScanRequest};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) use request::{configured, manifest, parsed, private};

use super::{Answer, Context, known};
use crate::output::{Failure, Field, Listing, Shape};
use crate::wire;
use crate::wire::remote::Remote;

/// Newest scans among which interrupted ones are mentioned.
const MENTIONED_OF: u32 = 20;

/// Start a scan and follow it
///
/// Seeds are domains, addresses, netblocks, ranges, urls, e-mail addresses, AS numbers, phones with their +, or KIND:VALUE.
/// A seed implies its scope: a domain itself and all below it, an address itself, a netblock all inside.
///
/// Exit codes: 0 ok, 1 failed (with --exit-code: nothing found; failures are then 10), 2 usage or no consent, 5 conflict,
/// 6 the log is damaged, 7 finished with failed modules, 8 still running at --timeout, 9 the store cannot be used,
/// 130 interrupted
#[derive(Debug, clap::Args, serde::Serialize)]
pub(crate) struct Arguments {
    /// What to look at; - reads seeds from stdin, one a line
    #[arg(value_name = "SEED")]
    seeds: Vec<String>,
    /// A name for the scan [default: its seeds]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// A seed whose kind is said, such as organization:Example Ltd
    #[arg(long, value_name = "KIND:VALUE")]
    seed: Vec<String>,
    /// How far to go; each includes the ones before it: passive, standard, active
    #[arg(long, add = known::profiles(), value_name = "PROFILE")]
    profile: Option<String>,
    /// Only these modules
    #[arg(long, add = known::modules(), value_name = "A,B")]
    modules: Vec<String>,
    /// Not these modules
    #[arg(long, add = known::modules(), value_name = "A,B")]
    exclude: Vec<String>,
    /// A further rule of scope: a domain, =name, an address, a CIDR, KIND:KEY; !RULE excludes and wins
    #[arg(long, value_name = "RULE")]
    scope: Vec<String>,
    /// Longest chain from a seed whose end is still asked about
    #[arg(long, value_name = "N")]
    depth: Option<String>,
    /// Requests at most
    #[arg(long, value_name = "N")]
    max_requests: Option<String>,
    /// Time at most (30s, 10m, 2h)
    #[arg(long, value_name = "TIME")]
    max_time: Option<String>,
    /// Requests per second to one host at most
    #[arg(long, value_name = "N")]
    rate: Option<String>,
    /// The ports to scan, such as 80,443,8000-8100
    #[arg(long, value_name = "LIST")]
    ports: Option<String>,
    /// A setting of a module, such as crtsh.url=…; `mirage modules info NAME` lists them
    #[arg(long, value_name = "MODULE.KEY=VALUE")]
    set: Vec<String>,
    /// Ask this DNS server instead of the system's
    #[arg(long, value_name = "IP:PORT")]
    resolver: Vec<String>,
    /// The proxy through which HTTP goes
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// How to introduce ourselves to web servers
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// A private range that may be contacted
    #[arg(long, value_name = "CIDR")]
    allow_private: Vec<String>,
    /// Show modules, scope and who will see traffic, and start nothing
    #[arg(long)]
    plan: bool,
    /// Start it and leave; `mirage serve` or `mirage scans resume` runs it
    #[arg(long)]
    no_wait: bool,
    /// End with 1 if nothing was found; failures are then 10
    #[arg(long)]
    exit_code: bool,
    /// The same key starts the same scan, once
    #[arg(long, value_name = "KEY")]
    #[serde(skip)]
    idempotency_key: Option<String>,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    let is_exit_code = arguments.exit_code;
    let ended = scan(context, arguments).await;
    match is_exit_code {
        true => ended.map_err(Failure::beside),
        false => ended,
    }
}

async fn scan(context: &Context, arguments: Arguments) -> Answer {
    let seeds = seeds::read(&arguments.seeds, &arguments.seed, std::io::stdin().lock())?;
    let mut request = request::build(&arguments, seeds, &context.config)?;
    if arguments.plan {
        return plan::show(context, &request);
    }
    seeds::tell(context, &request.seeds);
    request.consent = consent::obtain(context, request.profile)?;
    if let Some(remote) = context.remote()? {
        return ask(
            context,
            &remote,
            &request,
            arguments.idempotency_key.as_deref(),
        )
        .await;
    }
    let caller = caller(&arguments);
    let node = Arc::new(context.node_with_room().await?);
    let (scan, position) = node
        .commands
        .start(request, &caller)
        .await
        .map_err(wire::of_command)?;
    mention_interrupted(context, &scan).await?;
    context
        .output
        .say(format_args!("scan {scan} started at position {position}"));
    if arguments.no_wait {
        return started(context, &scan, position.0);
    }
    end(context, node, &scan, arguments.exit_code).await
}

/// The same over a server, whose nodes run the scan.
async fn ask(
    context: &Context,
    remote: &Remote,
    request: &ScanRequest,
    key: Option<&str>,
) -> Answer {
    let modules: Vec<&str> = request
        .modules
        .iter()
        .map(|module| module.as_str())
        .collect();
    let body = json!({
        "seeds": request.seeds.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "name": request.name,
        "profile": request.profile,
        "modules": modules,
        "scope": request.scope,
        "depth": request.limits.depth,
        "max_requests": request.limits.requests,
        "max_time_s": request.limits.time_s,
        "settings": request.settings.modules,
        "allow_private": request.allow_private,
        "consent": request.consent.is_some(),
    });
    let started = remote
        .change(Method::POST, &["scans"], Some(body), key, None)
        .await?;
    started_there(context, &started)?;
    Ok(Exit::Done)
}

/// Tells of a scan that a server has started.
pub(crate) fn started_there(context: &Context, started: &Value) -> Result<(), Failure> {
    let (id, position) = (started["scan_id"].clone(), started["position"].clone());
    let next = id.as_str().unwrap_or_default().to_owned();
    context.output.thing(&STARTED, vec![id, position])?;
    context.output.say(format_args!(
        "its nodes run it; to look: mirage scans get {next}"
    ));
    Ok(())
}

/// The caller with the key and the request as it was written, before defaults.
fn caller(arguments: &Arguments) -> Caller {
    let sent = serde_json::to_vec(arguments).expect("texts and flags");
    Caller {
        key: arguments.idempotency_key.clone().map(|key| (key, sent)),
        ..wire::caller()
    }
}

/// Follows a started scan and shows what came of it.
pub(crate) async fn end(
    context: &Context,
    node: Arc<Node>,
    scan: &ScanId,
    is_exit_code: bool,
) -> Answer {
    let (tally, how) = follow::follow(context, node, scan).await?;
    if let Some(problem) = how.unfinished(scan) {
        return Err(problem.into());
    }
    let counted = counted(context, scan).await?;
    let exit = summary::show(context, scan, &tally, &counted)?;
    // The seeds themselves are findings, and not what was looked for.
    match is_exit_code && counted.findings <= tally.seeds {
        true => Ok(Exit::Failed),
        false => Ok(exit),
    }
}

/// Names the scans that nobody runs; they are left alone.
async fn mention_interrupted(context: &Context, started: &ScanId) -> Result<(), Failure> {
    let views = context.views().await?;
    let newest = Page::newest(MENTIONED_OF);
    let listed = views.reader(None)?.scans(&ScanFilter::default(), &newest)?;
    let held = context.held().await;
    for row in listed.rows {
        let row = held.now(row).await;
        if row.state == State::Interrupted && row.scan_id != *started {
            let id = &row.scan_id;
            context.output.say(format_args!(
                "scan {id} is interrupted: mirage scans resume {id}"
            ));
        }
    }
    Ok(())
}

/// What the catalog counts of a scan: a claim that several tasks make is one finding.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    findings: u64,
    /// Findings that the last scan of the same seeds had not; `None` if there was none.
    new: Option<u64>,
    /// Findings of this scan that were marked in another one.
    marked_before: Vec<(FindingId, MarkRow)>,
}

/// Earlier marks that a summary tells; there is a list for more.
pub(super) const MARKED_BEFORE_MAX: u32 = 10;

async fn counted(context: &Context, scan: &ScanId) -> Result<Counted, Failure> {
    let views = context.views().await?;
    let reader = views.reader(None)?;
    let findings = reader.scan_row(scan)?.map_or(0, |row| row.findings);
    let before = reader.previous_scan_of_same_seeds(scan)?;
    let new = before.map(|before| count_new(&reader, scan, before));
    Ok(Counted {
        findings,
        new: new.transpose()?,
        marked_before: reader.earlier_marks(scan, MARKED_BEFORE_MAX)?,
    })
}

fn count_new(reader: &Reader<'_>, scan: &ScanId, before: ScanId) -> Result<u64, Failure> {
    let filter = FindingFilter {
        scan: Some(scan.clone()),
        new_since: Some(before),
        ..FindingFilter::default()
    };
    let (mut page, mut count) = (Page::first(PAGE_ROWS_MAX), 0);
    loop {
        let listed = reader.findings(&filter, &page)?;
        count += listed.rows.len() as u64;
        match listed.next {
            Some(next) => page = page.after(next),
            None => return Ok(count),
        }
    }
}

static STARTED: Listing = Listing {
    key: "scan_id",
    fields: &[
        Field::new("scan_id", Shape::Text),
        Field::new("position", Shape::Number),
    ],
};

pub(crate) fn started(context: &Context, scan: &ScanId, position: u64) -> Answer {
    context
        .output
        .thing(&STARTED, vec![scan.to_string().into(), position.into()])?;
    let next = match context.is_cluster() {
        true => format!("the nodes run it; to follow: mirage watch {scan}"),
        false => format!("to run it: mirage scans resume {scan}"),
    };
    context.output.say(next);
    Ok(Exit::Done)
}
