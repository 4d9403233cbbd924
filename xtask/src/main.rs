//! The project's own commands, run as `cargo xtask …`: test, servers, tidy, new, demo, bench.
//!
//! One subcommand, one file; each has a `run` and its arguments, and this file only lists them.
#![expect(
    clippy::print_stdout,
    reason = "a command line talks to the person who runs it"
)]

mod bench;
mod demo;
mod new;
mod npm;
mod python;
mod servers;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that must pass before a change is merged; CI calls only this
    Test(test::Arguments),
    /// The rules of the house that a program can check
    Tidy,
    /// Write a new collector, command or projection from its template
    New(new::Arguments),
    /// Scan a made-up company on the loopback interface and show what was found
    Demo(demo::Arguments),
    /// The real servers that tests speak to: fetch, list, start
    Servers(servers::Arguments),
    /// Measure against the bare libraries, in a release build
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Test(arguments) => test::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::New(arguments) => new::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Servers(arguments) => servers::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    // The chain of causes in one line; a backtrace of ours would only hide what was found.
    done.map_or_else(
        |error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}
