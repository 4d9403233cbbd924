//! Small traits: every method is work for each backend, double and reader.

use super::{Budget, Problem, measure::Trait, tree::File, tree::Tree};

const BUDGET: Budget = Budget {
    warn: 5,
    fail: 8,
    unit: "methods",
};

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    tree.sources().flat_map(problems).collect()
}

fn problems(file: &File) -> Vec<Problem> {
    let traits = file.measures().map_or(&[][..], |measures| &measures.traits);
    let problem =
        |Trait {
             name,
             line,
             methods,
         }: &Trait| { Problem::over_budget((&file.path, *line, name), *methods, BUDGET) };
    traits.iter().filter_map(problem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(methods: usize) -> Vec<bool> {
        let text = format!("trait Many {{ {} }}", "fn one();".repeat(methods));
        let problems = check(&Tree::of(&[("a/src/lib.rs", &text)]));
        problems.iter().map(|problem| problem.is_failure).collect()
    }

    #[test]
    fn five_methods_are_fine_and_nine_too_many() {
        assert_eq!([of(5), of(6), of(9)], [vec![], vec![false], vec![true]]);
    }
}
