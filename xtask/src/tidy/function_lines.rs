//! Functions fit on a screen; a longer one does more than one thing.

use super::{Budget, Problem, tree::File, tree::Tree};

const BUDGET: Budget = Budget {
    warn: 40,
    fail: 70,
    unit: "lines",
};

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    // A test may tell a long story; what it may not do is branch (see `nesting`).
    let functions = tree
        .functions()
        .filter(|(file, found)| !found.is_test && !file.is_test());
    let long = functions.filter_map(|(file, found)| {
        Problem::over_budget((&file.path, found.line, &found.item), found.lines, BUDGET)
    });
    long.chain(tree.sources().filter_map(unreadable)).collect()
}

/// Said here once; the other rules that measure pass such a file by.
fn unreadable(file: &File) -> Option<Problem> {
    let error = file.measures().err()?;
    let message = format!("does not parse: {error}");
    Some(Problem::failure(
        &file.path,
        error.span().start().line,
        file.name(),
        message,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_lines(lines: usize) -> Vec<Problem> {
        let text = format!("fn long() {{\n{}}}\n", "step();\n".repeat(lines - 2));
        check(&Tree::of(&[("a/src/lib.rs", &text)]))
    }

    #[test]
    fn above_forty_lines_one_looks_again_and_above_seventy_it_fails() {
        assert_eq!(of_lines(40), []);
        assert!(!of_lines(41)[0].is_failure);
        assert!(of_lines(71)[0].is_failure);
        assert_eq!(
            of_lines(71)[0].message,
            "long has 71 lines, the limit is 70"
        );
    }

    #[test]
    fn a_file_that_does_not_parse_is_named() {
        let problems = check(&Tree::of(&[("a/src/lib.rs", "fn (")]));
        assert!(problems[0].message.starts_with("does not parse"));
    }

    #[test]
    fn a_test_may_tell_a_long_story() {
        let text = format!("#[test]\nfn story() {{\n{}}}\n", "step();\n".repeat(100));
        assert_eq!(check(&Tree::of(&[("a/src/lib.rs", &text)])), []);
    }
}
