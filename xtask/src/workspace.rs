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
    command
}

/// Where cargo puts a debug binary of this workspace.
pub(crate) fn debug_binary(name: &str) -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    // A relative folder is meant from the root, because that is where we call cargo.
    root()
        .join(target)
        .join("debug")
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}
