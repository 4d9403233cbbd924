//! `mirage log`: the log itself; its end, one commit, its proof, and copies of it.

pub(super) mod backup;
mod export;

use std::io::{Write, stdout};
use std::path::PathBuf;

use futures::StreamExt;
use mirage_api::error::{Exit, Problem};
use mirage_api::rest::log::VERDICT;
use mirage_domain::event::Event;
use mirage_domain::id::{Cursor, Position};
use mirage_domain::{plan, scan, task};
use mirage_log::commit::Entry;
use mirage_log::{Filter, Read, Recorded, verify};
use serde_json::Value;

use super::global::AtArgument;
use super::{Answer, Context};
use crate::output::{Failure, Field, Form, Listing, Rows, Shape, values};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The last events, and with -f those to come
    ///
    /// Exit codes: 0 ok, 3 no log, 6 the log is damaged, 9 the log cannot be read
    Tail(Tail),
    /// One commit, as it stands in the log
    ///
    /// Exit codes: 0 ok, 2 not a position, 3 no such position, 6 the log is damaged
    Show(Show),
    /// Hold every commit against its hash, the log hash, its stream's chain, and the anchor
    ///
    /// Exit codes: 0 all is as it was written, 3 no log, 6 it is not: the first bad position is named
    Verify(Verify),
    /// Write the log as text, one commit's exact bytes a line, while others may write to it
    ///
    /// Exit codes: 0 ok, 2 FILE is no archive, 3 no log or position, 5 FILE is of another log or range, 6 log or archive is damaged
    Export(export::Arguments),
    /// Copy all that matters into another directory: log, head, keys, evidence; again, and only what is new is copied
    ///
    /// Others may write meanwhile; a run that was cut short goes on where it stopped. The backup is a data directory too.
    ///
    /// Exit codes: 0 ok, 2 DIR holds something else, 3 no log, 5 DIR holds another log, 6 log or evidence is damaged
    Backup(backup::BackUp),
    /// Put a backup into the data directory: an empty one, or one that holds a beginning of the same log
    ///
    /// Everything is verified. Where the directory knew of more commits than the backup holds, `head` goes back, and it is
    /// said. A run that was cut short goes on where it stopped; until then the log is refused.
    ///
    /// Exit codes: 0 ok, 5 the directory holds another log, 6 the backup is damaged or not complete
    Restore(backup::Restore),
}

#[derive(Debug, clap::Args)]
struct Verify {
    /// Prove an archive that `log export` wrote instead
    #[arg(long, value_name = "FILE|-")]
    archive: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Tail {
    /// How many commits back to begin
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        default_value_t = 10,
        conflicts_with = "after"
    )]
    commits: u64,
    /// Begin after this position instead
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,
    /// Go on with what comes
    #[arg(short, long, conflicts_with = "at")]
    follow: bool,
    #[command(flatten)]
    at: AtArgument,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// The position of the commit, or the cursor POSITION.INDEX of one of its events
    #[arg(value_name = "POSITION")]
    at: String,
    /// The bytes that are stored and hashed, and nothing else
    #[arg(long)]
    raw: bool,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    match arguments.command {
        Command::Tail(arguments) => tail(context, &arguments).await,
        Command::Show(arguments) => show(context, &arguments).await,
        Command::Verify(arguments) => match arguments.archive {
            None => verify_log(context).await,
            Some(path) => export::verify(context, &path),
        },
        Command::Export(arguments) => export::run(context, &arguments).await,
        Command::Backup(arguments) => backup::back_up(context, &arguments).await,
        Command::Restore(arguments) => backup::restore(context, &arguments).await,
    }
}

pub(super) static EVENTS: Listing = Listing {
    key: "cursor",
    fields: &[
        Field::new("cursor", Shape::Text),
        Field::new("recorded_at", Shape::Time),
        Field::new("kind", Shape::Text),
        Field::new("scan", Shape::Text),
        Field::new("about", Shape::Text),
        Field::more("event_id", Shape::Text),
        Field::more("stream", Shape::Text),
        Field::more("version", Shape::Number),
        Field::more("at", Shape::Time),
        Field::more("actor", Shape::Text),
        Field::more("data", Shape::Text),
    ],
};

async fn tail(context: &Context, arguments: &Tail) -> Answer {
    let log = context.log().await?;
    let head = match arguments.at.text() {
        None => log.head().await?.position,
        at => context.views().await?.reader(at)?.position(),
    };
    let after = arguments
        .after
        .unwrap_or(head.0.saturating_sub(arguments.commits));
    let mut rows = context.output.rows(&EVENTS)?;
    let mut read = log.read(Position(after), Filter::All);
    while let Some(next) = read.next().await {
        match next? {
            Read::Commit(recorded) if recorded.position > head && !arguments.follow => break,
            Read::Commit(recorded) => push(&mut rows, &recorded)?,
            Read::CaughtUp(_) if arguments.follow => rows.settle()?,
            Read::CaughtUp(_) => break,
        }
    }
    rows.end(Some(head.0))?;
    Ok(Exit::Done)
}

