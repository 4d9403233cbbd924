//! Few parameters: what always travels together is a struct.

use super::{Budget, Problem, tree::Tree};

const BUDGET: Budget = Budget {
    warn: 4,
    fail: 6,
    unit: "parameters",
};

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let over = tree.functions().filter_map(|(file, found)| {
        Problem::over_budget(
            (&file.path, found.line, &found.item),
            found.parameters,
            BUDGET,
        )
    });
    over.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(list: &str) -> Vec<bool> {
        let text = format!("fn build({list}) {{}}");
        let problems = check(&Tree::of(&[("a/src/lib.rs", &text)]));
        problems.iter().map(|problem| problem.is_failure).collect()
    }

    #[test]
    fn four_are_fine_five_a_question_and_seven_a_struct() {
        assert_eq!(of("a: A, b: B, c: C, d: D"), [false; 0]);
        assert_eq!(of("a: A, b: B, c: C, d: D, e: E"), [false]);
        assert_eq!(of("a: A, b: B, c: C, d: D, e: E, f: F"), [false]);
        assert_eq!(of("a: A, b: B, c: C, d: D, e: E, f: F, g: G"), [true]);
    }
}
