//! Packages of npm, by which tests look at Mirage from the outside: which, and where they lie.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::cached;

/// The list of packages, and the list of all that they need, each with its version and its hash.
pub const NPM_LISTS: [(&str, &str); 2] = [
    ("package.json", include_str!("../../ecosystem/package.json")),
    (
        "package-lock.json",
        include_str!("../../ecosystem/package-lock.json"),
    ),
];

/// The folder into which `cargo xtask test` installs them; other lists have another folder.
pub fn npm() -> PathBuf {
    let mut hasher = Sha256::new();
    for (_, list) in NPM_LISTS {
        hasher.update(list);
    }
    let version = HEXLOWER.encode(&hasher.finalize()[..8]);
    cached("npm", &version)
}
