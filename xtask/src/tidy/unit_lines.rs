//! A collector or a projection is one file that is read from top to bottom, tests included.

use super::{Budget, Problem, tree::File, tree::Tree};

const BUDGET: Budget = Budget {
    warn: 150,
    fail: 250,
    unit: "lines with its tests",
};
/// Where such units live, and what a file says that is one (the frame's own files do not).
const UNITS: &[(&str, &str)] = &[
    ("crates/projections/src/", "impl Projection for"),
    ("crates/workers/src/collectors/", "impl Collector for"),
];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    tree.sources()
        .filter(|file| is_unit(file))
        .filter_map(problem)
        .collect()
}

fn is_unit(file: &File) -> bool {
    const FRAME: &[&str] = &["lib.rs", "mod.rs", "runner.rs", "testing.rs", "tests.rs"];
    let is_at = |(folder, mark): &(&str, &str)| {
        file.path.starts_with(folder) && file.text.lines().any(|line| line.starts_with(mark))
    };
    UNITS.iter().any(is_at) && !FRAME.contains(&file.name())
}

fn problem(file: &File) -> Option<Problem> {
    Problem::over_budget(
        (&file.path, 0, file.name()),
        file.text.lines().count(),
        BUDGET,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, mark: &str, lines: usize) -> Vec<bool> {
        let text = format!("{mark}\n{}", "\n".repeat(lines - 1));
        check(&Tree::of(&[(path, &text)]))
            .iter()
            .map(|problem| problem.is_failure)
            .collect()
    }

    #[test]
    fn a_collector_is_looked_at_from_150_lines_and_too_much_from_250() {
        let lines = |lines| {
            found(
                "crates/workers/src/collectors/crtsh.rs",
                "impl Collector for Crtsh {",
                lines,
            )
        };
        assert_eq!(
            [lines(150), lines(151), lines(251)],
            [vec![], vec![false], vec![true]]
        );
    }

    #[test]
    fn a_projection_is_held_to_the_same() {
        assert_eq!(
            found(
                "crates/projections/src/graph.rs",
                "impl Projection for Graph {",
                251
            ),
            [true]
        );
    }

    #[test]
    fn the_frame_itself_is_no_unit() {
        assert_eq!(
            found(
                "crates/projections/src/runner.rs",
                "impl Projection for Probe {",
                251
            ),
            [false; 0]
        );
        assert_eq!(
            found(
                "crates/projections/src/sink.rs",
                "impl Sink for Sqlite {",
                251
            ),
            [false; 0]
        );
    }
}
