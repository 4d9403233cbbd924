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

/// A script of `tests/it` that uses packages of npm, for Node; where either is missing, `what` is skipped visibly.
pub fn node(what: &str, script: &str) -> Option<Command> {
    let packages = mirage_servers::npm().join("package.json");
    let has_node = || Command::new("node").arg("--version").output().is_ok();
    if !packages.exists() || !has_node() {
        skip(
            what,
            "its npm packages are not installed; `cargo xtask test` does so where there are node and npm",
        );
        return None;
    }
    let mut command = Command::new("node");
    command.arg(tests().join(script));
    command.env("MIRAGE_NPM", packages);
    Some(command)
}

/// The program of a collector of traces; where it is missing, `what` is skipped visibly.
pub fn collector(what: &str) -> Option<Command> {
    let mut asked = own_python()?;
    let print = "import pathlib, rotel; print(pathlib.Path(rotel.__file__).parent / 'rotel-agent')";
    asked.args(["-c", print]);
    let said = asked.output().ok().filter(|said| said.status.success());
    let Some(said) = said else {
        let why = "the package rotel of Python is missing; `cargo xtask test` installs it where it has one for this Python";
        skip(what, why);
        return None;
    };
    Some(Command::new(String::from_utf8_lossy(&said.stdout).trim()))
}

/// The Python that has the libraries, if any has.
fn own_python() -> Option<Command> {
    let binary = mirage_faults::program("mirage").ok();
    let target = binary.as_deref().and_then(Path::parent)?.parent()?;
    let own = target.join("python/bin/python3");
    Some(Command::new(match own.exists() {
        true => own,
        false => "python3".into(),
    }))
}

/// The folder of the tests and of their scripts.
fn tests() -> std::path::PathBuf {
    root().join("tests/ecosystem/tests/it")
}

/// A script of `tests/it` that uses a library of Python; where it is missing, `what` is skipped visibly.
pub fn python(what: &str, library: &str, script: &str) -> Option<Command> {
    let mut asked = own_python()?;
    asked.args(["-c", &format!("import {library}")]);
    if !asked.output().is_ok_and(|output| output.status.success()) {
        let why =
            format!("python3 or its library {library} is missing; `cargo xtask test` installs it");
        skip(what, &why);
        return None;
    }
    let mut command = own_python()?;
    command.arg(tests().join(script));
    Some(command)
}
