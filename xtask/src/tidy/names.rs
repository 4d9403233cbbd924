//! Names that are refused for files, folders and modules: they name a layer and not a thing.

use super::{Problem, tree::File, tree::Tree};

pub(crate) const REFUSED: &[&str] = &[
    "base",
    "common",
    "handlers",
    "helpers",
    "manager",
    "misc",
    "models",
    "repositories",
    "services",
    "types",
    "utils",
];
/// What such a name hides is spread over the crates that need it.
const REFUSED_FOR_CRATES: &[&str] = &["core"];
const ENDINGS: &[&str] = &["rs", "ts", "js", "svelte"];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let files = tree
        .files
        .iter()
        .filter(|file| !file.is_data() && !file.is_generated());
    files
        .flat_map(|file| {
            names_in(file)
                .into_iter()
                .filter_map(|name| problem(file, name))
        })
        .collect()
}

/// Folders, the file's stem and the modules written inside it, with their line.
fn names_in(file: &File) -> Vec<(usize, &str)> {
    let ending = file.name().rsplit('.').next().unwrap_or_default();
    if !ENDINGS.contains(&ending) {
        return Vec::new();
    }
    let folders = file.path.split('/').rev().skip(1).map(|folder| (0, folder));
    let mut names: Vec<_> = folders.chain([(0, file.stem())]).collect();
    if let (true, Ok(measures)) = (ending == "rs", file.measures()) {
        names.extend(
            measures
                .modules
                .iter()
                .map(|module| (module.line, module.name.as_str())),
        );
    }
    names
}

fn problem(file: &File, (line, name): (usize, &str)) -> Option<Problem> {
    let is_crate = file.path.starts_with(&format!("crates/{name}/"));
    let is_refused = REFUSED.contains(&name) || (is_crate && REFUSED_FOR_CRATES.contains(&name));
    is_refused.then(|| {
        let message = format!("`{name}` names a layer; say what the thing is");
        Problem::failure(&file.path, line, name, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let problems = check(&Tree::of(&[(path, text)]));
        problems
            .into_iter()
            .map(|problem| (problem.line, problem.item))
            .collect()
    }

    #[test]
    fn files_folders_and_modules_are_all_looked_at() {
        assert_eq!(
            found("crates/log/src/utils.rs", ""),
            [(0, "utils".to_owned())]
        );
        assert_eq!(
            found("crates/log/src/common/mod.rs", ""),
            [(0, "common".to_owned())]
        );
        assert_eq!(
            found("crates/log/src/lib.rs", "\nmod types {}"),
            [(2, "types".to_owned())]
        );
        assert_eq!(
            found("console/src/helpers.ts", ""),
            [(0, "helpers".to_owned())]
        );
    }

    #[test]
    fn a_crate_named_core_is_refused_but_a_module_is_not() {
        assert_eq!(
            found("crates/core/src/lib.rs", ""),
            [(0, "core".to_owned())]
        );
        assert_eq!(found("crates/log/src/core.rs", ""), []);
    }

    #[test]
    fn tables_of_contents_and_recorded_data_are_fine() {
        assert_eq!(found("crates/log/src/scan/mod.rs", ""), []);
        assert_eq!(found("crates/log/src/testdata/utils.rs", ""), []);
    }
}
