//! `mirage scans`: which scans there are, how they are, and what people do to them.

mod change;
mod get;
mod rerun;

use mirage_api::error::Exit;
use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::catalog::{Page, ScanFilter};

use super::global::{AtArgument, KeyArgument};
use super::{Answer, Context, known};
use crate::output::{Field, Listing, Shape, values};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every scan, oldest first (the default)
    ///
    /// Exit codes: 0 ok, 3 no log, 6 the log is damaged
    Ls(List),
    Get(get::Arguments),
    /// Schedule nothing more until it is resumed
    ///
    /// Exit codes: 0 ok, 3 no such scan, 5 the scan is over
    Pause(One),
    Resume(change::Resume),
    /// Stop in order; what was found stays
    ///
    /// Exit codes: 0 ok, 3 no such scan, 5 the scan is over
    Stop(One),
    Rerun(rerun::Arguments),
    /// Hide a scan that is over from the list; it is never gone
    ///
    /// Exit codes: 0 ok, 3 no such scan, 5 the scan is not over
    Archive(One),
    /// Show an archived scan again
    ///
    /// Exit codes: 0 ok, 3 no such scan, 5 the scan is not over
    Unarchive(One),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Archived ones too
    #[arg(long)]
    archived: bool,
    #[command(flatten)]
    at: AtArgument,
}

/// One scan and the key of what is done to it.
#[derive(Debug, clap::Args)]
struct One {
    /// The scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "SCAN")]
    scan: String,
    /// Follow it to its end
    #[arg(short, long)]
    wait: bool,
    #[command(flatten)]
    key: KeyArgument,
}

/// The fields are a contract (DESIGN §7).
static LISTING: Listing = Listing {
    key: "scan_id",
    fields: &[
        Field::new("scan_id", Shape::Text),
        Field::new("name", Shape::Text),
        Field::more("seeds", Shape::Text),
        Field::new("profile", Shape::Text),
        Field::new("state", Shape::Text),
        Field::new("started_at", Shape::Time),
        Field::more("finished_at", Shape::Time),
        Field::new("tasks", Shape::Number),
        Field::new("findings", Shape::Number),
        Field::new("entities", Shape::Number),
        Field::new("failures", Shape::Number),
        Field::more("position", Shape::Number),
    ],
};

impl Arguments {
    /// Whether it may run a scan.
    pub(crate) fn follows(&self) -> bool {
        matches!(
            self.command,
            Some(Command::Resume(_) | Command::Rerun(_) | Command::Stop(_) | Command::Pause(_))
        )
    }
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    use change::Change;
    match arguments.command.unwrap_or(Command::Ls(arguments.list)) {
        Command::Ls(arguments) => list(context, &arguments).await,
        Command::Get(arguments) => get::run(context, &arguments).await,
        Command::Pause(one) => change::run(context, &one, Change::Pause).await,
        Command::Resume(arguments) => change::resume(context, &arguments).await,
        Command::Stop(one) => change::run(context, &one, Change::Stop).await,
        Command::Rerun(arguments) => rerun::run(context, &arguments).await,
        Command::Archive(one) => change::run(context, &one, Change::Archive).await,
        Command::Unarchive(one) => change::run(context, &one, Change::Unarchive).await,
    }
}

async fn list(context: &Context, arguments: &List) -> Answer {
    if let Some(remote) = context.remote()? {
        let archived = arguments.archived.then(|| "true".to_owned());
        let query = vec![("archived", archived), ("at", arguments.at.sent()?)];
        let (_, at) = remote.list(context, &LISTING, &["scans"], &query).await?;
        context.output.say_as_of(at);
        return Ok(Exit::Done);
    }
    let views = context.views().await?;
    let reader = views.reader(arguments.at.text())?;
    let filter = ScanFilter {
        with_archived: arguments.archived,
    };
    // Leases are of now: the past knows nothing of who held what.
    let held = match arguments.at.text() {
        Some(_) => None,
        None => Some(context.held().await),
    };
    let mut rows = context.output.rows(&LISTING)?;
    let mut page = Page::first(PAGE_ROWS_MAX);
    loop {
        let listed = reader.scans(&filter, &page)?;
        for scan in listed.rows {
            let scan = match &held {
                Some(held) => held.now(scan).await,
                None => scan,
            };
            rows.push(values(&LISTING, &scan))?;
        }
        match listed.next {
            Some(next) => page = page.after(next),
            None => break,
        }
    }
    rows.end(Some(reader.position().0))?;
    context.output.say_as_of(reader.position());
    Ok(Exit::Done)
}
