//! Why, proven: each step of a chain held against the log, the evidence store and the id key.
//!
//! What a view says is only what was folded; the proof goes back to the bytes. Each step's commit is read again and
//! hashed, its event compared with the view's row, its ids derived anew, its evidence and settings fetched and hashed.
//! The log as a whole is `log verify`'s to prove.
//!
//! **Invariant:** what could not be checked is told, and is never counted as held.

mod dot;
mod prov;
mod tree;

use std::collections::HashMap;
use std::io::SeekFrom;

use mirage_domain::entity::Entity;
use mirage_domain::event::Event;
use mirage_domain::finding::Finding;
use mirage_domain::id::{Digest, FindingId, IdKey, ModuleName, Position, WorkspaceId};
use mirage_domain::task;
use mirage_log::commit::Context;
use mirage_log::evidence::EvidenceStore;
use mirage_log::{EventLog, Recorded, evidence};
use mirage_projections::catalog::{Step, Why};
use serde::Serialize;

pub use dot::dot;
pub use prov::{Asked, prov};
pub use tree::tree;

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", content = "reason", rename_all = "kebab-case")]
pub enum Verdict {
    Held,
    Failed(String),
    /// Nothing speaks against it, and it could not be looked at.
    Unknown(String),
}

/// One item of evidence, or the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    pub sha256: Digest,
    /// None where it could not be read.
    pub bytes: Option<u64>,
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What is behind one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepProof {
    pub finding_id: FindingId,
    /// SHA-256 of the commit that carries the finding.
    pub commit: Option<Digest>,
    /// Log hash up to that commit.
    pub log_hash: Option<Digest>,
    /// In which attempt at the task it was found.
    pub attempt: Option<u32>,
    /// The commit's bytes have their hash, the log hash goes on from the one before, and the event says what the view does.
    pub recorded: Verdict,
    /// Entity and finding have the ids that follow from what they are.
    pub ids: Verdict,
    pub settings: Option<Item>,
    pub evidence: Vec<Item>,
}

/// A chain with its proof.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proven {
    #[serde(flatten)]
    pub why: Why,
    /// One for each of the steps, in their order.
    pub proofs: Vec<StepProof>,
}

impl Proven {
    /// Every check with its result.
    pub fn verdicts(&self) -> impl Iterator<Item = (&StepProof, &'static str, &Verdict)> {
        self.proofs.iter().flat_map(|proof| {
            let items = proof
                .settings
                .iter()
                .map(|item| ("settings", &item.verdict));
            let evidence = proof
                .evidence
                .iter()
                .map(|item| ("evidence", &item.verdict));
            [("log", &proof.recorded), ("ids", &proof.ids)]
                .into_iter()
                .chain(items)
                .chain(evidence)
                .map(move |(what, verdict)| (proof, what, verdict))
        })
    }

    pub fn has_failed(&self) -> bool {
        self.verdicts()
            .any(|(_, _, verdict)| matches!(verdict, Verdict::Failed(_)))
    }

    /// Steps with their proofs.
    pub fn steps(&self) -> impl Iterator<Item = (&Step, &StepProof)> {
        self.why.steps.iter().zip(&self.proofs)
    }
}

/// What a proof is made with.
pub struct Prover<'a> {
    pub workspace: &'a WorkspaceId,
    pub log: &'a dyn EventLog,
    /// None where the store cannot be opened.
    pub evidence: Option<&'a dyn EvidenceStore>,
    /// None where the key is not to be had.
    pub key: Option<&'a IdKey>,
}

