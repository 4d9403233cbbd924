//! The command line: one clap tree, one file a command.
//!
//! To add one: its file with `Arguments` and `run`, its variant in [`Command`], its arm in [`run`].
//! Help, manual, completion and `docs/generated/cli.md` come from the tree.

mod api_keys;
mod audit;
mod config;
mod diff;
mod doctor;
mod entities;
mod evidence;
mod export;
mod findings;
mod global;
mod graph;
mod hooks;
mod ids;
mod import;
mod known;
mod log;
mod login;
mod manual;
mod mark;
mod marks;
mod modules;
mod nodes;
mod rederive;
mod refusal;
mod replay;
pub(crate) mod scan;
mod scans;
mod search;
mod serve;
pub(crate) mod suggest;
mod tally;
pub(crate) mod time;
mod users;
mod version;
mod views;
mod watch;
mod why;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use mirage_api::error::{Exit, Problem};
use opentelemetry_sdk::trace::SpanProcessor;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub(crate) use global::{Context, Global};

use crate::config::Config;
use crate::output::Failure;
use crate::wire::traces;

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
    Scan(Box<scan::Arguments>),
    /// Which scans there are, and what to do with them
    Scans(scans::Arguments),
    Findings(findings::Arguments),
    Entities(entities::Arguments),
    Search(search::Arguments),
    Watch(watch::Arguments),
    Replay(replay::Arguments),
    Why(why::Arguments),
    Diff(diff::Arguments),
    Rederive(rederive::Arguments),
    Mark(mark::MarkArguments),
    Unmark(mark::UnmarkArguments),
    Marks(marks::Arguments),
    /// What hangs together with what
    Graph(graph::Arguments),
    Export(export::Arguments),
    Import(import::Arguments),
    /// What was seen, byte for byte
    Evidence(evidence::Arguments),
    /// Look at the log itself, and prove that it is what was written
    Log(log::Arguments),
    /// What is folded from the log
    Views(views::Arguments),
    /// What there is to collect with
    Modules(modules::Arguments),
    /// Which layer of configuration says what
    Config(config::Arguments),
    Doctor(doctor::Arguments),
    Serve(serve::Arguments),
    /// Keys for programs that speak to the gateway
    ApiKeys(api_keys::Arguments),
    Login(login::LoginArguments),
    Logout(login::LogoutArguments),
    Audit(audit::Arguments),
    /// Who is told by webhook what happens
    Hooks(hooks::Arguments),
    Nodes(nodes::Arguments),
    /// Who can sign in, and what each may do
    Users(users::Arguments),
    Completion(manual::CompletionArguments),
    Man(manual::ManArguments),
    Version(version::Arguments),
}

impl Command {
    /// Whether it runs a scan, and heeds `--timeout` by stopping in order.
    fn follows(&self) -> bool {
        match self {
            Self::Scan(_) | Self::Import(_) | Self::Rederive(_) | Self::Serve(_) => true,
            Self::Scans(arguments) => arguments.follows(),
            _ => false,
        }
    }

    /// Whether it runs although the configuration has faults, to help mending them.
    fn bears_faults(&self) -> bool {
        matches!(
            self,
            Self::Config(_)
                | Self::Doctor(_)
                | Self::Completion(_)
                | Self::Man(_)
                | Self::Version(_)
        )
    }
}

/// Reads the command line and runs it to its end.
pub(crate) fn main() -> ExitCode {
    manual::complete();
    let words: Vec<_> = std::env::args_os().collect();
    let read = Line::command().try_get_matches_from(&words);
    let parsed = read.and_then(|matches| {
        let line = Line::from_arg_matches(&matches)?;
        Ok((line, Config::load(&matches)))
    });
    let (line, config) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return refusal::of_clap(&error, &words),
    };
    let verbose = line.global.verbose;
    let context = Context::new(line.global, config);
    let form = context.output.form;
    match start(context, line.command, verbose) {
        Ok(exit) => exit.code().into(),
        Err(Failure::ClosedPipe) => Exit::Done.code().into(),
        Err(Failure::Problem(problem)) => {
            refusal::show(&problem, form);
            problem.exit().code().into()
        }
        Err(Failure::Beside(problem)) => {
            refusal::show(&problem, form);
            Exit::FailedBeside.code().into()
        }
    }
}

