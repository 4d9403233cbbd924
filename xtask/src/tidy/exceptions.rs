//! Exceptions: failures of tidy that stand for a written reason.
//!
//! **Invariant:** an entry excuses failures of one rule at one item of one file, and must excuse something.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::Problem;

pub(super) const PATH: &str = "xtask/tidy-exceptions.toml";

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exceptions {
    #[serde(default, rename = "exception")]
    entries: Vec<Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    rule: String,
    path: String,
    item: String,
    reason: String,
}

impl Exceptions {
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let exceptions: Self = toml::from_str(text).with_context(|| format!("reading {PATH}"))?;
        for Exception {
            rule, path, reason, ..
        } in &exceptions.entries
        {
            ensure!(
                !reason.trim().is_empty(),
                "{PATH}: {rule} at {path} has no reason"
            );
        }
        Ok(exceptions)
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn none_used(&self) -> Use<'_> {
        Use {
            entries: &self.entries,
            used: BTreeSet::new(),
        }
    }
}

/// Which entries have excused something in this run.
pub(super) struct Use<'a> {
    entries: &'a [Exception],
    used: BTreeSet<usize>,
}

impl Use<'_> {
    /// Warnings need no excuse, so an entry whose item came below its limit shows up as unused.
    pub(super) fn covers(&mut self, rule: &str, problem: &Problem) -> bool {
        let found = self.entries.iter().position(|entry| {
            entry.rule == rule && entry.path == problem.path && entry.item == problem.item
        });
        match found {
            Some(index) if problem.is_failure => {
                self.used.insert(index);
                true
            }
            _ => false,
        }
    }

    pub(super) fn unused(&self) -> Vec<Problem> {
        let unused = self
            .entries
            .iter()
            .enumerate()
            .filter(|(index, _)| !self.used.contains(index));
        unused
            .map(
                |(
                    _,
                    Exception {
                        rule, path, item, ..
                    },
                )| {
                    let message =
                        format!("the exception for {rule} at {path} ({item}) is no longer needed");
                    Problem::failure(PATH, 0, item, message)
                },
            )
            .collect()
    }
}
