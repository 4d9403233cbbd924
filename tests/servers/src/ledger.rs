//! What ran against which server, and what was skipped for want of one.
//!
//! `TEST_SKIPS` names the file of skips that all tests share; `MIRAGE_SERVERS_LEDGER` one with a line per use:
//! server, version, `used` or `skipped`, suite, parted by tabs.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;

use crate::Program;

/// The file of uses.
pub const LEDGER: &str = "MIRAGE_SERVERS_LEDGER";
/// Names of servers, parted by commas, whose lack is a failure.
pub const REQUIRED: &str = "MIRAGE_SERVERS_REQUIRED";
const SKIPS: &str = "TEST_SKIPS";

/// The program of `server` for the running test. Without one: a recorded skip, or a panic where it is required.
pub(crate) fn demand(server: &str, found: Result<Program, String>) -> Option<Program> {
    match found {
        Ok(program) => {
            used(server, &program.version);
            Some(program)
        }
        Err(reason) => {
            let required = std::env::var(REQUIRED).unwrap_or_default();
            assert!(
                !required.split(',').any(|name| name.trim() == server),
                "{REQUIRED} names {server}, and it cannot be had: {reason}"
            );
            skipped(server, &reason);
            None
        }
    }
}

fn used(server: &str, version: &str) {
    let line = format!("{server}\t{version}\tused\t{}\n", suite());
    append(std::env::var_os(LEDGER).as_deref(), &line);
}

fn skipped(server: &str, reason: &str) {
    let suite = suite();
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("skipped: {suite} {test}: {reason}\n");
    // Past the test runner's capture; nothing hangs on whether it can be said.
    let _ = std::io::stderr().write_all(line.as_bytes());
    append(std::env::var_os(SKIPS).as_deref(), &line);
    let line = format!("{server}\t-\tskipped\t{suite}\n");
    append(std::env::var_os(LEDGER).as_deref(), &line);
}

/// One write per line: several processes append to one file.
fn append(path: Option<&OsStr>, line: &str) {
    if let Some(path) = path {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// The package, as cargo tells it, and the test binary without the hash that cargo appends.
fn suite() -> String {
    let binary = std::env::current_exe().unwrap_or_default();
    let stem = binary.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.rsplit_once('-').map_or(&*stem, |(name, _)| name);
    match std::env::var("CARGO_PKG_NAME") {
        Ok(package) => format!("{package}/{name}"),
        Err(_) => name.to_owned(),
    }
}
