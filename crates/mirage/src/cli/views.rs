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
    /// Write a view's canonical dump: equal for equal logs
    ///
    /// Exit codes: 0 ok, 3 no log or no such view, 6 the log is damaged
    Dump {
        #[arg(add = known::views(), value_name = "NAME")]
        name: String,
    },
}

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
        Field::more("rate", Shape::Number),
    ],
};

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    match arguments.command.unwrap_or(Command::Ls) {
        Command::Ls => list(context).await,
        Command::Rebuild { name } => {
            check(&name)?;
            // Nothing is folded first: a view that has stopped is a reason to make it anew.
            let position = context.data.runner()?.rebuild(&name).await?;
            context.output.say(format_args!(
                "{name} is made anew, up to position {position}"
            ));
            Ok(Exit::Done)
        }
        Command::Dump { name } => {
            check(&name)?;
            let views = context.views().await?;
            let mut out = BufWriter::new(stdout());
            match mirage_projections::dump(&views.db(&name)?, &mut out) {
                Err(mirage_projections::Error::Dump { source, .. }) => return Err(source.into()),
                ended => ended?,
            }
            out.flush()?;
            Ok(Exit::Done)
        }
    }
}

async fn list(context: &Context) -> Answer {
    let views = context.views().await?;
    let mut rows = context.output.rows(&LISTING)?;
    for status in views.runner.status(Timestamp::now()).await? {
        rows.push(values(&LISTING, &status))?;
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
