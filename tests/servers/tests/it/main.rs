//! Each server starts, answers, is killed, comes back, and leaves nothing behind.

mod nats;

use std::path::{Path, PathBuf};

/// Whether a process is there and is no zombie of ours.
fn runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

/// What a server leaves when it is dropped: its pid and its folder, which must both be gone.
struct Traces(Vec<(u32, PathBuf)>);

impl Traces {
    fn of(servers: &[(u32, &Path)]) -> Self {
        Self(
            servers
                .iter()
                .map(|(pid, folder)| (*pid, folder.to_path_buf()))
                .collect(),
        )
    }

    fn are_gone(&self) {
        for (pid, folder) in &self.0 {
            assert!(!runs(*pid), "{pid} is left");
            assert!(!folder.exists(), "{} is left", folder.display());
        }
    }
}
