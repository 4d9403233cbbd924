//! A test process that dies takes its servers with it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::runs;

const HOLD: &str = "MIRAGE_SERVERS_HOLD";

/// Of the guard, which polls every 0.1 s.
const LIMIT: Duration = Duration::from_secs(20);

/// In a process of its own: starts a server, says where it is, and holds it until its input ends.
#[test]
fn holds_a_server_where_it_is_told_to() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    let nats = mirage_servers::nats(1).expect("whoever told us has found one");
    let (pid, folder) = (nats.node(0).pid(), nats.node(0).folder().display());
    eprintln!("held {pid} {folder}");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

#[test]
fn a_killed_test_leaves_no_server_and_no_folder() {
    // Looks whether there is one, and skips visibly otherwise.
    if mirage_servers::nats(1).is_none() {
        return;
    }
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "orphans::holds_a_server_where_it_is_told_to",
            "--nocapture",
        ])
        .env(HOLD, "yes")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stderr.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let held = lines.find(|line| line.starts_with("held ")).unwrap();
    let mut held = held.split(' ').skip(1);
    let (pid, folder) = (held.next().unwrap().parse().unwrap(), held.next().unwrap());
    assert!(runs(pid));
    holder.kill().unwrap();
    holder.wait().unwrap();
    let killed = Instant::now();
    while runs(pid) || Path::new(folder).exists() {
        assert!(killed.elapsed() < LIMIT, "{pid} or {folder} is left");
        std::thread::yield_now();
    }
}