/// One row for each event of a commit.
pub(super) fn push(rows: &mut Rows, recorded: &Recorded) -> Result<(), Failure> {
    for (cursor, entry) in recorded.entries() {
        rows.push(event_row(recorded, cursor, entry))?;
    }
    Ok(())
}

fn event_row(recorded: &Recorded, cursor: Cursor, entry: &Entry) -> Vec<Value> {
    let commit = &recorded.commit;
    let version = commit.version.0 + u64::from(cursor.index) - 1;
    let data = entry.event.data().ok();
    let data = data.and_then(|data| serde_json::from_str(data.get()).ok());
    vec![
        cursor.to_string().into(),
        commit.recorded_at.to_string().into(),
        entry.event.kind().into(),
        commit.stream.scan.as_ref().map(ToString::to_string).into(),
        about(&entry.event).into(),
        format!("{}.{}", commit.id, cursor.index).into(),
        commit.stream.to_string().into(),
        version.into(),
        entry.at.to_string().into(),
        commit.actor.id.clone().into(),
        data.unwrap_or_default(),
    ]
}

/// A few words for people; all of it stands in `data`.
fn about(event: &Event) -> String {
    let entity = |finding: &task::Found| {
        let entity = finding.entity();
        entity.map_or("(erased)".into(), |entity| entity.to_string())
    };
    match event {
        Event::Scan(scan::Event::Requested(request)) => {
            request.name.open().cloned().unwrap_or_default()
        }
        Event::Scan(scan::Event::Finished(finished)) => finished.outcome.as_str().to_owned(),
        Event::Plan(plan::Event::Scheduled(task)) => {
            format!("{} × {}", task.module, task.inputs.len())
        }
        Event::Task(task::Event::Found(finding)) => entity(finding),
        Event::Task(task::Event::Finished(task)) => format!("{} findings", task.findings),
        Event::Task(task::Event::Failed(task)) => task.reason.clone(),
        Event::Task(task::Event::Remarked(remark)) => format!("{} {}", remark.code, remark.rule),
        _ => String::new(),
    }
}

static COMMIT: Listing = Listing {
    key: "position",
    fields: &[
        Field::new("position", Shape::Number),
        Field::new("hash", Shape::Text),
        Field::new("log_hash", Shape::Text),
        Field::new("bytes", Shape::Number),
        Field::new("commit", Shape::Text),
    ],
};

async fn show(context: &Context, arguments: &Show) -> Answer {
    let cursor: Cursor = arguments
        .at
        .parse()
        .map_err(|error| Problem::new("bad_id", format!("`{}`: {error}", arguments.at)))?;
    let log = context.log().await?;
    let recorded = log.commit(cursor.position).await?;
    if arguments.raw {
        let mut out = stdout().lock();
        out.write_all(&recorded.bytes)?;
        out.flush()?;
        return Ok(Exit::Done);
    }
    let document: Value = serde_json::from_slice(&recorded.bytes).unwrap_or_default();
    let values = vec![
        recorded.position.0.into(),
        recorded.hash.to_string().into(),
        recorded.log_hash.to_string().into(),
        recorded.bytes.len().into(),
        document,
    ];
    context.output.thing(&COMMIT, values)?;
    if context.output.form == Form::Table {
        let mut rows = context.output.rows(&EVENTS)?;
        push(&mut rows, &recorded)?;
        rows.end(None)?;
    }
    Ok(Exit::Done)
}

static PROOF: Listing = Listing {
    key: "log_hash",
    fields: &[
        Field::new("position", Shape::Number),
        Field::new("log_hash", Shape::Text),
        Field::new("events", Shape::Number),
        Field::new("streams", Shape::Number),
        Field::new("verdict", Shape::Text),
    ],
};

async fn verify_log(context: &Context) -> Answer {
    if let Some(remote) = context.remote()? {
        let proven = remote.get_long(&["log", "verify"], &Vec::new()).await?;
        context.output.thing(&PROOF, values(&PROOF, &proven))?;
        return Ok(Exit::Done);
    }
    let log = context.log().await?;
    context.check_file().await?;
    let verified = verify(&*log).await?;
    let values = vec![
        verified.head.position.0.into(),
        verified.head.log_hash.to_string().into(),
        verified.events.into(),
        verified.streams.into(),
        VERDICT.into(),
    ];
    context.output.thing(&PROOF, values)?;
    Ok(Exit::Done)
}
