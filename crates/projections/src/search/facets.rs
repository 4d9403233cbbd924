//! Facets: how the findings that match are spread over kinds, modules and scans.

use std::collections::HashMap;
use std::hash::Hash;

use serde::Serialize;

use super::source::Source;
use crate::Error;
use crate::catalog::Count;

/// Findings that are counted, the newest ones: a tenth of a second. Beyond them counts are lower bounds.
pub const FINDINGS_MAX: u64 = 10_000;

/// Counts of findings, most first. All of them are of the same findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facets {
    pub findings: u64,
    pub kinds: Vec<Count>,
    pub modules: Vec<Count>,
    pub scans: Vec<Count>,
    /// There are more: every count is "at least".
    pub is_cut: bool,
}

pub(super) fn of(mut hits: Box<dyn Source + '_>) -> Result<Facets, Error> {
    let (mut kinds, mut modules, mut scans) = (HashMap::new(), HashMap::new(), HashMap::new());
    let mut findings = 0;
    let mut is_cut = false;
    while let Some(document) = hits.next()? {
        is_cut = findings == FINDINGS_MAX;
        if is_cut {
            break;
        }
        findings += 1;
        *kinds.entry(document.kind.as_str()).or_default() += 1;
        *modules.entry(document.module).or_default() += 1;
        *scans.entry(document.scan.to_string()).or_default() += 1;
    }
    Ok(Facets {
        findings,
        kinds: counts(kinds),
        modules: counts(modules),
        scans: counts(scans),
        is_cut: is_cut || hits.cut().is_some(),
    })
}

fn counts<N: Into<String> + Hash + Eq>(counted: HashMap<N, u64>) -> Vec<Count> {
    let count = |(name, count): (N, u64)| Count {
        name: name.into(),
        count,
    };
    let mut counts: Vec<Count> = counted.into_iter().map(count).collect();
    counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    counts
}
