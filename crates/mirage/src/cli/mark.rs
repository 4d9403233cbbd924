//! `mirage mark` and `mirage unmark`: an analyst's word on a finding, and taking it back.

use mirage_api::error::{Exit, Problem};
use mirage_domain::mark::{Command, Verdict};

use reqwest::Method;
use serde_json::{Value, json};

use super::global::KeyArgument;
use super::{Answer, Context, ids};
use crate::output::{Field, Listing, Shape};

/// Mark a finding: false positive, or confirmed
///
/// What can be reached from a seed only through a false positive falls with it; what something else leads to stays. The
/// past does not change: --at a position before the mark answers as it did.
///
/// Exit codes: 0 ok, 2 usage or ambiguous, 3 no such finding, 5 the idempotency key was used before
#[derive(Debug, clap::Args)]
pub(crate) struct MarkArguments {
    /// The beginning of a finding's id
    #[arg(value_name = "FINDING")]
    finding: String,
    /// It is not so
    #[arg(long, group = "verdict", requires = "reason")]
    false_positive: bool,
    /// It was looked at and found right
    #[arg(long, group = "verdict")]
    confirmed: bool,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    key: KeyArgument,
}

/// Take a mark back
///
/// Exit codes: 0 ok, 2 ambiguous, 3 no such finding, 5 the finding is not marked
#[derive(Debug, clap::Args)]
pub(crate) struct UnmarkArguments {
    /// The beginning of a finding's id
    #[arg(value_name = "FINDING")]
    finding: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    key: KeyArgument,
}

static LISTING: Listing = Listing {
    key: "finding_id",
    fields: &[
        Field::new("finding_id", Shape::Text),
        Field::new("scan_id", Shape::Text),
        Field::new("verdict", Shape::Text),
        Field::new("fallen", Shape::Number),
        Field::new("position", Shape::Number),
    ],
};

pub(crate) async fn mark(context: &Context, arguments: &MarkArguments) -> Answer {
    let verdict = match (arguments.false_positive, arguments.confirmed) {
        (true, _) => Verdict::FalsePositive,
        (_, true) => Verdict::Confirmed,
        _ => {
            let problem = Problem::new("usage", "what is said about the finding?");
            return Err(problem
                .try_this("add --false-positive --reason TEXT, or --confirmed")
                .into());
        }
    };
    let reason = arguments.reason.clone().unwrap_or_default();
    if let Some(remote) = context.remote()? {
        let path = ["findings", &arguments.finding, "mark"];
        let body = json!({"verdict": verdict.as_str(), "reason": reason});
        let key = arguments.key.text();
        let marked = remote
            .change(Method::PUT, &path, Some(body), key, None)
            .await?;
        return told(context, verdict.as_str(), &marked);
    }
    let command = Command::Set { verdict, reason };
    say(context, &arguments.finding, command, &arguments.key).await
}

pub(crate) async fn unmark(context: &Context, arguments: &UnmarkArguments) -> Answer {
    if let Some(remote) = context.remote()? {
        let path = ["findings", &arguments.finding, "mark"];
        let query = vec![("reason", arguments.reason.clone())];
        let key = arguments.key.text();
        let cleared = remote.delete(&path, &query, key).await?;
        return told(context, "unmarked", &cleared);
    }
    let reason = arguments.reason.clone().unwrap_or_default();
    let command = Command::Clear { reason };
    say(context, &arguments.finding, command, &arguments.key).await
}

/// What a server answered.
fn told(context: &Context, verdict: &str, answered: &Value) -> Answer {
    let field = |name: &str| answered[name].clone();
    let values = vec![
        field("finding_id"),
        field("scan_id"),
        verdict.into(),
        field("fallen"),
        field("position"),
    ];
    context.output.thing(&LISTING, values)?;
    Ok(Exit::Done)
}

async fn say(context: &Context, finding: &str, command: Command, key: &KeyArgument) -> Answer {
    let views = context.views().await?;
    let reader = views.reader(None)?;
    let found = ids::finding(&reader, finding)?;
    let before = reader.fallen()?.len();
    let (verdict, reason) = match &command {
        Command::Set { verdict, reason } => (verdict.as_str(), reason.clone()),
        Command::Clear { reason } => ("unmarked", reason.clone()),
    };
    let id = found.finding_id.to_string();
    let caller = key.caller(&["mark", &id, verdict, &reason]);
    let node = context.node().await?;
    let position = node
        .commands
        .mark(&found.scan_id, found.finding_id, command, &caller)
        .await
        .map_err(Problem::from)?;
    let views = context.views().await?;
    let fallen = views.reader(None)?.fallen()?.len();
    context.output.say(format_args!(
        "{fallen} findings do not stand now, {before} did not before"
    ));
    context.output.thing(
        &LISTING,
        vec![
            id.into(),
            found.scan_id.to_string().into(),
            verdict.into(),
            fallen.into(),
            position.0.into(),
        ],
    )?;
    Ok(Exit::Done)
}
