//! Files stay short enough to be read in one go; their tests are not counted.

use super::{Budget, Problem, tree::File, tree::Tree};

const BUDGET: Budget = Budget {
    warn: 300,
    fail: 600,
    unit: "lines without tests",
};

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    tree.sources()
        .filter(|file| !file.is_test() && !file.is_data())
        .filter_map(problem)
        .collect()
}

fn problem(file: &File) -> Option<Problem> {
    let tests = file.measures().ok()?.test_lines;
    let lines = file.text.lines().count() - tests;
    Problem::over_budget((&file.path, 0, file.name()), lines, BUDGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_lines(lines: usize) -> Vec<Problem> {
        let text = "use a;\n".repeat(lines)
            + "#[cfg(test)]\nmod tests {\n"
            + &"use b;\n".repeat(900)
            + "}\n";
        check(&Tree::of(&[("a/src/lib.rs", &text)]))
    }

    #[test]
    fn three_hundred_lines_are_fine_and_six_hundred_the_end() {
        assert_eq!(of_lines(300), []);
        assert!(!of_lines(301)[0].is_failure);
        assert!(!of_lines(600)[0].is_failure);
        assert!(of_lines(601)[0].is_failure);
    }

    #[test]
    fn files_of_tests_and_generated_ones_are_not_counted() {
        let text = "use a;\n".repeat(900);
        assert_eq!(
            check(&Tree::of(&[
                ("a/tests/it/main.rs", &text),
                ("a/src/log/tests.rs", &text)
            ])),
            []
        );
        assert_eq!(check(&Tree::of(&[("a/src/generated/api.rs", &text)])), []);
    }
}
