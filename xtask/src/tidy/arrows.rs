//! Arrows: which package of the workspace may use which (STYLE §2), against what cargo says.

use super::Problem;
use super::metadata::{Dependency, Package};
use super::tree::Tree;

const PACKAGES: &[(&str, &[&str])] = &[
    (
        "mirage",
        &[
            "mirage-api",
            "mirage-domain",
            "mirage-log",
            "mirage-projections",
            "mirage-workers",
        ],
    ),
    // Of the workers only data such as manifests: that half of the rule is for the reader.
    (
        "mirage-api",
        &[
            "mirage-domain",
            "mirage-log",
            "mirage-projections",
            "mirage-workers",
        ],
    ),
    ("mirage-domain", &[]),
    ("mirage-log", &["mirage-domain"]),
    ("mirage-projections", &["mirage-domain", "mirage-log"]),
    (
        "mirage-workers",
        &["mirage-domain", "mirage-log", "mirage-projections"],
    ),
    // It starts for all tests what a single one would start for itself.
    ("xtask", &["mirage-servers"]),
];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let packages = &tree.workspace.packages;
    packages
        .iter()
        .flat_map(|package| problems(package, packages))
        .collect()
}

fn problems(package: &Package, packages: &[Package]) -> Vec<Problem> {
    if package.is_outside_the_product() {
        return Vec::new();
    }
    let manifest = package.manifest();
    let Some((_, allowed)) = PACKAGES.iter().find(|(name, _)| *name == package.name) else {
        let message = format!("{} is not in the table of arrows", package.name);
        return vec![Problem::failure(&manifest, 0, &package.name, message)];
    };
    let ours = package.dependencies.iter().filter_map(|dependency| {
        let target = packages
            .iter()
            .find(|other| other.name == dependency.name)?;
        Some((dependency, target))
    });
    let is_forbidden = |(dependency, target): &(&Dependency, &Package)| {
        let is_test_support =
            dependency.is_dev() && (target.is_outside_the_product() || target.name == package.name);
        !allowed.contains(&target.name.as_str()) && !is_test_support
    };
    ours.filter(is_forbidden)
        .map(|(dependency, target)| {
            let kind = dependency.kind.as_deref().unwrap_or("normal");
            let edge = format!("{} -> {}", package.name, target.name);
            Problem::failure(
                &manifest,
                0,
                &edge,
                format!("the arrow {edge} ({kind}) is not allowed"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Metadata;
    use super::*;

    fn found(edges: &[(&str, &str)]) -> Vec<String> {
        let mut tree = Tree::of(&[]);
        tree.workspace = Metadata::of(edges);
        check(&tree)
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn the_arrow_of_the_design_is_allowed() {
        let edges = [
            ("crates/mirage-log", "mirage-domain"),
            ("crates/mirage-domain", "serde"),
        ];
        assert_eq!(found(&edges), [""; 0]);
    }

    #[test]
    fn an_arrow_backwards_is_named() {
        let edges = [
            ("crates/mirage-log", "mirage-workers"),
            ("crates/mirage-workers", "serde"),
        ];
        assert_eq!(
            found(&edges),
            ["the arrow mirage-log -> mirage-workers (normal) is not allowed"]
        );
    }

    #[test]
    fn a_test_may_use_the_made_up_world_but_no_crate_further_up() {
        let edges = [
            ("crates/mirage-workers", "mirage-world dev"),
            ("tests/mirage-world", "mirage-api"),
        ];
        assert_eq!(found(&edges), [""; 0]);
        let edges = [
            ("crates/mirage-log", "mirage-api dev"),
            ("crates/mirage-api", "serde"),
        ];
        assert_eq!(
            found(&edges),
            ["the arrow mirage-log -> mirage-api (dev) is not allowed"]
        );
    }

    #[test]
    fn only_tests_use_the_made_up_world() {
        let edges = [
            ("crates/mirage-workers", "mirage-world"),
            ("tests/mirage-world", "serde"),
        ];
        assert_eq!(
            found(&edges),
            ["the arrow mirage-workers -> mirage-world (normal) is not allowed"]
        );
    }

    #[test]
    fn a_package_that_the_table_does_not_know_is_named() {
        assert_eq!(
            found(&[("crates/mirage-new", "serde")]),
            ["mirage-new is not in the table of arrows"]
        );
    }
}