impl Prover<'_> {
    /// Proves each step.
    pub async fn prove(&self, why: Why) -> Proven {
        let mut items = HashMap::new();
        let mut proofs = Vec::with_capacity(why.steps.len());
        for step in &why.steps {
            proofs.push(self.step(step, &mut items).await);
        }
        Proven { why, proofs }
    }

    async fn step(&self, step: &Step, items: &mut HashMap<Digest, Item>) -> StepProof {
        let recorded = self.log.commit(step.finding.position).await;
        let held = match &recorded {
            Ok(recorded) => self.recorded(recorded, step).await,
            Err(error) => Verdict::Failed(error.to_string()),
        };
        let recorded = recorded.ok();
        let context: Option<&Context> = recorded
            .as_ref()
            .and_then(|recorded| recorded.commit.context.as_ref());
        let mut evidence = Vec::with_capacity(step.finding.evidence.len());
        for digest in &step.finding.evidence {
            evidence.push(self.item(*digest, items).await);
        }
        StepProof {
            finding_id: step.finding.finding_id,
            commit: recorded.as_ref().map(|recorded| recorded.hash),
            log_hash: recorded.as_ref().map(|recorded| recorded.log_hash),
            attempt: context.map(|context| context.attempt),
            recorded: held,
            ids: self.ids(step),
            settings: match context {
                Some(context) => Some(self.item(context.settings, items).await),
                None => None,
            },
            evidence,
        }
    }

    async fn recorded(&self, recorded: &Recorded, step: &Step) -> Verdict {
        if Digest::of(&recorded.bytes) != recorded.hash {
            return Verdict::Failed("the commit's bytes do not have its hash".to_owned());
        }
        let before = match recorded.position {
            Position(0 | 1) => Ok(Digest::EMPTY),
            Position(at) => self
                .log
                .commit(Position(at - 1))
                .await
                .map(|before| before.log_hash),
        };
        match before {
            Err(error) => return Verdict::Unknown(error.to_string()),
            Ok(before)
                if Digest::chain(before, recorded.position, recorded.hash) != recorded.log_hash =>
            {
                return Verdict::Failed(
                    "the log hash does not go on from the one before".to_owned(),
                );
            }
            Ok(_) => {}
        }
        let says = recorded.entries().any(|(cursor, entry)| {
            cursor.packed() == step.finding.cursor
                && matches!(&entry.event, Event::Task(task::Event::Found(found)) if agrees(found, step))
        });
        match says {
            true => Verdict::Held,
            false => Verdict::Failed("the log says something else than the view".to_owned()),
        }
    }

    fn ids(&self, step: &Step) -> Verdict {
        let finding = &step.finding;
        let Ok(module) = ModuleName::new(&finding.module) else {
            return Verdict::Failed("the module's name is none".to_owned());
        };
        let link = finding.relation.zip(finding.direction);
        let parent = finding.parent_entity;
        let id = FindingId::derive(&finding.scan_id, &module, parent, link, finding.entity);
        if id != finding.finding_id {
            return Verdict::Failed("the finding's id does not follow from its claim".to_owned());
        }
        match (self.key, &finding.key) {
            (Some(id_key), Some(key)) => {
                match Entity::recorded(finding.kind, key).id(id_key) == finding.entity {
                    true => Verdict::Held,
                    false => {
                        Verdict::Failed("the entity's id does not follow from its key".to_owned())
                    }
                }
            }
            (None, _) => Verdict::Unknown("the workspace's id key is not at hand".to_owned()),
            (_, None) => Verdict::Unknown("the entity's key was erased".to_owned()),
        }
    }

    async fn item(&self, sha256: Digest, items: &mut HashMap<Digest, Item>) -> Item {
        if let Some(known) = items.get(&sha256) {
            return known.clone();
        }
        let (bytes, verdict) = self.look_up(sha256).await;
        let item = Item {
            sha256,
            bytes,
            verdict,
        };
        items.insert(sha256, item.clone());
        item
    }

    async fn look_up(&self, sha256: Digest) -> (Option<u64>, Verdict) {
        let Some(store) = self.evidence else {
            return (
                None,
                Verdict::Unknown("the evidence store cannot be opened".to_owned()),
            );
        };
        // Opening holds the bytes against the hash, in pieces: an imported file may be larger than memory.
        match store.open(self.workspace, sha256).await {
            Ok(Some(mut stored)) => match stored.seek(SeekFrom::End(0)) {
                Ok(bytes) => (Some(bytes), Verdict::Held),
                Err(error) => (None, Verdict::Unknown(error.to_string())),
            },
            Ok(None) => (None, Verdict::Failed("it is missing".to_owned())),
            Err(error @ evidence::Error::Damaged { .. }) => {
                (None, Verdict::Failed(error.to_string()))
            }
            Err(error) => (None, Verdict::Unknown(error.to_string())),
        }
    }
}

/// Whether the log's event says what the view's row does.
fn agrees(found: &Finding, step: &Step) -> bool {
    let row = &step.finding;
    found.id == row.finding_id
        && found.entity == row.entity
        && found.kind == row.kind
        && found.key.open() == row.key.as_ref()
        && found.parent.map(|parent| parent.entity) == row.parent_entity
        && found.relation == row.relation
        && found.scope.is_in == row.in_scope
        && found.confidence == row.confidence
        && found
            .evidence
            .iter()
            .all(|digest| row.evidence.contains(digest))
}

#[cfg(test)]
mod tests;
