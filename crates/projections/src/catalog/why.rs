//! Why: how a finding came to be, step by step back to the seed.
//!
//! The chain is the one that happened: each step's parent is the finding that introduced the parent entity to the task.

use std::collections::HashSet;

use mirage_domain::id::{EntityId, FindingId, ScanId};
use serde::Serialize;

use super::findings::{FindingRow, claim};
use super::reader::Reader;
use super::sql::Sql;
use super::tasks::TaskRow;
use crate::{Error, Value};

/// Longest chain that is followed; scans go at most 64 deep.
const STEPS_MAX: usize = 256;

/// One step of a chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// With the attributes and evidence of all its claims.
    pub finding: FindingRow,
    pub entity_id: EntityId,
    /// The scope's rule that decided about the entity.
    pub rule: String,
    /// Module version, settings hash and cost; none for a task that was never scheduled (an import).
    pub task: Option<TaskRow>,
}

/// A chain from a finding to its seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    pub steps: Vec<Step>,
    /// Whether the chain ends in a seed; otherwise a parent is not to be found.
    pub reaches_seed: bool,
}

impl Reader<'_> {
    /// How a finding came to be.
    pub fn why(&self, scan: &ScanId, finding: FindingId) -> Result<Option<Why>, Error> {
        let (mut steps, mut seen) = (Vec::new(), HashSet::new());
        let mut next = Some(finding);
        while let Some(id) = next.filter(|id| steps.len() < STEPS_MAX && seen.insert(*id)) {
            let Some(found) = self.finding(scan, id)? else {
                break;
            };
            // A claim's parent stands before it in the log, so following first claims cannot go in circles.
            next = self.first_parent(scan, id)?;
            steps.push(Step {
                task: self.task(&found.task_id)?,
                entity_id: found.entity,
                rule: found.rule.clone(),
                finding: found,
            });
        }
        let reaches_seed = steps
            .last()
            .is_some_and(|step| step.finding.parent_id.is_none());
        Ok((!steps.is_empty()).then_some(Why {
            steps,
            reaches_seed,
        }))
    }

    /// How an entity came to be known: the first finding about it, in the given scan or the newest one that met it.
    pub fn why_entity(
        &self,
        entity: EntityId,
        scan: Option<&ScanId>,
    ) -> Result<Option<Why>, Error> {
        let sql = Sql::new(
            "SELECT f.* FROM entities e JOIN findings f ON f.cursor = e.cursor
             WHERE e.entity = ? AND f.workspace = ? AND e.cursor <= ?",
            [entity.into(), self.workspace(), self.last()],
        );
        let sql = sql
            .maybe("AND e.scan = ?", scan.map(Value::from))
            .and::<0>("ORDER BY e.cursor DESC LIMIT 1", []);
        match self.one(sql, claim)? {
            Some(first) => self.why(&first.scan_id, first.finding_id),
            None => Ok(None),
        }
    }

    fn first_parent(&self, scan: &ScanId, id: FindingId) -> Result<Option<FindingId>, Error> {
        let first = self.claims(scan, id, 1)?.pop();
        Ok(first.and_then(|claim| claim.parent_id))
    }
}
