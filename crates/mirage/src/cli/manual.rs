//! What is rendered from the clap tree: completions, manual pages, and `docs/generated/cli.md`.

use std::io::{Write as _, stdout};
use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::env::{CompleteEnv, Shells};
use mirage_api::error::{Exit, Problem};

use super::{Answer, Context, Line};

/// Set while a shell asks for candidates; no name that the configuration could take for its own.
const COMPLETING: &str = "_MIRAGE_COMPLETE";

/// Answers a shell that asks for candidates, and ends the program then.
pub(super) fn complete() {
    CompleteEnv::with_factory(Line::command)
        .var(COMPLETING)
        .complete();
}

/// Print the completion of a shell
///
/// Exit codes: 0
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionArguments {
    /// bash, zsh, fish, powershell or elvish
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

pub(crate) fn completion(arguments: &CompletionArguments) -> Answer {
    let shells = Shells::builtins();
    let shell = shells.completer(&arguments.shell.to_string());
    let shell = shell.expect("both lists name the same shells");
    let mut script = Vec::new();
    shell.write_registration(COMPLETING, "mirage", "mirage", "mirage", &mut script)?;
    stdout().lock().write_all(&script)?;
    Ok(Exit::Done)
}

/// Print the manual page, or write one a command into a folder
///
/// Exit codes: 0 ok, 1 the folder cannot be written
#[derive(Debug, clap::Args)]
pub(crate) struct ManArguments {
    /// Write mirage.1, mirage-scan.1 … here instead
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn man(context: &Context, arguments: &ManArguments) -> Answer {
    let Some(folder) = &arguments.out else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Line::command()).render(&mut page)?;
        stdout().lock().write_all(&page)?;
        return Ok(Exit::Done);
    };
    let failed = |error: std::io::Error| {
        Problem::new("output_failed", format!("{}: {error}", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Line::command(), folder).map_err(failed)?;
    context
        .output
        .say(format_args!("the manual is in {}", folder.display()));
    Ok(Exit::Done)
}

#[cfg(test)]
mod reference;