/// Logs go to stderr as JSON, so that no text from outside can forge a line; spans to whom the configuration names.
fn tell_inside(verbose: u8, exporter: Option<Arc<dyn SpanProcessor>>) {
    let level = match verbose {
        0 => "error",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let own = [
        "mirage",
        "mirage_log",
        "mirage_projections",
        "mirage_workers",
    ];
    let filter = own.map(|name| format!("{name}={level}")).join(",");
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .with_writer(std::io::stderr)
        .with_filter(EnvFilter::new(filter));
    tracing_subscriber::registry()
        .with(lines)
        .with(exporter.map(traces::Told))
        .init();
}

fn start(context: Context, command: Command, verbose: u8) -> Answer {
    if let Some(fault) = context
        .config
        .faults
        .first()
        .filter(|_| !command.bears_faults())
    {
        return Err(Problem::from(fault).into());
    }
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| Problem::of("internal", &error))?;
    // Whoever mends a configuration is not held up by it.
    let exporter = match command.bears_faults() {
        true => None,
        false => traces::exporter(&context.config, runtime.handle().clone())?,
    };
    tell_inside(verbose, exporter.clone());
    let ended = runtime.block_on(within_timeout(&context, command));
    if let Some(exporter) = exporter {
        traces::end(&*exporter);
    }
    // Threads that wait for the log or a page end with the process.
    runtime.shutdown_background();
    ended
}

async fn within_timeout(context: &Context, command: Command) -> Answer {
    let Some(timeout) = context.timeout.filter(|_| !command.follows()) else {
        return run(context, command).await;
    };
    match tokio::time::timeout(timeout, run(context, command)).await {
        Ok(ended) => ended,
        Err(_) => Err(Problem::new("still_running", format!("not done after {timeout:?}")).into()),
    }
}

async fn run(context: &Context, command: Command) -> Answer {
    match command {
        Command::Scan(arguments) => scan::run(context, *arguments).await,
        Command::Serve(arguments) => serve::run(context, &arguments).await,
        Command::ApiKeys(arguments) => api_keys::run(context, arguments).await,
        Command::Login(arguments) => login::login(context, &arguments).await,
        Command::Logout(_) => login::logout(context).await,
        Command::Audit(arguments) => audit::run(context, &arguments).await,
        Command::Hooks(arguments) => hooks::run(context, arguments).await,
        Command::Nodes(arguments) => nodes::run(context, &arguments).await,
        Command::Users(arguments) => users::run(context, arguments).await,
        Command::Scans(arguments) => scans::run(context, arguments).await,
        Command::Findings(arguments) => findings::run(context, &arguments).await,
        Command::Entities(arguments) => entities::run(context, &arguments).await,
        Command::Search(arguments) => search::run(context, &arguments).await,
        Command::Why(arguments) => why::run(context, &arguments).await,
        Command::Rederive(arguments) => rederive::run(context, &arguments).await,
        Command::Diff(arguments) => diff::run(context, &arguments).await,
        Command::Mark(arguments) => mark::mark(context, &arguments).await,
        Command::Unmark(arguments) => mark::unmark(context, &arguments).await,
        Command::Marks(arguments) => marks::run(context, &arguments).await,
        Command::Graph(arguments) => graph::run(context, &arguments).await,
        Command::Views(arguments) => views::run(context, arguments).await,
        Command::Watch(arguments) => watch::run(context, arguments).await,
        Command::Replay(arguments) => replay::run(context, arguments).await,
        Command::Export(arguments) => export::run(context, &arguments).await,
        Command::Import(arguments) => import::run(context, arguments).await,
        Command::Evidence(arguments) => evidence::run(context, arguments).await,
        Command::Log(arguments) => log::run(context, arguments).await,
        Command::Modules(arguments) => modules::run(context, arguments).await,
        Command::Config(arguments) => config::run(context, arguments),
        Command::Doctor(arguments) => doctor::run(context, &arguments).await,
        Command::Completion(arguments) => manual::completion(&arguments),
        Command::Man(arguments) => manual::man(context, &arguments),
        Command::Version(arguments) => version::run(context, &arguments),
    }
}
