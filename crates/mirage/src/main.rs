//! The binary: reads the command line, runs one command, ends with its exit code.

mod cli;
mod config;
mod output;
mod wire;

use std::process::ExitCode;

fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::main()
}
