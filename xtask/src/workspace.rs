//! Where the workspace lies and how cargo is called in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the root `Cargo.toml`, wherever the caller stands.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("xtask lies one folder below the workspace root")
}

/// The cargo that started us, so that one toolchain does everything; it stands in the root.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(root());
    // What a fresh machine builds is built once: to keep what the next build could use takes time and half the disk.
    if std::env::var_os("CI").is_some() {
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

/// Where cargo puts a debug binary of this workspace: cargo itself knows what environment and configuration say.
pub(crate) fn debug_binary(name: &str) -> anyhow::Result<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let said = cargo()
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()?;
    let metadata: Metadata = serde_json::from_slice(&said.stdout)?;
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    Ok(metadata.target_directory.join("debug").join(name))
}
