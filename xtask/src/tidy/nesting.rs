//! Shallow functions: what stands four conditions deep is a function of its own.

use super::{Budget, Problem, tree::Tree};

const BUDGET: Budget = Budget {
    warn: 3,
    fail: 4,
    unit: "levels of nesting",
};

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let over = tree.functions().filter_map(|(file, found)| {
        Problem::over_budget((&file.path, found.line, &found.item), found.nesting, BUDGET)
    });
    over.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(depth: usize) -> Vec<bool> {
        let text = format!(
            "fn deep() {{ {} {} }}",
            "if a {".repeat(depth),
            "}".repeat(depth)
        );
        let problems = check(&Tree::of(&[("a/src/lib.rs", &text)]));
        problems.iter().map(|problem| problem.is_failure).collect()
    }

    #[test]
    fn three_levels_are_fine_four_a_question_and_five_too_many() {
        assert_eq!([of(3), of(4), of(5)], [vec![], vec![false], vec![true]]);
    }
}
