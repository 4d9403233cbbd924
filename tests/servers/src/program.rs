//! Where the programs of servers lie, and which version each is.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CACHE: &str = "MIRAGE_SERVERS";

/// A program that can be started.
#[derive(Clone, Debug)]
pub struct Program {
    pub path: PathBuf,
    /// As the program tells it, without a `v` in front.
    pub version: String,
}

/// The folder into which `cargo xtask servers fetch` puts programs: `MIRAGE_SERVERS`, or the user's cache.
pub fn cache() -> PathBuf {
    if let Some(folder) = std::env::var_os(CACHE) {
        return folder.into();
    }
    let home = || std::env::home_dir().unwrap_or_default().join(".cache");
    let caches = std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    caches.join("mirage-servers")
}

/// Where a fetched program or library of this version lies; several versions may lie beside each other.
pub fn cached(name: &str, version: &str) -> PathBuf {
    cache().join(format!("{name}-{version}"))
}

/// `name` in the cache, then in each folder of `PATH`.
pub(crate) fn candidates(name: &str, version: &str) -> Vec<PathBuf> {
    let cached = std::iter::once(cached(name, version).join(name)).filter(|file| file.is_file());
    cached.chain(on_path(name)).collect()
}

pub(crate) fn on_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let files = std::env::split_paths(&path).map(|folder| folder.join(name));
    files.filter(|file| file.is_file()).collect()
}

/// The first version number in what `program ARGUMENT` prints.
pub(crate) fn version(program: &Path, argument: &str) -> Option<String> {
    let mut command = Command::new(program);
    let said = command.arg(argument).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    said.split_whitespace()
        .map(|word| word.trim_start_matches('v').trim_end_matches(','))
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.'))
        .map(str::to_owned)
}

/// Whether `version` is `major.minor` or later.
pub(crate) fn is_at_least(version: &str, minimum: (u32, u32)) -> bool {
    numbers(version) >= minimum
}

/// Major and minor; a suffix such as `-RC.1` does not matter, and what is no version is 0.0.
pub(crate) fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    });
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::is_at_least;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(is_at_least("2.15.2", (2, 15)));
        assert!(is_at_least("2.100.0-RC.1", (2, 15)));
        assert!(!is_at_least("2.9.10", (2, 15)));
        assert!(!is_at_least("", (2, 15)));
    }
}
