//! Findings: one claim each, tied to its parent, its relation and its evidence.
//!
//! **Invariant:** a finding's id hangs on what is claimed, never on which claim came first.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::entity::{Entity, Kind};
use crate::id::{Digest, EntityId, FindingId, ModuleName, ScanId};
use crate::relation::{Direction, Relation};
use crate::scope::Decision;
use crate::sealed::Sealable;

/// Largest finding, in bytes of JSON; what is larger is evidence.
pub const FINDING_BYTES_MAX: usize = 32 * 1024;

/// What describes an entity: names and JSON values.
pub type Attributes = Map<String, Value>;

/// Attributes as the log has them, the text of a JSON object: most readers of a log never look into them.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Written(Box<RawValue>);

impl Written {
    /// What they say. A number or a letter that no program can hold is found only here.
    pub fn read(&self) -> serde_json::Result<Attributes> {
        serde_json::from_str(self.text())
    }

    /// A JSON object.
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl From<Attributes> for Written {
    fn from(attributes: Attributes) -> Self {
        Self(to_raw_value(&attributes).expect("names and JSON values are an object"))
    }
}

impl From<Attributes> for Sealable<Written> {
    fn from(attributes: Attributes) -> Self {
        Self::Open(attributes.into())
    }
}

impl Default for Written {
    fn default() -> Self {
        Attributes::new().into()
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        match raw.get().starts_with('{') {
            true => Ok(Self(raw)),
            false => Err(serde::de::Error::custom("attributes are an object")),
        }
    }
}

/// The claim a finding hangs on: its entity, and the finding that introduced it to the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    pub entity: EntityId,
    pub finding: FindingId,
}

/// One claim as the log keeps it. The event's own time says when it was observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    pub id: FindingId,
    pub entity: EntityId,
    pub kind: Kind,
    pub key: Sealable<String>,
    /// None for a seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// None for a seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relation: Option<Relation>,
    #[serde(default, skip_serializing_if = "is_out")]
    pub direction: Direction,
    pub scope: Decision,
    /// In percent.
    pub confidence: u8,
    #[serde(default, skip_serializing_if = "has_none")]
    pub attributes: Sealable<Written>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Digest>,
}

fn is_out(direction: &Direction) -> bool {
    *direction == Direction::Out
}

fn has_none(attributes: &Sealable<Written>) -> bool {
    attributes
        .open()
        .is_some_and(|attributes| attributes.text() == "{}")
}

impl Finding {
    /// The entity that is claimed, unless its key was erased.
    pub fn entity(&self) -> Option<Entity> {
        self.key.open().map(|key| Entity::recorded(self.kind, key))
    }
}

impl FindingId {
    /// Hash of scan, module, parent entity, relation, direction and entity.
    pub fn derive(
        scan: &ScanId,
        module: &ModuleName,
        parent: Option<EntityId>,
        relation: Option<(Relation, Direction)>,
        entity: EntityId,
    ) -> Self {
        let mut hasher = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        };
        part(scan.as_str().as_bytes());
        part(module.as_str().as_bytes());
        part(parent.as_ref().map_or(&[][..], |id| &id.0));
        part(
            relation
                .map_or("", |(relation, _)| relation.as_str())
                .as_bytes(),
        );
        part(
            relation
                .map_or("", |(_, direction)| direction.as_str())
                .as_bytes(),
        );
        part(&entity.0);
        let hash: [u8; 32] = hasher.finalize().into();
        Self(hash[..16].try_into().expect("a digest has 32 bytes"))
    }
}
