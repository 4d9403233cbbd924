//! Licences: each package of the lock file stands under terms that we can pass on.

use super::Problem;
use super::metadata::Package;
use super::tree::Tree;

/// Permissive ones, and MPL-2.0, whose terms end at its own files. `deny.toml` says the same.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];
const LOCK: &str = "Cargo.lock";

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    tree.everything
        .packages
        .iter()
        .filter_map(problem)
        .collect()
}

fn problem(package: &Package) -> Option<Problem> {
    let Package {
        name,
        version,
        license,
        ..
    } = package;
    let message = match license
        .as_deref()
        .map(|expression| (expression, is_allowed(expression)))
    {
        Some((_, Some(true))) => return None,
        Some((expression, Some(false))) => format!("{name} {version} stands under {expression}"),
        Some((expression, None)) => {
            format!("{name} {version} has an unreadable licence: {expression}")
        }
        None => format!("{name} {version} names no licence"),
    };
    Some(Problem::failure(LOCK, 0, name, message))
}

/// Reads an SPDX expression (<https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/>) and the old
/// `MIT/Apache-2.0`; `None` if it is neither.
fn is_allowed(expression: &str) -> Option<bool> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let allowed = any(&mut rest)?;
    rest.is_empty().then_some(allowed)
}

fn any(rest: &mut &[&str]) -> Option<bool> {
    let mut allowed = all(rest)?;
    while take(rest, "OR") {
        allowed |= all(rest)?;
    }
    Some(allowed)
}

fn all(rest: &mut &[&str]) -> Option<bool> {
    let mut allowed = one(rest)?;
    while take(rest, "AND") {
        allowed &= one(rest)?;
    }
    Some(allowed)
}

fn one(rest: &mut &[&str]) -> Option<bool> {
    if take(rest, "(") {
        let allowed = any(rest)?;
        return take(rest, ")").then_some(allowed);
    }
    let (name, after) = rest.split_first()?;
    *rest = after;
    if !take(rest, "WITH") {
        return Some(ALLOWED.contains(name));
    }
    let (exception, after) = rest.split_first()?;
    *rest = after;
    Some(ALLOWED.contains(&format!("{name} WITH {exception}").as_str()))
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    let is_next = rest.first() == Some(&word);
    if is_next {
        *rest = &rest[1..];
    }
    is_next
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Metadata;
    use super::*;

    #[test]
    fn one_allowed_side_of_a_choice_is_enough() {
        assert_eq!(is_allowed("MIT OR LGPL-2.1-or-later"), Some(true));
        assert_eq!(is_allowed("LGPL-2.1/MIT"), Some(true));
        assert_eq!(
            is_allowed("Apache-2.0 WITH LLVM-exception OR GPL-3.0"),
            Some(true)
        );
    }

    #[test]
    fn every_side_of_a_sum_must_be_allowed() {
        assert_eq!(
            is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0"),
            Some(true)
        );
        assert_eq!(is_allowed("MIT AND GPL-3.0"), Some(false));
        assert_eq!(
            is_allowed("GPL-3.0 WITH Classpath-exception-2.0"),
            Some(false)
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        assert_eq!(is_allowed("(MIT"), None);
        assert_eq!(is_allowed("MIT Apache-2.0"), None);
        assert_eq!(is_allowed(""), None);
    }

    #[test]
    fn a_package_is_named_with_its_licence() {
        let found = |license: Option<&str>| {
            let mut tree = Tree::of(&[]);
            tree.everything = Metadata::of(&[("registry/somecrate", "serde")]);
            tree.everything.packages[0].license = license.map(str::to_owned);
            check(&tree)
                .into_iter()
                .map(|problem| problem.message)
                .collect::<Vec<_>>()
        };
        assert_eq!(found(Some("MIT")), [""; 0]);
        assert_eq!(
            found(Some("GPL-3.0")),
            ["somecrate 0.1.0 stands under GPL-3.0"]
        );
        assert_eq!(found(None), ["somecrate 0.1.0 names no licence"]);
    }
}
