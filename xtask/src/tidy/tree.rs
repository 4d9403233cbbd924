//! The tree that the rules read: every text file of the repository, and what cargo says about it.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::measure::{self, Function, Measures};
use super::metadata::{self, Metadata};

/// Folders whose name says that nobody wrote what is in them.
const FOLDERS_SKIPPED: &[&str] = &["node_modules", "dist", "target"];
/// Dotted folders that are part of the project all the same.
const DOTTED_FOLDERS: &[&str] = &[".cargo", ".ci", ".github"];
/// Larger files are data: they count as existing, but no rule reads them.
const FILE_BYTES_MAX: usize = 1024 * 1024;

pub(super) struct Tree {
    /// Sorted by path.
    pub(super) files: Vec<File>,
    /// The packages of the workspace alone, and with everything they are built from.
    pub(super) workspace: Metadata,
    pub(super) everything: Metadata,
}

pub(super) struct File {
    /// From the root, parts joined by `/` on every system.
    pub(super) path: String,
    /// Empty for what is no text.
    pub(super) text: String,
    measures: OnceCell<syn::Result<Measures>>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        walk(root, root, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let (workspace, everything) = (metadata::workspace()?, metadata::everything()?);
        Ok(Self {
            files,
            workspace,
            everything,
        })
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    }

    /// Rust files that people write.
    pub(super) fn sources(&self) -> impl Iterator<Item = &File> {
        self.files
            .iter()
            .filter(|file| file.path.ends_with(".rs") && !file.is_generated())
    }

    /// Every function of every source that parses.
    pub(super) fn functions(&self) -> impl Iterator<Item = (&File, &Function)> {
        self.sources().flat_map(|file| {
            let functions = file.measures().map_or(&[][..], |found| &found.functions);
            functions.iter().map(move |found| (file, found))
        })
    }

    /// Every folder that holds a file, directly or deeper, without a slash at the end.
    pub(super) fn folders(&self) -> BTreeSet<&str> {
        let mut folders = BTreeSet::new();
        for file in &self.files {
            folders.extend(
                file.path
                    .match_indices('/')
                    .map(|(end, _)| &file.path[..end]),
            );
        }
        folders
    }

    /// A made-up tree, for the tests of the rules.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File::new(path.to_owned(), text.to_owned());
        let (workspace, everything) = (Metadata::default(), Metadata::default());
        Self {
            files: files.iter().map(file).collect(),
            workspace,
            everything,
        }
    }
}

impl File {
    fn new(path: String, text: String) -> Self {
        Self {
            path,
            text,
            measures: OnceCell::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.path
            .rsplit('/')
            .next()
            .expect("a split has at least one part")
    }

    /// The name without what follows its first dot.
    pub(super) fn stem(&self) -> &str {
        self.name()
            .split('.')
            .next()
            .expect("a split has at least one part")
    }

    pub(super) fn is_generated(&self) -> bool {
        self.path.split('/').any(|part| part == "generated")
            || self
                .text
                .lines()
                .take(5)
                .any(|line| line.contains("@generated"))
    }

    /// Nothing but tests: an integration test of a crate, or the `tests.rs` beside a module.
    pub(super) fn is_test(&self) -> bool {
        // The packages below the root's `tests/` are programs; their own `tests/` are not.
        self.name() == "tests.rs" || self.path.split('/').skip(1).any(|part| part == "tests")
    }

    /// What people did not write as code or prose: recorded answers, snapshots, lock files.
    pub(super) fn is_data(&self) -> bool {
        const FOLDERS: &[&str] = &["testdata", "snapshots", "corpus"];
        self.path.split('/').any(|part| FOLDERS.contains(&part))
            || [".lock", "-lock.json"]
                .iter()
                .any(|end| self.path.ends_with(end))
    }

    pub(super) fn measures(&self) -> Result<&Measures, &syn::Error> {
        self.measures
            .get_or_init(|| measure::measure(&self.text))
            .as_ref()
    }
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<File>) -> anyhow::Result<()> {
    let context = || format!("reading {}", folder.display());
    for entry in fs::read_dir(folder).with_context(context)? {
        let entry = entry.with_context(context)?;
        let kind = entry.file_type().with_context(context)?;
        if kind.is_dir() && is_ours(&entry.path()) {
            walk(root, &entry.path(), files)?;
        } else if kind.is_file() && entry.file_name() != ".git" {
            files.push(read(root, &entry.path())?);
        }
    }
    Ok(())
}

fn is_ours(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let is_hidden = name.starts_with('.') && !DOTTED_FOLDERS.contains(&&*name);
    // Build folders carry this mark, whatever their name.
    let is_cache = folder.join("CACHEDIR.TAG").exists();
    !is_hidden && !is_cache && !FOLDERS_SKIPPED.contains(&&*name)
}

fn read(root: &Path, path: &Path) -> anyhow::Result<File> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let is_small = bytes.len() <= FILE_BYTES_MAX;
    let text = String::from_utf8(bytes)
        .ok()
        .filter(|_| is_small)
        .unwrap_or_default();
    let below_root = path
        .strip_prefix(root)
        .expect("the walk starts at the root");
    let parts: Vec<_> = below_root
        .iter()
        .map(|part| part.to_string_lossy())
        .collect();
    Ok(File::new(parts.join("/"), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_those_with_a_file_somewhere_below() {
        let tree = Tree::of(&[("crates/log/src/lib.rs", ""), ("README.md", "")]);
        assert_eq!(
            tree.folders().into_iter().collect::<Vec<_>>(),
            ["crates", "crates/log", "crates/log/src"]
        );
    }

    #[test]
    fn the_packages_below_tests_are_programs_and_not_tests() {
        let is_test = |path: &str| File::new(path.to_owned(), String::new()).is_test();
        assert!(!is_test("tests/world/src/main.rs"));
        assert!(is_test("tests/scenarios/tests/scan.rs"));
        assert!(is_test("crates/log/src/sqlite/tests.rs"));
        assert!(!is_test("crates/log/src/testing.rs"));
    }
}
