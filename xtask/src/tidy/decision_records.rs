//! Decision records in `docs/adr/`: a number, a title, and the three things a reader looks for.

use super::{Problem, tree::File, tree::Tree};

const FOLDER: &str = "docs/adr/";
const HEADINGS: &[&str] = &["Context", "Decision", "Consequences"];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let is_record = |file: &&File| {
        file.path.starts_with(FOLDER) && file.name().ends_with(".md") && file.name() != "README.md"
    };
    tree.files
        .iter()
        .filter(is_record)
        .flat_map(problems)
        .collect()
}

fn problems(file: &File) -> Vec<Problem> {
    let headings: Vec<&str> = file.text.lines().filter_map(heading).collect();
    let missing = HEADINGS
        .iter()
        .filter(|heading| !headings.contains(heading));
    let mut problems: Vec<_> = missing
        .map(|heading| {
            Problem::failure(&file.path, 0, heading, format!("has no heading {heading}"))
        })
        .collect();
    if !is_numbered(file.name()) {
        let message = "is not named NNNN-title.md";
        problems.push(Problem::failure(&file.path, 0, file.name(), message));
    }
    problems
}

fn heading(line: &str) -> Option<&str> {
    line.starts_with('#')
        .then(|| line.trim_start_matches('#').trim())
}

fn is_numbered(name: &str) -> bool {
    let (number, title) = name.split_once('-').unwrap_or_default();
    number.len() == 4
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && title.len() > ".md".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)]))
            .into_iter()
            .map(|problem| problem.message)
            .collect()
    }

    #[test]
    fn a_record_with_its_three_headings_is_complete() {
        let text = "# 1. Own the store\n## Context\n## Decision\n## Consequences\n## Refused\n";
        assert_eq!(found("docs/adr/0001-own-the-store.md", text), [""; 0]);
    }

    #[test]
    fn a_missing_heading_is_named() {
        let text = "# Title\n## Context\nDecision\n## Consequences\n";
        assert_eq!(
            found("docs/adr/0001-title.md", text),
            ["has no heading Decision"]
        );
    }

    #[test]
    fn a_record_carries_its_number() {
        let text = "## Context\n## Decision\n## Consequences\n";
        assert_eq!(
            found("docs/adr/title.md", text),
            ["is not named NNNN-title.md"]
        );
        assert_eq!(found("docs/adr/README.md", ""), [""; 0]);
    }
}
