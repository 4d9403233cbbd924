//! The catalog: scans, tasks, findings, entities, and what is counted or listed about them.
//!
//! One row per claim or change. A finding's claim is keyed by its cursor, so that claims are written in the order of
//! the log and cost no search; a thing's first row wins where the log may say it twice (an entity of a scan, a second).
//! Answers come from a [`Reader`]: one workspace, as of one position.
//!
//! **Invariant:** one row per claim or change, so that any past position can be asked.
//! **Invariant:** what falls with a mark is in no list and no count at a position where the mark holds.
//! **Never:** update a row; an answer over more than one workspace.

mod audit;
mod chains;
mod counts;
mod diff;
mod entities;
mod findings;
mod ids;
mod marks;
mod page;
mod progress;
mod reader;
mod rows;
mod scans;
mod seeds;
mod sql;
mod standing;
mod tasks;
mod times;
mod why;

use mirage_log::Recorded;

pub use audit::{AuditFilter, AuditRow};
pub use counts::{Count, Counts};
pub use diff::{Change, Claimed, Detail, Difference, Side, diff};
pub use entities::{Edge, EntityDetail, EntityFilter, EntityRow};
pub use findings::{FindingFilter, FindingRow, Since};
pub use ids::Resolved;
pub use marks::MarkRow;
pub use page::{After, Listed, Page};
pub use progress::{Limited, Module, Remark, ScanDetail};
pub use reader::Reader;
pub use scans::{ScanFilter, ScanRow, State};
pub(crate) use sql::Sql;
pub use tasks::{TaskFilter, TaskRow, TaskState};
pub use why::{Step, Why};

use crate::{Error, Operations, Projection};

pub struct Catalog;

impl Projection for Catalog {
    const NAME: &'static str = "catalog";
    const VERSION: u32 = 5;
    const SCHEMA: &'static str = include_str!("schema.sql");

    fn apply(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error> {
        rows::of_commit(recorded, operations)
    }
}

#[cfg(test)]
mod tests;
