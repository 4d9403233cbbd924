//! Bans: packages that must not come into the lock file, by whatever door.

use super::{Problem, tree::Tree};

const LOCK: &str = "Cargo.lock";

/// Name and what to do instead. `deny.toml` says the same for those who have cargo-deny.
const BANNED: &[(&str, &str)] = &[
    ("aws-lc-rs", "switch the dependency's features to `ring`"),
    ("aws-lc-sys", "switch the dependency's features to `ring`"),
    ("eventstore", "the log is our own"),
    ("native-tls", "switch the dependency's features to rustls"),
    ("openssl", "switch the dependency's features to rustls"),
    ("openssl-sys", "switch the dependency's features to rustls"),
    (
        "postgres-es",
        "`cqrs_es::EventStore` is our own, over `EventLog`",
    ),
    (
        "sqlite-es",
        "`cqrs_es::EventStore` is our own, over `EventLog`",
    ),
    ("sqlx", "use rusqlite or tokio-postgres"),
    ("sqlx-core", "use rusqlite or tokio-postgres"),
];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let lock = tree.text(LOCK).unwrap_or_default();
    let names = lock.lines().enumerate().filter_map(|(index, line)| {
        let name = line.strip_prefix("name = \"")?.strip_suffix('"')?;
        Some((index + 1, name))
    });
    let banned = |name| BANNED.iter().find(|(banned, _)| *banned == name);
    names
        .filter_map(|(line, name)| {
            let (name, instead) = banned(name)?;
            Some(Problem::failure(
                LOCK,
                line,
                name,
                format!("{name} is banned: {instead}"),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_package_is_named_with_its_line() {
        let lock = "[[package]]\nname = \"serde\"\n\n[[package]]\nname = \"openssl\"\n";
        let problems = check(&Tree::of(&[("Cargo.lock", lock)]));
        assert_eq!(
            (problems.len(), problems[0].line, problems[0].item.as_str()),
            (1, 5, "openssl")
        );
    }

    #[test]
    fn a_package_that_only_begins_like_a_banned_one_is_fine() {
        let lock = "[[package]]\nname = \"openssl-probe\"\n";
        assert_eq!(check(&Tree::of(&[("Cargo.lock", lock)])), []);
    }
}
