//! `docs/generated/cli.md`: rendered from the clap tree, compared with the repository.

use std::fmt::Write as _;

use clap::{Command, CommandFactory};
use mirage_api::error::Exit;

use super::super::Line;

/// `docs/generated/cli.md`: every command with what it takes.
fn markdown() -> String {
    let mut page = String::from(
        "# Command line\n\nGenerated from the command tree in `crates/mirage/src/cli`; do not edit.\n",
    );
    let mut root = Line::command();
    root.build();
    let everywhere = |argument: &&clap::Arg| argument.is_global_set();
    page.push_str("\n## Everywhere\n\n");
    arguments(&mut page, root.get_arguments().filter(everywhere));
    page.push_str("\n## Exit codes\n\n| exit | means |\n|---|---|\n");
    for (exit, meaning) in Exit::ALL {
        let _ = writeln!(page, "| {} | {meaning} |", exit.code());
    }
    for command in root.get_subcommands() {
        section(&mut page, command, "mirage");
    }
    page
}

fn section(page: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    let _ = write!(page, "\n## {name}\n\n{}\n", about.trim_end());
    let mut own = command.clone();
    let usage = own.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    let _ = write!(page, "\n```\n{usage}\n```\n");
    let is_own = |argument: &&clap::Arg| !argument.is_global_set() && argument.get_id() != "help";
    if command.get_arguments().any(|argument| is_own(&argument)) {
        page.push('\n');
        arguments(page, command.get_arguments().filter(is_own));
    }
    for inner in command.get_subcommands() {
        section(page, inner, &name);
    }
}

fn arguments<'a>(page: &mut String, arguments: impl Iterator<Item = &'a clap::Arg>) {
    for argument in arguments {
        let names: Vec<&str> = argument
            .get_value_names()
            .unwrap_or_default()
            .iter()
            .map(AsRef::as_ref)
            .collect();
        let value = match argument.get_action().takes_values() && !argument.is_positional() {
            true => format!(" {}", names.join(" ")),
            false => String::new(),
        };
        let written = match (argument.get_short(), argument.get_long()) {
            (Some(short), Some(long)) => format!("-{short}, --{long}{value}"),
            (None, Some(long)) => format!("--{long}{value}"),
            (Some(short), None) => format!("-{short}{value}"),
            (None, None) => names.join(" "),
        };
        let help = argument
            .get_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = writeln!(page, "- `{written}` — {help}");
    }
}

#[test]
fn the_tree_is_sound_and_every_command_says_what_it_does() {
    Line::command().debug_assert();
    fn check(command: &Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        command.get_subcommands().for_each(check);
        for argument in command
            .get_arguments()
            .filter(|argument| !argument.is_positional())
        {
            assert!(
                argument.get_help().is_some(),
                "{} {}",
                command.get_name(),
                argument.get_id()
            );
        }
    }
    check(&Line::command());
}

#[test]
fn every_last_command_lists_its_exit_codes() {
    fn check(command: &Command) {
        let about = command
            .get_long_about()
            .or(command.get_about())
            .map(ToString::to_string);
        if command.get_subcommands().next().is_none() {
            assert!(
                about.unwrap_or_default().contains("Exit codes: 0"),
                "{}",
                command.get_name()
            );
        }
        command.get_subcommands().for_each(check);
    }
    Line::command().get_subcommands().for_each(check);
}

#[test]
fn the_reference_is_the_one_in_the_repository() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/generated/cli.md");
    if std::env::var_os("MIRAGE_BLESS").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, markdown()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == markdown(),
        "run the test again with MIRAGE_BLESS=1 to write the page"
    );
}
