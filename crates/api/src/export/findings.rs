//! The findings of a scan as CSV, a page of the catalog at a time.

use std::io::Write;

use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::catalog::{FindingFilter, FindingRow, Page, Reader};
use serde_json::Value;

use super::{Error, Wanted};
use crate::csv;

/// The columns, in order; they are a contract (DESIGN §7).
pub const FIELDS: &[&str] = &[
    "finding_id",
    "scan_id",
    "task_id",
    "module",
    "kind",
    "key",
    "attributes",
    "relation",
    "direction",
    "parent_id",
    "in_scope",
    "confidence",
    "observed_at",
    "recorded_at",
    "position",
    "evidence",
];

/// Writes the header and every finding that stands; answers how many.
pub(super) fn write(
    reader: &Reader<'_>,
    wanted: &Wanted,
    out: &mut dyn Write,
) -> Result<u64, Error> {
    let all: Vec<usize> = (0..FIELDS.len()).collect();
    let columns = match wanted.columns.is_empty() {
        true => &all,
        false => &wanted.columns,
    };
    let names: Vec<Value> = columns.iter().map(|&at| FIELDS[at].into()).collect();
    csv::record(&names, out)?;
    let filter = FindingFilter {
        scan: Some(wanted.scan.clone()),
        ..FindingFilter::default()
    };
    let (mut page, mut count) = (Page::first(PAGE_ROWS_MAX), 0);
    loop {
        let listed = reader.findings(&filter, &page)?;
        for finding in &listed.rows {
            csv::record(&row(finding, columns), out)?;
            count += 1;
        }
        match listed.next {
            Some(next) => page = page.after(next),
            None => return Ok(count),
        }
    }
}

fn row(finding: &FindingRow, columns: &[usize]) -> Vec<Value> {
    let object = serde_json::to_value(finding).unwrap_or_default();
    let value = |&at: &usize| object.get(FIELDS[at]).cloned().unwrap_or_default();
    columns.iter().map(value).collect()
}
