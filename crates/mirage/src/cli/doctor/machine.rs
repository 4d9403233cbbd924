//! What `doctor` looks at in the machine: space, resolvers, the limit of open files.

use std::fs;
use std::path::Path;

use super::super::Context;
use super::{Check, fail, ok, warn};

/// Free space below which there is a warning, and below which there is a failure, in bytes.
const FREE_LOW: u64 = 1 << 30;
const FREE_OUT: u64 = 64 << 20;
/// Open files that a scan with many connections needs.
const FILES_MIN: u64 = 1024;

#[cfg(unix)]
pub(super) fn disk(dir: &Path) -> Check {
    let existing = dir
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("."));
    match rustix::fs::statvfs(existing) {
        Err(error) => warn("disk", error, "check the data directory"),
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let detail = format!("{} MiB free", free >> 20);
            match free {
                0..FREE_OUT => fail("disk", detail, "free some space"),
                FREE_OUT..FREE_LOW => warn("disk", detail, "free some space soon"),
                _ => ok("disk", detail),
            }
        }
    }
}

#[cfg(not(unix))]
pub(super) fn disk(_: &Path) -> Check {
    warn(
        "disk",
        "not looked at on this system",
        "see for yourself that there is space",
    )
}

pub(super) fn resolvers(context: &Context) -> Check {
    let set = context.config.list("scan.resolver");
    if !set.is_empty() {
        return ok(
            "resolvers",
            format_args!("{} by configuration", set.join(", ")),
        );
    }
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .map(str::trim)
        .collect();
    match servers.is_empty() {
        true => warn(
            "resolvers",
            "the system names none",
            "name one with --resolver, or scan.resolver in mirage.toml",
        ),
        false => ok(
            "resolvers",
            format_args!("{} of the system", servers.join(", ")),
        ),
    }
}

#[cfg(unix)]
pub(super) fn open_files() -> Check {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    match limit {
        Some(files) if files < FILES_MIN => warn(
            "open files",
            format_args!("{files} at most"),
            format_args!("ulimit -n {FILES_MIN}"),
        ),
        Some(files) => ok("open files", format_args!("{files} at most")),
        None => ok("open files", "without limit"),
    }
}

#[cfg(not(unix))]
pub(super) fn open_files() -> Check {
    ok("open files", "not limited on this system")
}
