//! A server that is not there: a skip that is counted, or a failure where it is required.

use std::process::{Command, Output};

use mirage_servers::{LEDGER, REQUIRED};

use crate::path;

/// Runs a test of this binary in a world without servers.
fn without_servers(required: &str, skips: &str, ledger: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("a running program has a path"));
    command
        .args([
            "--exact",
            "nats::a_single_server_keeps_its_messages_over_a_kill",
        ])
        .env("CARGO_PKG_NAME", "mirage-servers")
        .env("PATH", "")
        .env("MIRAGE_SERVERS", path("no-servers"))
        .env("TEST_SKIPS", path(skips))
        .env(LEDGER, path(ledger))
        .env(REQUIRED, required);
    command.output().expect("a test binary starts")
}

#[test]
fn an_optional_one_is_a_skip_that_is_printed_recorded_and_counted() {
    let output = without_servers("postgres", "skips", "ledger");
    assert!(output.status.success());
    let printed = String::from_utf8_lossy(&output.stderr);
    let skip = "skipped: mirage-servers/it nats::a_single_server_keeps_its_messages_over_a_kill: nats-server 2.15 or later is \
                missing: `cargo xtask servers fetch nats`\n";
    assert!(printed.contains(skip), "{printed}");
    assert_eq!(std::fs::read_to_string(path("skips")).unwrap(), skip);
    let ledger = std::fs::read_to_string(path("ledger")).unwrap();
    assert_eq!(ledger, "nats\t-\tskipped\tmirage-servers/it\n");
    std::fs::remove_file(path("skips")).unwrap();
    std::fs::remove_file(path("ledger")).unwrap();
}

#[test]
fn a_required_one_fails_the_test_and_says_how_to_get_it() {
    let output = without_servers("postgres,nats", "no-skips", "no-ledger");
    assert!(!output.status.success());
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("names nats, and it cannot be had"),
        "{printed}"
    );
    assert!(
        printed.contains("`cargo xtask servers fetch nats`"),
        "{printed}"
    );
    assert!(!path("no-skips").exists());
}
