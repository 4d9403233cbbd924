//! Exclusive dependencies: each door to the outside belongs to few crates, `domain` has none.

use super::Problem;
use super::metadata::Package;
use super::tree::Tree;

struct Door {
    dependency: &'static str,
    users: &'static [&'static str],
    instead: &'static str,
}

const EDGE: &[&str] = &[
    "mirage",
    "mirage-api",
    "mirage-log",
    "mirage-projections",
    "mirage-workers",
];
const NETWORK: &str = "only `probe` reaches the network";
const PURE: &str = "`domain` is pure; act at the edge";
const CALLS: &str = "the gateway alone speaks gRPC";
const STORE: &str = "ask a projection's query or the log";

const DOORS: &[Door] = &[
    Door {
        dependency: "async-nats",
        users: &["mirage-log"],
        instead: STORE,
    },
    Door {
        dependency: "getrandom",
        users: EDGE,
        instead: PURE,
    },
    Door {
        dependency: "hyper",
        users: &["mirage-workers"],
        instead: NETWORK,
    },
    Door {
        dependency: "hyper-util",
        users: &["mirage-workers"],
        instead: NETWORK,
    },
    Door {
        dependency: "neo4rs",
        users: &["mirage-projections"],
        instead: STORE,
    },
    Door {
        dependency: "object_store",
        users: &["mirage-log"],
        instead: STORE,
    },
    Door {
        dependency: "rand",
        users: EDGE,
        instead: PURE,
    },
    Door {
        dependency: "reqwest",
        // Stores that speak HTTP, the gateway of another node, and the issuer by whose word users sign in: servers that the
        // operator names, never of a target.
        users: &["mirage", "mirage-api", "mirage-log", "mirage-projections"],
        instead: NETWORK,
    },
    Door {
        dependency: "rusqlite",
        // The workers keep their leases in a file that may be deleted at any time.
        users: &["mirage-log", "mirage-projections", "mirage-workers"],
        instead: STORE,
    },
    Door {
        dependency: "tokio",
        users: EDGE,
        instead: PURE,
    },
    Door {
        dependency: "tokio-postgres",
        users: &["mirage-projections"],
        instead: STORE,
    },
    Door {
        dependency: "tonic",
        users: &["mirage-api"],
        instead: CALLS,
    },
];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    tree.workspace.packages.iter().flat_map(problems).collect()
}

/// Tests may open any door.
fn problems(package: &Package) -> Vec<Problem> {
    if package.is_outside_the_product() {
        return Vec::new();
    }
    let dependencies = package
        .dependencies
        .iter()
        .filter(|dependency| !dependency.is_dev());
    let closed = dependencies.filter_map(|dependency| {
        let door = DOORS
            .iter()
            .find(|door| door.dependency == dependency.name)?;
        (!door.users.contains(&package.name.as_str())).then_some(door)
    });
    closed
        .map(
            |Door {
                 dependency,
                 users,
                 instead,
             }| {
                let message = format!(
                    "{} must not depend on {dependency}, which is for {}: {instead}",
                    package.name,
                    users.join(", "),
                );
                Problem::failure(&package.manifest(), 0, dependency, message)
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Metadata;
    use super::*;

    fn found(from: &str, to: &str) -> Vec<String> {
        let mut tree = Tree::of(&[]);
        tree.workspace = Metadata::of(&[(from, to)]);
        check(&tree)
            .into_iter()
            .map(|problem| problem.item)
            .collect()
    }

    #[test]
    fn the_http_client_is_for_the_workers() {
        assert_eq!(found("crates/mirage-workers", "hyper"), [""; 0]);
        assert_eq!(found("crates/mirage-api", "hyper"), ["hyper"]);
        assert_eq!(found("crates/mirage", "reqwest"), [""; 0]);
        assert_eq!(found("crates/mirage-workers", "reqwest"), ["reqwest"]);
    }

    #[test]
    fn the_database_is_for_those_who_keep_something() {
        assert_eq!(found("crates/mirage-projections", "rusqlite"), [""; 0]);
        assert_eq!(found("crates/mirage-api", "rusqlite"), ["rusqlite"]);
    }

    #[test]
    fn the_domain_has_no_runtime_and_no_chance() {
        assert_eq!(found("crates/mirage-domain", "tokio"), ["tokio"]);
        assert_eq!(found("crates/mirage-domain", "getrandom"), ["getrandom"]);
        assert_eq!(found("crates/mirage-log", "tokio"), [""; 0]);
    }

    #[test]
    fn calls_are_for_the_gateway() {
        assert_eq!(found("crates/mirage-api", "tonic"), [""; 0]);
        assert_eq!(found("crates/mirage-workers", "tonic"), ["tonic"]);
    }

    #[test]
    fn tests_may_open_any_door() {
        assert_eq!(found("crates/mirage-api", "rusqlite dev"), [""; 0]);
        assert_eq!(found("tests/mirage-world", "hyper"), [""; 0]);
    }
}
