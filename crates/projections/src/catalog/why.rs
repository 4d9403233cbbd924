//! Why: how a finding or an entity came to be known: every chain back to a seed, within bounds.
//!
//! The first chain is the one that happened: each step's parent is the finding that introduced the parent entity to the
//! task. The others are made of any findings about the parent entity; those that stand come first, then the shortest.
//!
//! **Invariant:** no chain visits an entity twice; a bound that cut is told.

use std::collections::{HashMap, HashSet};

use mirage_domain::id::{EntityId, FindingId, Position, ScanId};
use serde::Serialize;

use super::chains::{Ancestors, CHAINS_MAX};
use super::findings::{FindingRow, claim};
use super::marks::MarkRow;
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
    /// Module version, settings hash and cost; none for a task that was never scheduled.
    pub task: Option<TaskRow>,
    /// Whether the finding stands at this position: no mark and no fallen parent takes it away.
    pub stands: bool,
    /// What analysts said, oldest first; the last word holds.
    pub marks: Vec<MarkRow>,
}

/// All that leads from a finding or an entity to its seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// As of which this was true.
    pub at: Position,
    pub scan_id: ScanId,
    /// Ids from what was asked about back to a seed; the first chain is the one that happened.
    pub chains: Vec<Vec<FindingId>>,
    /// There are more chains than were looked for.
    pub is_cut: bool,
    /// Each finding of the chains once: those of the first chain in its order, then the others.
    pub steps: Vec<Step>,
    /// Whether the first chain ends in a seed; otherwise a parent is not to be found.
    pub reaches_seed: bool,
}

impl Why {
    pub fn step(&self, finding: FindingId) -> Option<&Step> {
        self.steps
            .iter()
            .find(|step| step.finding.finding_id == finding)
    }

    /// The chain that happened, from what was asked about to the seed.
    pub fn first(&self) -> &[Step] {
        &self.steps[..self.chains.first().map_or(0, Vec::len)]
    }
}

impl Reader<'_> {
    /// How a finding came to be.
    pub fn why(&self, scan: &ScanId, finding: FindingId) -> Result<Option<Why>, Error> {
        let first = self.happened(scan, finding)?;
        match first.is_empty() {
            true => Ok(None),
            false => self.explain(scan, first, Some(finding)).map(Some),
        }
    }

    /// How an entity came to be known: all findings about it, in the given scan or the newest one that met it.
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
        let Some(claimed) = self.one(sql, claim)? else {
            return Ok(None);
        };
        let first = self.happened(&claimed.scan_id, claimed.finding_id)?;
        self.explain(&claimed.scan_id, first, None).map(Some)
    }

    fn explain(
        &self,
        scan: &ScanId,
        first: Vec<FindingRow>,
        only: Option<FindingId>,
    ) -> Result<Why, Error> {
        let reaches_seed = first.last().is_some_and(|row| row.parent_id.is_none());
        let entity = first[0].entity;
        let ancestors = Ancestors::of(self, scan, entity, only)?;
        let ids: Vec<FindingId> = first.iter().map(|row| row.finding_id).collect();
        let (mut chains, mut is_cut) = ancestors.chains();
        chains.retain(|chain| *chain != ids);
        chains.insert(0, ids);
        is_cut |= chains.len() > CHAINS_MAX;
        chains.truncate(CHAINS_MAX);
        Ok(Why {
            at: self.position(),
            scan_id: scan.clone(),
            steps: self.steps(scan, first, &chains)?,
            chains,
            is_cut,
            reaches_seed,
        })
    }

    /// The chain that happened, as far as its parents are to be found.
    fn happened(&self, scan: &ScanId, finding: FindingId) -> Result<Vec<FindingRow>, Error> {
        let (mut chain, mut seen) = (Vec::new(), HashSet::new());
        let mut next = Some(finding);
        while let Some(id) = next.filter(|id| chain.len() < STEPS_MAX && seen.insert(*id)) {
            let Some(found) = self.finding(scan, id)? else {
                break;
            };
            // A claim's parent stands before it in the log, so following first claims cannot go in circles.
            let first = self.claims(scan, id, 1)?.pop();
            next = first.and_then(|claim| claim.parent_id);
            chain.push(found);
        }
        Ok(chain)
    }

    fn steps(
        &self,
        scan: &ScanId,
        first: Vec<FindingRow>,
        chains: &[Vec<FindingId>],
    ) -> Result<Vec<Step>, Error> {
        let mut rows = first;
        let mut seen: HashSet<FindingId> = rows.iter().map(|row| row.finding_id).collect();
        for id in chains.iter().flatten() {
            if seen.insert(*id) {
                rows.extend(self.finding(scan, *id)?);
            }
        }
        let mut tasks = HashMap::new();
        let mut steps = Vec::with_capacity(rows.len());
        for finding in rows {
            let task = match tasks.get(&finding.task_id) {
                Some(task) => Option::clone(task),
                None => {
                    let task = self.task(&finding.task_id)?;
                    tasks.insert(finding.task_id.clone(), task.clone());
                    task
                }
            };
            steps.push(Step {
                task,
                entity_id: finding.entity,
                rule: finding.rule.clone(),
                stands: self.stands(finding.finding_id)?,
                marks: self.marks_of(scan, finding.finding_id)?,
                finding,
            });
        }
        Ok(steps)
    }
}
