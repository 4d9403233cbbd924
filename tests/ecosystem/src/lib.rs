//! Programs of other people, by which tests look at Mirage from the outside.
//!
//! Those of npm are installed by `xtask test`.

use std::path::Path;
use std::process::Command;

use mirage_faults::skip;

/// The folder of the repository.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.parent().and_then(Path::parent);
    root.expect("this package lies two folders below the root")
}

/// A program of an npm package; where there is none, `what` is skipped visibly.
pub fn npm(what: &str, name: &str) -> Option<Command> {
    let path = mirage_servers::npm().join("node_modules/.bin").join(name);
    if path.exists() {
        return Some(Command::new(path));
    }
    skip(
        what,
        "its npm package is not installed; `cargo xtask test` does so where there is npm",
    );
    None
}
