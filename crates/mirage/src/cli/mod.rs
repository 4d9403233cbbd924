//! The command line: one clap tree, one file a command.
//!
//! To add one: its file with `Arguments` and `run`, its variant in [`Command`], its arm in [`run`].
//! Help, manual, completion and `docs/generated/cli.md` come from the tree.

mod global;
mod log;
mod refusal;
pub(crate) mod suggest;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use mirage_api::error::{Exit, Problem};

pub(crate) use global::{Context, Global};

use crate::output::Failure;

/// What a command answers.
pub(crate) type Answer = Result<Exit, Failure>;

/// Collects open-source intelligence and keeps every step of it.
#[derive(Debug, Parser)]
#[command(
    name = "mirage",
    version,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Line {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look at the log itself, and prove that it is what was written
    Log(log::Arguments),
    /// Say what this program is
    Version(version::Arguments),
}

/// Reads the command line and runs it to its end.
pub(crate) fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let read = Line::command().try_get_matches_from(&words);
    let line = match read.and_then(|matches| Line::from_arg_matches(&matches)) {
        Ok(line) => line,
        Err(error) => return refusal::of_clap(&error, &words),
    };
    let form = line.global.form();
    let ended = start(line);
    match ended {
        Ok(exit) => exit.code().into(),
        Err(Failure::ClosedPipe) => Exit::Done.code().into(),
        Err(Failure::Problem(problem)) => {
            refusal::show(&problem, form);
            problem.exit().code().into()
        }
    }
}

fn start(line: Line) -> Answer {
    let context = Context::new(line.global)?;
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| Problem::of("internal", &error))?;
    let ended = runtime.block_on(within_timeout(&context, line.command));
    // Threads that wait for the log or a page end with the process.
    runtime.shutdown_background();
    ended
}

async fn within_timeout(context: &Context, command: Command) -> Answer {
    let Some(timeout) = context.timeout else {
        return run(context, command).await;
    };
    match tokio::time::timeout(timeout, run(context, command)).await {
        Ok(ended) => ended,
        Err(_) => Err(Problem::new("still_running", format!("not done after {timeout:?}")).into()),
    }
}

async fn run(context: &Context, command: Command) -> Answer {
    match command {
        Command::Log(arguments) => log::run(context, arguments).await,
        Command::Version(arguments) => version::run(context, &arguments),
    }
}
