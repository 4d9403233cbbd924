//! Each server starts, answers, is killed, comes back, and leaves nothing behind.

mod locked;
mod meilisearch;
mod missing;
mod nats;
mod neo4j;
mod orphans;
mod postgres;
mod s3;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use mirage_servers::Process;

/// Whether a process is there and is no zombie of ours.
fn runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

/// What a server leaves when it is dropped: its pid and its folder, which must both be gone.
struct Traces(Vec<(u32, PathBuf)>);

impl Traces {
    fn of<'a>(servers: impl IntoIterator<Item = &'a Process>) -> Self {
        let traces = servers.into_iter().map(|process| {
            assert!(runs(process.pid()));
            (process.pid(), process.folder().to_path_buf())
        });
        Self(traces.collect())
    }

    fn are_gone(&self) {
        for (pid, folder) in &self.0 {
            assert!(!runs(*pid), "{pid} is left");
            assert!(!folder.exists(), "{} is left", folder.display());
        }
    }
}

/// Kills the process and looks whether it is gone.
fn kill(process: &Process) {
    let pid = process.pid();
    process.kill();
    assert!(!runs(pid), "{pid} was killed");
}

/// One HTTP request, and the whole answer.
fn http(url: &str, request: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream
        .write_all(request.as_bytes())
        .expect("the server reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the server answers and closes");
    answer
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()))
}
