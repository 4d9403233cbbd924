//! What `cargo metadata` says: packages, their licences and who depends on whom.

use std::process::Stdio;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::workspace;

/// The part of cargo's format 1 that the rules need.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) manifest_path: String,
    #[serde(default)]
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// None for an ordinary one, else `dev` or `build`.
    pub(crate) kind: Option<String>,
}

impl Package {
    /// From the workspace root, as the other problems name their files.
    pub(crate) fn manifest(&self) -> String {
        let root = workspace::root().to_string_lossy();
        let below = self
            .manifest_path
            .strip_prefix(&*root)
            .unwrap_or(&self.manifest_path);
        below.replace('\\', "/").trim_start_matches('/').to_owned()
    }

    /// Worlds, scenarios, faults and benchmarks: they use the product, and it never uses them.
    pub(crate) fn is_outside_the_product(&self) -> bool {
        ["tests/", "benches/", "fuzz/"]
            .iter()
            .any(|folder| self.manifest().starts_with(folder))
    }
}

impl Dependency {
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// The packages of the workspace.
pub(crate) fn workspace() -> anyhow::Result<Metadata> {
    ask(&["--no-deps"])
}

/// All packages of the lock file, for every platform.
pub(crate) fn everything() -> anyhow::Result<Metadata> {
    ask(&[])
}

fn ask(more: &[&str]) -> anyhow::Result<Metadata> {
    let mut command = workspace::cargo();
    command
        .args(["metadata", "--locked", "--format-version", "1"])
        .args(more);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata ended with {}", output.status);
    }
    serde_json::from_slice(&output.stdout).context("reading the answer of cargo metadata")
}

#[cfg(test)]
impl Metadata {
    /// Packages by their folder, each with the one dependency it has: `("crates/NAME", "OTHER dev")`.
    pub(crate) fn of(edges: &[(&str, &str)]) -> Self {
        let package = |&(folder, to): &(&str, &str)| {
            let (name, kind) = to
                .split_once(' ')
                .map_or((to, None), |(name, kind)| (name, Some(kind)));
            Package {
                name: folder.rsplit('/').next().unwrap_or(folder).to_owned(),
                version: "0.1.0".to_owned(),
                license: None,
                manifest_path: format!("{folder}/Cargo.toml"),
                dependencies: vec![Dependency {
                    name: name.to_owned(),
                    kind: kind.map(str::to_owned),
                }],
            }
        };
        Self {
            packages: edges.iter().map(package).collect(),
        }
    }
}
