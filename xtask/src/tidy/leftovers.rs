//! Leftovers: notes to oneself, tests switched off, and paths of the machine someone worked on.

use super::{Problem, tree::File, tree::Tree};

// Written in halves so that this file does not find itself.
const NOTES: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
const SWITCHED_OFF: &str = concat!("#[", "ignore");
const MACHINE_PATHS: &[&str] = &[
    concat!("/", "home/"),
    concat!("/", "root/"),
    concat!("/", "Users/"),
    concat!("/", "work/"),
    concat!("C:\\", "Users\\"),
];
/// Prose may speak of notes and of switched-off tests.
const PROSE: &[&str] = &[".md", ".txt"];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let files = tree
        .files
        .iter()
        .filter(|file| !file.is_data() && !file.is_generated());
    files.flat_map(problems).collect()
}

fn problems(file: &File) -> Vec<Problem> {
    let is_prose = PROSE.iter().any(|ending| file.path.ends_with(ending));
    let lines = file.text.lines().enumerate();
    let found = lines.flat_map(|(index, line)| {
        let words = if is_prose {
            Vec::new()
        } else {
            leftovers_of_work(line)
        };
        words
            .into_iter()
            .chain(machine_path(line))
            .map(move |(word, advice)| (index + 1, word, advice))
    });
    found
        .map(|(line, word, advice)| {
            Problem::failure(&file.path, line, word, format!("{word}: {advice}"))
        })
        .collect()
}

type Leftover = (&'static str, &'static str);

fn leftovers_of_work(line: &str) -> Vec<Leftover> {
    let is_note = |word: &&&str| {
        line.split(|c: char| !c.is_alphanumeric())
            .any(|part| part == **word)
    };
    let notes = NOTES
        .iter()
        .filter(is_note)
        .map(|word| (*word, "do it, or say why it is left out"));
    let off = line
        .contains(SWITCHED_OFF)
        .then_some((SWITCHED_OFF, "a test runs or is not there"));
    notes.chain(off).collect()
}

/// A path counts where it begins: the same words inside a URL are none.
fn machine_path(line: &str) -> Option<Leftover> {
    let begins_path = |at: usize| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "/.~*_}-".contains(c))
    };
    let path = MACHINE_PATHS
        .iter()
        .find(|path| line.match_indices(**path).any(|(at, _)| begins_path(at)))?;
    Some((path, "a path of one machine says nothing on another"))
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
    fn notes_to_oneself_are_found_as_words() {
        let note = NOTES[0];
        assert_eq!(
            found("a.rs", &format!("x\n// {note}: later")),
            [(2, note.to_owned())]
        );
        assert_eq!(found("a.rs", &format!("let {note}S_MAX = 1;")), []);
    }

    #[test]
    fn a_test_is_not_switched_off() {
        assert_eq!(
            found("a.rs", &format!("{SWITCHED_OFF} = \"slow\"]")),
            [(1, SWITCHED_OFF.to_owned())]
        );
    }

    #[test]
    fn prose_may_speak_of_notes_but_not_of_my_machine() {
        assert_eq!(found("a.md", &format!("No {} is committed.", NOTES[0])), []);
        let path = MACHINE_PATHS[0];
        assert_eq!(
            found("a.md", &format!("see `{path}me/notes`")),
            [(1, path.to_owned())]
        );
    }

    #[test]
    fn the_same_words_inside_a_url_are_no_path() {
        let path = MACHINE_PATHS[1];
        assert_eq!(
            found("a.rs", &format!("get(\"https://example.com{path}index\")")),
            []
        );
    }

    #[test]
    fn recorded_answers_are_as_they_came() {
        assert_eq!(found("a/testdata/crtsh/page.json", NOTES[1]), []);
    }
}
