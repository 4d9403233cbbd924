//! The binary: reads the command line, runs one command, ends with its exit code.

mod cli;
mod config;
mod output;
mod wire;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::main()
}
