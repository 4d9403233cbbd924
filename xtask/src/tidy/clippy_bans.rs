//! A crate's own `clippy.toml` repeats the root's bans, because it replaces the root's file.

use toml::{Table, Value};

use super::{Problem, tree::File, tree::Tree};

const ROOT: &str = "clippy.toml";

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let root = entries(tree.text(ROOT).unwrap_or_default());
    let own = tree
        .files
        .iter()
        .filter(|file| file.name() == ROOT && file.path != ROOT);
    own.flat_map(|file| missing(file, &root)).collect()
}

fn missing(file: &File, root: &[String]) -> Vec<Problem> {
    let own = entries(&file.text);
    let missing = root.iter().filter(|entry| !own.contains(entry));
    missing
        .map(|entry| {
            Problem::failure(
                &file.path,
                0,
                entry,
                format!("does not repeat the root's {entry}"),
            )
        })
        .collect()
}

/// Settings as `key = value`, and each ban of a list as `list: path`; a reason may differ.
fn entries(text: &str) -> Vec<String> {
    let table: Table = toml::from_str(text).unwrap_or_default();
    let ban = |ban: &Value| ban.get("path").unwrap_or(ban).to_string();
    let of = |(key, value): (&String, &Value)| match value {
        Value::Array(bans) => bans
            .iter()
            .map(|value| format!("{key}: {}", ban(value)))
            .collect(),
        value => vec![format!("{key} = {value}")],
    };
    table.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED: &str = "allow-unwrap-in-tests = true\ndisallowed-methods = [{ path = \"a::b\", reason = \"c\" }]\n";

    fn found(own: &str) -> Vec<String> {
        let problems = check(&Tree::of(&[
            ("clippy.toml", SHARED),
            ("crates/domain/clippy.toml", own),
        ]));
        problems.into_iter().map(|problem| problem.item).collect()
    }

    #[test]
    fn more_bans_with_other_reasons_are_fine() {
        let own = SHARED.replace("\"c\" }", "\"d\" }, \"e::f\"");
        assert_eq!(found(&own), [""; 0]);
    }

    #[test]
    fn what_is_not_repeated_is_named() {
        assert_eq!(
            found("allow-unwrap-in-tests = true\n"),
            ["disallowed-methods: \"a::b\""]
        );
        assert_eq!(
            found(""),
            [
                "allow-unwrap-in-tests = true",
                "disallowed-methods: \"a::b\""
            ]
        );
    }
}
