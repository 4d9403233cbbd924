//! A Python with the libraries by which tests read Mirage's files as other programs do.
//!
//! **Never:** a package in the machine's own Python; what is missing goes into a folder beside the binaries.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::workspace;

/// What a library is imported as, and what is asked of the package index. NetworkX reads `edges` of its JSON from 3.4 on.
const LIBRARIES: &[(&str, &str)] = &[
    ("networkx", "networkx>=3.4"),
    ("openapi_spec_validator", "openapi-spec-validator>=0.7"),
    ("prov", "prov>=2"),
    ("pydot", "pydot>=3"),
    ("pyshacl", "pyshacl>=0.26"),
    ("redbot", "redbot==2.7.1"),
    ("schemathesis", "schemathesis==4.32.0"),
];

/// Programs that not every Python has a package of: their tests say so and are skipped.
const PROGRAMS: &[(&str, &str)] = &[("rotel", "rotel==0.0.1a15")];

/// Makes sure that tests find the libraries; the reason why they do not is an answer, and no failure.
pub(crate) fn prepare() -> anyhow::Result<Result<(), String>> {
    let folder = folder()?;
    let own = folder.join("bin/python3");
    if !has(Path::new("python3"), LIBRARIES) && !has(&own, LIBRARIES) {
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&folder);
        if !ran(make) || !install(&own, LIBRARIES) {
            return Ok(Err(
                "the libraries of the ecosystem tests cannot be installed".to_owned(),
            ));
        }
    }
    if own.exists() && !has(&own, PROGRAMS) {
        install(&own, PROGRAMS);
    }
    Ok(Ok(()))
}

fn install(python: &Path, packages: &[(&str, &str)]) -> bool {
    let mut install = Command::new(python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    install.args(packages.iter().map(|(_, package)| package));
    ran(install)
}

/// Tests look for it beside the folder of their binaries.
fn folder() -> anyhow::Result<PathBuf> {
    let binary = workspace::debug_binary("mirage")?;
    let target = binary.parent().and_then(Path::parent);
    Ok(target
        .context("a binary lies in the target folder")?
        .join("python"))
}

fn has(python: &Path, packages: &[(&str, &str)]) -> bool {
    let imports: Vec<String> = packages
        .iter()
        .map(|(library, _)| format!("import {library}"))
        .collect();
    let mut command = Command::new(python);
    command.args(["-c", &imports.join("; ")]);
    command.stderr(Stdio::null());
    ran(command)
}

fn ran(mut command: Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}
