//! `mirage views`: what is folded from the log, how far it is, and making it anew.

use std::io::{BufWriter, Write, stdout};
use std::time::Duration;

use jiff::Timestamp;
use mirage_api::error::{Exit, Problem};

use reqwest::Method;

use super::{Answer, Context, known, suggest};
use crate::output::{Field, Listing, Shape, values};
use crate::wire::remote::Remote;

/// Between two looks at a view that a server makes anew.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

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
            if let Some(remote) = context.remote()? {
                return rebuild_there(context, &remote, &name).await;
            }
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
    if let Some(remote) = context.remote()? {
        return list_there(context, &remote).await;
    }
    let runner = context.runner().await?;
    let mut rows = context.output.rows(&LISTING)?;
    for (_, status) in runner.inspect(Timestamp::now()).await {
        rows.push(values(&LISTING, &status?))?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

/// The same over a server, which keeps to itself why a view has stopped.
async fn list_there(context: &Context, remote: &Remote) -> Answer {
    let all = remote.get(&["views"], &Vec::new()).await?;
    let mut rows = context.output.rows(&LISTING)?;
    for view in all["items"].as_array().into_iter().flatten() {
        let mut view = view.clone();
        if view["is_stopped"] == true {
            view["stopped"] = "the server's log says why".into();
        }
        rows.push(values(&LISTING, &view))?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

/// Asks for it and waits; who does not wait stops nothing.
async fn rebuild_there(context: &Context, remote: &Remote, name: &str) -> Answer {
    let path = ["views", name, "rebuild"];
    let mut last = remote.change(Method::POST, &path, None, None, None).await?;
    while last["stage"] == "running" {
        tokio::time::sleep(LOOK_AGAIN).await;
        let all = remote.get(&["views"], &Vec::new()).await?;
        let mut views = all["items"].as_array().into_iter().flatten();
        let view = views.find(|view| view["view"] == name);
        last = view.map(|view| view["rebuild"].clone()).unwrap_or_default();
    }
    if last["stage"] != "done" {
        let detail = format!("{name} could not be made anew; the server's log says why");
        return Err(Problem::new("view_unreadable", detail).into());
    }
    let position = &last["position"];
    context.output.say(format_args!(
        "{name} is made anew, up to position {position}"
    ));
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
