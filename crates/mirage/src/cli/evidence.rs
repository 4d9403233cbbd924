//! `mirage evidence`: what was seen, byte for byte, and the proof that it is what was stored.

use std::io::{SeekFrom, Write, stdout};

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{Digest, Position};
use mirage_log::evidence::{Bad, Cited, Stored, check_cited};
use mirage_log::{EventLog, Filter};

use super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write an item to stdout as it is stored
    ///
    /// Exit codes: 0 ok, 2 not a SHA-256, 3 no such evidence, 6 the bytes are not what was stored
    Get {
        /// The SHA-256, as `mirage findings -o jsonl` names it
        #[arg(value_name = "HASH")]
        hash: String,
    },
    /// Hold one item, or all evidence that the log cites, against its hash, and list what is bad
    ///
    /// Exit codes: 0 all is there as it was stored, 2 not a SHA-256, 3 no log, or no such evidence, 6 something is damaged or missing
    Verify {
        /// One item instead of all
        #[arg(value_name = "HASH")]
        hash: Option<String>,
    },
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    match arguments.command {
        Command::Get { hash } => {
            let digest = digest(&hash)?;
            if let Some(remote) = context.remote()? {
                let path = ["evidence", &digest.to_string()];
                remote
                    .bytes(&path, &Vec::new(), &mut stdout().lock())
                    .await?;
                return Ok(Exit::Done);
            }
            let mut stored = get(context, digest).await?;
            let mut out = stdout().lock();
            std::io::copy(&mut stored, &mut out)?;
            out.flush()?;
            Ok(Exit::Done)
        }
        Command::Verify { hash: Some(hash) } => {
            let digest = digest(&hash)?;
            let mut stored = match get(context, digest).await {
                Err(failure) => return Err(or_missing(context, digest, failure).await?),
                Ok(stored) => stored,
            };
            let bytes = stored.seek(SeekFrom::End(0))?;
            context
                .output
                .say(format_args!("{bytes} bytes, as they were stored"));
            Ok(Exit::Done)
        }
        Command::Verify { hash: None } => verify(context).await,
    }
}

fn digest(hash: &str) -> Result<Digest, Problem> {
    hash.parse()
        .map_err(|error| Problem::new("bad_id", format!("`{hash}`: {error}")))
}

async fn get(context: &Context, digest: Digest) -> Result<Box<dyn Stored>, Failure> {
    context.log().await?;
    let absent = || Problem::new("no_such_evidence", digest).into();
    let Some(store) = context.evidence().await? else {
        return Err(absent());
    };
    let found = store.open(&context.workspace()?, digest).await?;
    found.ok_or_else(absent)
}

/// What is cited and not there was lost; what nobody cites was never there.
async fn or_missing(
    context: &Context,
    digest: Digest,
    failure: Failure,
) -> Result<Failure, Failure> {
    let is_absent =
        matches!(&failure, Failure::Problem(problem) if problem.row.code == "no_such_evidence");
    if !is_absent {
        return Ok(failure);
    }
    let (log, workspace) = (context.log().await?, context.workspace()?);
    let mut cited_at = None;
    // Without a store all that is cited is told.
    check_cited(&*log, None, Position(0), Filter::All, |bad| {
        if bad.digest == digest && bad.workspace == workspace {
            cited_at.get_or_insert(bad.cited_at);
        }
    })
    .await?;
    Ok(match cited_at {
        None => failure,
        Some(at) => {
            let problem = Problem::new(
                "evidence_damaged",
                format!("{digest} is missing, cited at {at}"),
            );
            problem
                .try_this("mirage log restore BACKUP puts back what it holds")
                .into()
        }
    })
}

/// Items that are listed; there is no use in more.
const BAD_SHOWN_MAX: usize = 10_000;

static BAD: Listing = Listing {
    key: "evidence",
    fields: &[
        Field::new("evidence", Shape::Text),
        Field::new("verdict", Shape::Text),
        Field::new("cited_at", Shape::Text),
        Field::more("workspace", Shape::Text),
    ],
};

async fn verify(context: &Context) -> Answer {
    let log = context.log().await?;
    let cited = verify_cited(context, &*log, Filter::All).await?;
    context.output.say(format_args!(
        "{} items with {} bytes are cited, all as they were stored",
        cited.items, cited.bytes
    ));
    Ok(Exit::Done)
}

/// Lists what is cited and damaged or missing; if there is any, that is the end.
pub(super) async fn verify_cited(
    context: &Context,
    log: &dyn EventLog,
    filter: Filter,
) -> Result<Cited, Failure> {
    let store = context.evidence().await?;
    let mut all = Vec::new();
    let cited = check_cited(
        log,
        store.as_deref().map(|store| store as _),
        Position(0),
        filter,
        |bad| {
            if all.len() < BAD_SHOWN_MAX {
                all.push(bad);
            }
        },
    )
    .await?;
    if cited.bad == 0 {
        return Ok(cited);
    }
    let mut rows = context.output.rows(&BAD)?;
    for bad in &all {
        rows.push(row(bad))?;
    }
    rows.end(None)?;
    let Cited { items, bad, .. } = cited;
    let detail = format!("{items} items are cited, {bad} of them damaged or missing");
    let problem = Problem::new("evidence_damaged", detail);
    Err(problem
        .try_this("mirage log restore BACKUP puts back what it holds")
        .into())
}

fn row(bad: &Bad) -> Vec<serde_json::Value> {
    let verdict = if bad.is_damaged { "damaged" } else { "missing" };
    vec![
        bad.digest.to_string().into(),
        verdict.into(),
        bad.cited_at.to_string().into(),
        bad.workspace.to_string().into(),
    ]
}
