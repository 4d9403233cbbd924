//! Every crate takes the workspace's lints; a crate without them is held to nothing.

use super::{Problem, tree::File, tree::Tree};

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let manifests = tree
        .files
        .iter()
        .filter(|file| file.name() == "Cargo.toml" && !file.is_data());
    manifests.filter_map(problem).collect()
}

fn problem(file: &File) -> Option<Problem> {
    let failure = |message: String| Some(Problem::failure(&file.path, 0, "lints", message));
    let manifest: toml::Table = match toml::from_str(&file.text) {
        Ok(manifest) => manifest,
        Err(error) => return failure(format!("does not parse: {}", error.message())),
    };
    // The root, and a package that is a workspace of its own, have nothing to take them from.
    let is_root = manifest.contains_key("workspace") || !manifest.contains_key("package");
    let takes =
        |table: &toml::Value| table.get("workspace").and_then(toml::Value::as_bool) == Some(true);
    if is_root || manifest.get("lints").is_some_and(takes) {
        return None;
    }
    failure("does not say `[lints] workspace = true`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        check(&Tree::of(&[("crates/log/Cargo.toml", text)])).len()
    }

    #[test]
    fn a_crate_takes_the_lints_of_the_workspace() {
        assert_eq!(
            found("[package]\nname = 'a'\n[lints]\nworkspace = true\n"),
            0
        );
        assert_eq!(
            found("[package]\nname = 'a'\nlints.workspace = true\n"),
            1,
            "that is a key of package"
        );
        assert_eq!(
            found("[package]\nname = 'a'\n[lints]\nworkspace = false\n"),
            1
        );
        assert_eq!(found("[package]\nname = 'a'\n"), 1);
    }

    #[test]
    fn a_root_has_nothing_to_take() {
        assert_eq!(found("[workspace]\nmembers = []\n"), 0);
        assert_eq!(found("[package]\nname = 'fuzz'\n[workspace]\n"), 0);
    }

    #[test]
    fn a_manifest_that_does_not_parse_is_named() {
        assert_eq!(found("[package\n"), 1);
    }
}
