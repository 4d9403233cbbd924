//! The code map of `ARCHITECTURE.md` names the folders that are there, and only those.

use std::collections::BTreeSet;

use super::{Problem, tree::Tree};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const LINES_MAX: usize = 200;

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let Some(text) = tree.text(ARCHITECTURE) else {
        return Vec::new();
    };
    let (mapped, folders) = (mapped(text), tree.folders());
    let failure = |line, item: &str, message| Problem::failure(ARCHITECTURE, line, item, message);
    let is_there = |path: &str| folders.contains(path) || tree.text(path).is_some();
    let gone = mapped
        .iter()
        .filter(|(_, path)| !is_there(path))
        .map(|(line, path)| {
            failure(
                *line,
                path,
                format!("the code map names `{path}`, which does not exist"),
            )
        });
    let names: BTreeSet<&str> = mapped.iter().map(|(_, path)| *path).collect();
    let missing = folders
        .iter()
        .filter(|folder| must_be_mapped(folder) && !names.contains(**folder));
    let missing =
        missing.map(|folder| failure(0, folder, format!("the code map does not name `{folder}/`")));
    let lines = text.lines().count();
    let long = (lines > LINES_MAX).then(|| {
        failure(
            0,
            "lines",
            format!("has {lines} lines, the limit is {LINES_MAX}"),
        )
    });
    gone.chain(missing).chain(long).collect()
}

/// The lines ``- `path/` – what it is``, each with its number.
fn mapped(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            let (path, after) = line.trim_start().strip_prefix("- `")?.split_once('`')?;
            let is_entry = path.contains('/') && after.trim_start().starts_with('–');
            is_entry.then(|| (index + 1, path.trim_end_matches('/')))
        })
        .collect()
}

/// Folders directly below `crates/`, `crates/*/src/` and `tests/`.
fn must_be_mapped(folder: &str) -> bool {
    let parts: Vec<&str> = folder.split('/').collect();
    matches!(parts[..], ["crates" | "tests", _] | ["crates", _, "src", _])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 4] = [
        "crates/log/src/lib.rs",
        "crates/log/src/sqlite/mod.rs",
        "tests/world/src/main.rs",
        "xtask/src/main.rs",
    ];
    const MAP: &str = "- `crates/log/` – what happened\n  - `crates/log/src/sqlite/` – one backend\n\
                       - `tests/world/` – a company to scan\n";

    fn found(map: &str) -> Vec<String> {
        let files = FILES.map(|path| (path, ""));
        let files: Vec<_> = files.into_iter().chain([(ARCHITECTURE, map)]).collect();
        check(&Tree::of(&files))
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn a_complete_map_is_fine() {
        assert_eq!(found(MAP), [""; 0]);
    }

    #[test]
    fn a_folder_that_is_not_named_is_missed() {
        let map = MAP.replace("  - `crates/log/src/sqlite/` – one backend\n", "");
        assert_eq!(
            found(&map),
            ["the code map does not name `crates/log/src/sqlite/`"]
        );
    }

    #[test]
    fn a_path_that_is_gone_is_named_with_its_line() {
        let map = format!(
            "{MAP}- `crates/gone/` – was here\n- `xtask/src/main.rs` – a file may be named\n"
        );
        assert_eq!(
            found(&map),
            ["the code map names `crates/gone`, which does not exist"]
        );
    }

    #[test]
    fn it_stays_on_two_hundred_lines() {
        assert_eq!(
            found(&format!("{MAP}{}", "\n".repeat(198))),
            ["has 201 lines, the limit is 200"]
        );
    }

    #[test]
    fn without_the_document_there_is_nothing_to_compare() {
        assert_eq!(check(&Tree::of(&[("crates/log/src/lib.rs", "")])), []);
    }
}
