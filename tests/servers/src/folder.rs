//! A new folder for one server, on a disk that keeps what is synced to it.

use std::path::PathBuf;

/// The file system of a temporary folder in memory, as Linux numbers it.
const TMPFS: u64 = 0x0102_1994;

/// Beside the test binary where the temporary folder lies in memory: a store there would prove nothing about fsync.
pub(crate) fn new(server: &str) -> PathBuf {
    let mut builder = tempfile::Builder::new();
    let prefix = format!("mirage-{server}-");
    builder.prefix(&prefix);
    let folder = match is_in_memory() {
        false => builder.tempdir(),
        true => {
            let binary = std::env::current_exe().expect("a running program has a path");
            builder.tempdir_in(binary.parent().expect("a program lies in a folder"))
        }
    };
    // The guard of the server removes it.
    folder.expect("a temporary folder can be made").keep()
}

#[cfg(target_os = "linux")]
fn is_in_memory() -> bool {
    let told = rustix::fs::statfs(std::env::temp_dir());
    told.is_ok_and(|told| u64::try_from(told.f_type) == Ok(TMPFS))
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory() -> bool {
    false
}
