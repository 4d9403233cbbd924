//! `mirage why`: how a finding or an entity came to be known, step by step, and proven.

use std::io::{Write as _, stdout};

use mirage_api::error::{Exit, Problem};
use mirage_api::why::{self, Asked, Proven, Prover, Verdict};
use mirage_projections::catalog::{Reader, Resolved, Why};
use serde_json::Value;

use super::global::AtArgument;
use super::{Answer, Context, ids, known};
use crate::output::{Failure, Form, SafeText, json};
use crate::wire::Views;
use crate::wire::remote::Remote;

/// Explain a finding or an entity: every chain back to a seed
///
/// Each step is held against the log, the evidence and the id key; what could not be verified is told.
///
/// Exit codes: 0 ok, 2 usage or ambiguous, 3 no such finding or entity, 6 a check failed, or the chain reaches no seed
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The beginning of a finding's id, KIND:KEY, or the beginning of an entity's id
    #[arg(value_name = "FINDING|ENTITY")]
    what: String,
    /// For an entity: in this scan [default: the newest that met it]
    #[arg(long, add = known::scans(), value_name = "SCAN")]
    scan: Option<String>,
    /// As a tree (the default)
    #[arg(long, group = "shape")]
    tree: bool,
    /// As JSON
    #[arg(long, group = "shape")]
    json: bool,
    /// As a graph in DOT
    #[arg(long, group = "shape")]
    dot: bool,
    /// As W3C PROV-JSON
    #[arg(long, group = "shape")]
    prov: bool,
    #[command(flatten)]
    at: AtArgument,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    if let Some(remote) = context.remote()? {
        return ask(context, &remote, arguments).await;
    }
    let views = context.views().await?;
    let reader = views.reader(arguments.at.text())?;
    let found = find(context, &views, &reader, arguments).await?;
    let asked = Asked {
        actor: reader
            .scan_row(&found.scan_id)?
            .map_or_else(|| "unknown".to_owned(), |scan| scan.actor),
    };
    let proven = prove(context, &views, found).await?;
    let mut out = stdout().lock();
    writeln!(
        out,
        "{}",
        shown(context, arguments, &proven, &asked).trim_end()
    )?;
    out.flush()?;
    context.output.say_as_of(proven.why.at);
    Ok(told(context, &proven))
}

/// The same over a server, which proves it there; as JSON or PROV.
async fn ask(context: &Context, remote: &Remote, arguments: &Arguments) -> Answer {
    if arguments.dot || arguments.tree {
        let problem = Problem::new("usage", "a server tells it as JSON or PROV");
        return Err(problem.try_this("--json or --prov").into());
    }
    let of = match arguments.what.contains(':') {
        true => "entities",
        false => "findings",
    };
    let query = vec![
        ("shape", arguments.prov.then(|| "prov".to_owned())),
        ("scan", arguments.scan.clone()),
        ("at", arguments.at.sent()?),
    ];
    let path = [of, &arguments.what, "why"];
    let told = match remote.get(&path, &query).await {
        // An id alone does not say of what it is.
        Err(Failure::Problem(problem)) if problem.row.code == "no_such_finding" => {
            remote
                .get(&["entities", &arguments.what, "why"], &query)
                .await?
        }
        told => told?,
    };
    let text = match context.output.form {
        Form::Jsonl => json::line(&told),
        _ => json::pretty(&told),
    };
    let mut out = stdout().lock();
    writeln!(out, "{}", text.trim_end())?;
    out.flush()?;
    let proofs = told["proofs"].as_array().into_iter().flatten();
    let has_failed = proofs
        .flat_map(verdicts)
        .any(|verdict| verdict["result"] == "failed");
    let is_lost = told["reaches_seed"] == Value::Bool(false);
    match has_failed || is_lost {
        true => Ok(Exit::Verification),
        false => Ok(Exit::Done),
    }
}

/// Every check of one step.
fn verdicts(proof: &Value) -> Vec<&Value> {
    let items = proof["evidence"].as_array().into_iter().flatten();
    let own = [&proof["recorded"], &proof["ids"], &proof["settings"]];
    own.into_iter().chain(items).collect()
}

async fn prove(context: &Context, views: &Views, found: Why) -> Result<Proven, Failure> {
    // Without a store, all evidence is missing.
    let store = context.evidence().await.ok().flatten();
    let key = context.id_key(views.log.clone()).await.ok().flatten();
    let prover = Prover {
        workspace: &context.workspace()?,
        log: &*views.log,
        evidence: store.as_deref().map(|store| store as _),
        key: key.as_ref(),
    };
    Ok(prover.prove(found).await)
}

fn shown(context: &Context, arguments: &Arguments, proven: &Proven, asked: &Asked) -> String {
    let safe = |text: &str| SafeText(text).to_string();
    let is_json = arguments.json || matches!(context.output.form, Form::Json | Form::Jsonl);
    let as_json = |value: &Value| match context.output.form {
        Form::Jsonl => json::line(value),
        _ => json::pretty(value),
    };
    match () {
        () if arguments.dot => why::dot(proven, safe),
        () if arguments.prov => as_json(&why::prov(proven, asked)),
        () if is_json && !arguments.tree => {
            as_json(&serde_json::to_value(proven).unwrap_or_default())
        }
        () => why::tree(proven, safe),
    }
}

/// Says what failed and what could not be verified; failures decide how the program ends.
fn told(context: &Context, proven: &Proven) -> Exit {
    let mut has_failed = !proven.why.reaches_seed;
    if has_failed {
        let lost = "the chain does not reach a seed: a parent is not to be found";
        context.output.say(lost);
    }
    for (proof, what, verdict) in proven.verdicts() {
        let finding = proof.finding_id;
        match verdict {
            Verdict::Held => {}
            Verdict::Failed(reason) => {
                has_failed = true;
                context.output.say(format_args!(
                    "{what} of finding {finding}: FAILED, {reason}"
                ));
            }
            Verdict::Unknown(reason) => context.output.say(format_args!(
                "{what} of finding {finding}: not verified, {reason}"
            )),
        }
    }
    match has_failed {
        true => Exit::Verification,
        false => Exit::Done,
    }
}

async fn find(
    context: &Context,
    views: &Views,
    reader: &Reader<'_>,
    arguments: &Arguments,
) -> Result<Why, Failure> {
    let scan = arguments
        .scan
        .as_deref()
        .map(|scan| ids::scan(reader, scan))
        .transpose()?;
    let text = &arguments.what;
    let is_finding = !text.contains(':') && !matches!(reader.finding_by_id(text)?, Resolved::None);
    let why = match is_finding {
        true => {
            let found = ids::finding(reader, text)?;
            reader.why(&found.scan_id, found.finding_id)?
        }
        false => {
            let id = ids::entity_id(context, views, reader, text)
                .await
                .map_err(neither)?;
            reader.why_entity(id, scan.as_ref())?
        }
    };
    Ok(why.ok_or_else(|| Problem::new("no_such_entity", format!("`{text}`")))?)
}

/// What is no finding and no entity is most likely meant as a finding.
fn neither(failure: Failure) -> Failure {
    match failure {
        Failure::Problem(problem)
            if problem.row.code == "no_such_entity" && !problem.detail.contains(':') =>
        {
            Problem::new(
                "no_such_finding",
                format!("{} is neither a finding nor an entity", problem.detail),
            )
            .into()
        }
        failure => failure,
    }
}
