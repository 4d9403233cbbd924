//! `tidy`: the rules of the house that a program can check, one rule per file.
//!
//! A rule reads the tree as it stands in memory and answers with problems; it neither prints nor writes.
//! To add one: its file with tests on made-up trees, its `mod` line and its entry in `RULES`.
//! A failure that has a good reason is listed in `xtask/tidy-exceptions.toml`, a list that may only shrink.
//!
//! **Invariant:** `RULES` is sorted by name, and an exception that excuses nothing is itself a failure.

mod exceptions;
mod measure;
pub(crate) mod metadata;
mod tree;

mod arrows;
mod bans;
mod clippy_bans;
mod decision_records;
mod doc_line;
mod exclusive;
mod file_lines;
mod function_lines;
mod leftovers;
mod licences;
mod lints;
mod map;
pub(crate) mod names;
mod nesting;
mod parameters;
mod trait_methods;
mod unit_lines;

use anyhow::bail;

use crate::workspace;
use exceptions::Exceptions;
use tree::Tree;

struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Problem>,
}

const RULES: &[Rule] = &[
    Rule {
        name: "arrows",
        check: arrows::check,
    },
    Rule {
        name: "bans",
        check: bans::check,
    },
    Rule {
        name: "clippy-bans",
        check: clippy_bans::check,
    },
    Rule {
        name: "decision-records",
        check: decision_records::check,
    },
    Rule {
        name: "doc-line",
        check: doc_line::check,
    },
    Rule {
        name: "exclusive",
        check: exclusive::check,
    },
    Rule {
        name: "file-lines",
        check: file_lines::check,
    },
    Rule {
        name: "function-lines",
        check: function_lines::check,
    },
    Rule {
        name: "leftovers",
        check: leftovers::check,
    },
    Rule {
        name: "licences",
        check: licences::check,
    },
    Rule {
        name: "lints",
        check: lints::check,
    },
    Rule {
        name: "map",
        check: map::check,
    },
    Rule {
        name: "names",
        check: names::check,
    },
    Rule {
        name: "nesting",
        check: nesting::check,
    },
    Rule {
        name: "parameters",
        check: parameters::check,
    },
    Rule {
        name: "trait-methods",
        check: trait_methods::check,
    },
    Rule {
        name: "unit-lines",
        check: unit_lines::check,
    },
];

/// Something a rule found: where, what, and how bad.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    path: String,
    /// From 1; 0 means the whole file.
    line: usize,
    /// The function, package or word it is about, so that an exception survives moved lines.
    item: String,
    is_failure: bool,
    message: String,
}

impl Problem {
    fn failure(path: &str, line: usize, item: &str, message: impl Into<String>) -> Self {
        let (path, item, message) = (path.to_owned(), item.to_owned(), message.into());
        Self {
            path,
            line,
            item,
            is_failure: true,
            message,
        }
    }

    /// Something above its first limit is a warning, above its second a failure, else nothing.
    fn over_budget(place: (&str, usize, &str), value: usize, budget: Budget) -> Option<Self> {
        let (path, line, item) = place;
        let limit = if value > budget.fail {
            budget.fail
        } else {
            budget.warn
        };
        (value > budget.warn).then(|| Self {
            path: path.to_owned(),
            line,
            item: item.to_owned(),
            is_failure: value > budget.fail,
            message: format!("{item} has {value} {}, the limit is {limit}", budget.unit),
        })
    }
}

/// A number that is a reason to look again, and one that is too much (STYLE §9).
struct Budget {
    warn: usize,
    fail: usize,
    unit: &'static str,
}

pub(crate) fn run() -> anyhow::Result<()> {
    let tree = Tree::read(workspace::root())?;
    let exceptions = Exceptions::parse(tree.text(exceptions::PATH).unwrap_or_default())?;
    let report = report(&tree, &exceptions);
    for line in &report.lines {
        println!("{line}");
    }
    println!(
        "tidy: {} rules, {} files, {} excused, {} to look at again, {} failures",
        RULES.len(),
        tree.files.len(),
        exceptions.len(),
        report.warnings,
        report.failures
    );
    if report.failures > 0 {
        bail!("tidy found {} failures", report.failures);
    }
    Ok(())
}

struct Report {
    lines: Vec<String>,
    warnings: usize,
    failures: usize,
}

fn report(tree: &Tree, exceptions: &Exceptions) -> Report {
    let mut report = Report {
        lines: Vec::new(),
        warnings: 0,
        failures: 0,
    };
    let mut excused = exceptions.none_used();
    for rule in RULES {
        let mut problems = (rule.check)(tree);
        problems.sort();
        for problem in problems
            .iter()
            .filter(|problem| !excused.covers(rule.name, problem))
        {
            report.add(rule.name, problem);
        }
    }
    for problem in excused.unused() {
        report.add("exceptions", &problem);
    }
    report
}

impl Report {
    fn add(&mut self, rule: &str, problem: &Problem) {
        let level = if problem.is_failure {
            "error"
        } else {
            "look again"
        };
        let Problem {
            path,
            line,
            message,
            ..
        } = problem;
        self.lines
            .push(format!("{path}:{line}: {level}: {rule}: {message}"));
        *if problem.is_failure {
            &mut self.failures
        } else {
            &mut self.warnings
        } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_sorted_and_listed_once() {
        assert!(RULES.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn an_exception_excuses_its_problem_and_nothing_else() {
        let tree = Tree::of(&[("a/src/utils.rs", "//! What this is about.\n")]);
        let excuse = "[[exception]]\nrule = 'names'\npath = 'a/src/utils.rs'\nitem = 'utils'\nreason = 'given'";
        assert_eq!(report(&tree, &Exceptions::default()).failures, 1);
        assert_eq!(
            report(&tree, &Exceptions::parse(excuse).unwrap()).failures,
            0
        );
    }

    #[test]
    fn an_exception_that_is_no_longer_needed_fails() {
        let tree = Tree::of(&[("a/src/lib.rs", "//! What this is about.\n")]);
        let excuse = "[[exception]]\nrule = 'names'\npath = 'a/src/utils.rs'\nitem = 'utils'\nreason = 'given'";
        let report = report(&tree, &Exceptions::parse(excuse).unwrap());
        assert_eq!(report.failures, 1);
        assert!(
            report.lines[0].contains("no longer needed"),
            "{:?}",
            report.lines
        );
    }

    #[test]
    fn a_budget_warns_above_the_first_number_and_fails_above_the_second() {
        let found = |value| {
            let budget = Budget {
                warn: 40,
                fail: 70,
                unit: "lines",
            };
            Problem::over_budget(("a.rs", 1, "f"), value, budget).map(|problem| problem.is_failure)
        };
        assert_eq!(
            [found(40), found(41), found(70), found(71)],
            [None, Some(false), Some(false), Some(true)]
        );
    }
}
