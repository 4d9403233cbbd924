//! `mirage views`: what is folded from the log, how far it is, and making it anew.

use std::io::{BufWriter, Write, stdout};

use jiff::Timestamp;
use mirage_api::error::{Exit, Problem};

use super::{Answer, Context, known, suggest};
use crate::output::{Field, Listing, Shape, values};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every view with its position (the default)
    ///
    /// Exit codes: 0 ok, 3 no log, 6 the log is damaged
    Ls,
    /// Make a view anew from the log, beside the old one
    ///
    /// Exit codes: 0 ok, 3 no log or no such view, 6 the log is damaged
    Rebuild {
        #[arg(add = known::views(), value_name = "NAME")]
        name: String,
    },
    /// Streams with an event that a view could not apply, and what was skipped since
    ///
    /// With --retry the view is made anew, so that every event is tried again.
    ///
    /// Exit codes: 0 ok, 3 no log or no such view, 6 the log is damaged
    Quarantine {
        /// Only of this view
        #[arg(add = known::views(), value_name = "NAME")]
        name: Option<String>,
        /// Try again: the view is made anew from the log, beside the old one
        #[arg(long, requires = "name")]
        retry: bool,
    },
    /// Write a view's canonical dump: equal for equal logs
    ///
    /// Exit codes: 0 ok, 3 no log or no such view, 6 the log is damaged
    Dump {
        #[arg(add = known::views(), value_name = "NAME")]
        name: String,
    },
}

/// Streams of one view that are listed.
const QUARANTINE_MAX: u32 = 10_000;

static LISTING: Listing = Listing {
    key: "view",
    fields: &[
        Field::new("view", Shape::Text),
        Field::new("version", Shape::Number),
        Field::new("position", Shape::Number),
        Field::new("lag", Shape::Number),
        Field::new("age_s", Shape::Number),
        Field::new("quarantined", Shape::Number),
        Field::new("stopped", Shape::Text),
        Field::more("waits", Shape::Text),
        Field::more("rate", Shape::Number),
    ],
};

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    match arguments.command.unwrap_or(Command::Ls) {
        Command::Ls => list(context).await,
        Command::Rebuild { name } => {
            check(&name)?;
            // Nothing is folded first: a view that has stopped is a reason to make it anew.
            let position = context.runner().await?.rebuild(&name).await?;
            context.output.say(format_args!(
                "{name} is made anew, up to position {position}"
            ));
            Ok(Exit::Done)
        }
        Command::Quarantine { name, retry } => {
            if let Some(name) = &name {
                check(name)?;
            }
            quarantine(context, name.as_deref(), retry).await
        }
        Command::Dump { name } => {
            check(&name)?;
            let views = context.views().await?;
            let mut out = BufWriter::new(stdout());
            match mirage_projections::dump(&views.db(&name).await?, &mut out) {
                Err(mirage_projections::Error::Dump { source, .. }) => return Err(source.into()),
                ended => ended?,
            }
            out.flush()?;
            Ok(Exit::Done)
        }
    }
}

/// The views as they are: asking folds what it needs, and this asks none of them.
async fn list(context: &Context) -> Answer {
    let runner = context.runner().await?;
    let mut rows = context.output.rows(&LISTING)?;
    for (_, status) in runner.inspect(Timestamp::now()).await {
        rows.push(values(&LISTING, &status?))?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

static QUARANTINE: Listing = Listing {
    key: "stream",
    fields: &[
        Field::new("view", Shape::Text),
        Field::new("stream", Shape::Text),
        Field::new("cursor", Shape::Text),
        Field::new("skipped", Shape::Number),
        Field::new("error", Shape::Text),
    ],
};

async fn quarantine(context: &Context, name: Option<&str>, retry: bool) -> Answer {
    let runner = context.runner().await?;
    if let Some(name) = name.filter(|_| retry) {
        let position = runner.rebuild(name).await?;
        context.output.say(format_args!(
            "{name} is made anew, up to position {position}; every event was tried again"
        ));
    }
    let mut rows = context.output.rows(&QUARANTINE)?;
    for view in mirage_projections::ALL {
        if name.is_some_and(|name| name != view.name) {
            continue;
        }
        let set_aside = match runner.db(view.name) {
            // A view that nobody asked for yet has set nothing aside.
            Err(mirage_projections::Error::NotBuilt(_)) => continue,
            db => db?.quarantine(QUARANTINE_MAX)?,
        };
        for stream in set_aside {
            rows.push(vec![
                view.name.into(),
                stream.stream.into(),
                stream.cursor.to_string().into(),
                stream.skipped.into(),
                stream.error.into(),
            ])?;
        }
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

fn check(name: &str) -> Result<(), Problem> {
    let known = || mirage_projections::ALL.iter().map(|view| view.name);
    if known().any(|view| view == name) {
        return Ok(());
    }
    let problem = Problem::new("no_such_view", format!("`{name}`"));
    Err(match suggest::nearest(name, known()) {
        Some(view) => problem.try_this(suggest::question(view)),
        None => problem,
    })
}
