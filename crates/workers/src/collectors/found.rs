//! What a collector reports: claims under its input or under one another.
//!
//! The frame adds scan, task, module, ids and the scope's decision; equal claims of a task are merged.
//! **Invariant:** a claim is born with its evidence; an illegal triple or an undeclared kind is rejected and remarked.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::finding::{Attributes, FINDING_BYTES_MAX, Finding, Parent};
use mirage_domain::id::{Digest, EntityId, FindingId, IdKey, ModuleName, ScanId};
use mirage_domain::module::{Manifest, Profile};
use mirage_domain::plan;
use mirage_domain::relation::{Direction, Relation};
use mirage_domain::scope::{Decision, Link, Scope};
use mirage_domain::sealed::Sealable;

use super::CollectError;
use crate::probe::exchange::{self, Exchange};

/// One claim before the frame has completed it.
#[derive(Debug, Clone)]
pub struct Claim {
    relation: Relation,
    direction: Direction,
    entity: Entity,
    confidence: u8,
    attributes: Attributes,
    evidence: Vec<Digest>,
}

impl Claim {
    /// The parent is the relation's subject, `entity` its object.
    pub fn out(relation: Relation, entity: Entity, evidence: Digest) -> Self {
        Self::new(relation, Direction::Out, entity, evidence)
    }

    /// `entity` is the relation's subject, the parent its object.
    pub fn inward(relation: Relation, entity: Entity, evidence: Digest) -> Self {
        Self::new(relation, Direction::In, entity, evidence)
    }

    fn new(relation: Relation, direction: Direction, entity: Entity, evidence: Digest) -> Self {
        let attributes = Attributes::new();
        Self {
            relation,
            direction,
            entity,
            confidence: 100,
            attributes,
            evidence: vec![evidence],
        }
    }

    /// As the direction says.
    pub(crate) fn toward(
        (relation, direction): (Relation, Direction),
        entity: Entity,
        evidence: Digest,
    ) -> Self {
        Self::new(relation, direction, entity, evidence)
    }

    /// Further evidence.
    pub fn and_evidence(mut self, evidence: Digest) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// An attribute of the entity, as this claim sees it.
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// In percent; 100 unless said.
    pub fn confidence(mut self, percent: u8) -> Self {
        self.confidence = percent.min(100);
        self
    }
}

/// A reported claim, to hang further claims under.
#[derive(Debug, Clone)]
pub struct Handle {
    entity: Entity,
    parent: Parent,
    is_in_scope: bool,
}

impl Handle {
    pub fn entity(&self) -> &Entity {
        &self.entity
    }
}

/// What leaves a collector.
#[derive(Debug, Clone, PartialEq)]
pub enum Reported {
    Finding(Box<Finding>),
    /// Something a reader must know that is no finding.
    Remark(Remark),
}

/// Code and rule by name, the input it is about, and what a person wants to know besides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    pub code: &'static str,
    pub rule: String,
    pub input: EntityId,
    pub detail: String,
}

/// Who takes reports; called from several inputs of a task at once.
pub(crate) type Sink = Arc<dyn Fn(Reported) + Send + Sync>;
/// Who stores evidence; it is durable before the finding that cites it.
pub(crate) type Keep =
    Arc<dyn Fn(Vec<u8>) -> BoxFuture<'static, Result<Digest, CollectError>> + Send + Sync>;

/// What the frame knows of a task, for completing claims.
pub struct Frame {
    pub scan: ScanId,
    pub module: ModuleName,
    pub manifest: &'static Manifest,
    /// How far the scan goes.
    pub profile: Profile,
    pub key: IdKey,
    pub scope: Arc<Scope>,
    pub sink: Sink,
    pub keep: Keep,
}

/// Where reports wait for their commit: a module that reports without end waits for room.
#[async_trait]
pub(crate) trait Room: Send + Sync {
    /// Returns once less waits than one commit takes.
    async fn wait(&self);
}

/// Takes the claims about one input.
pub struct Found {
    frame: Arc<Frame>,
    input: Handle,
    room: Option<Arc<dyn Room>>,
}

impl Found {
    /// `finding` introduced the input to the task.
    pub fn new(frame: Arc<Frame>, entity: Entity, finding: FindingId, is_in_scope: bool) -> Self {
        let parent = Parent {
            entity: entity.id(&frame.key),
            finding,
        };
        Self {
            frame,
            input: Handle {
                entity,
                parent,
                is_in_scope,
            },
            room: None,
        }
    }

    /// The same, with a place where reports wait.
    pub(crate) fn within(self, room: Arc<dyn Room>) -> Self {
        Self {
            room: Some(room),
            ..self
        }
    }

    /// Waits while more is reported than a commit takes; for modules that report without end.
    pub(crate) async fn room(&self) {
        if let Some(room) = &self.room {
            room.wait().await;
        }
    }

    /// For an input of a task; `None` if its key was erased.
    pub(crate) fn of(frame: &Arc<Frame>, input: &plan::Input) -> Option<Self> {
        Some(Self::new(
            frame.clone(),
            input.entity()?,
            input.finding,
            input.in_scope,
        ))
    }

    /// The input itself, as a parent.
    pub fn input(&self) -> &Handle {
        &self.input
    }

    /// The scan's profile, for a module that asks further in a higher one than its own.
    pub fn profile(&self) -> Profile {
        self.frame.profile
    }

    /// Stores what was looked up in a file of the user's as evidence: no exchange shows it.
    pub async fn document(&self, name: &str, text: String) -> Result<Digest, CollectError> {
        let exchange = Exchange {
            frame: exchange::Frame::Document { name: name.into() },
            payload: text.into_bytes(),
        };
        (self.frame.keep)(exchange.encode()).await
    }

    /// Whether the input is a domain that somebody registered, or the topmost of its branch that the scope names:
    /// where questions belong that cover all names below. It hangs on the input and the scan's scope alone.
    pub fn is_topmost(&self) -> bool {
        let entity = &self.input.entity;
        let Some(name) = entity.as_domain() else {
            return false;
        };
        let above = name
            .split_once('.')
            .and_then(|(_, above)| Entity::new(Kind::Domain, above).ok());
        entity.registrable_domain() == Some(name)
            || above.is_none_or(|above| !self.frame.scope.decide(None, &above).is_in)
    }

    /// A keyed hash of a text, 32 digits, under the workspace's key: for keys of what must not be told from its hash.
    pub fn keyed(&self, text: &str) -> String {
        self.frame.key.mac(text.as_bytes()).to_string()[..32].to_owned()
    }

    /// The same in 64 digits, as a function that outlives this.
    pub(crate) fn keyed_in_full(&self) -> impl Fn(&str) -> String + Send + 'static {
        let key = self.frame.key.clone();
        move |text| key.mac(text.as_bytes()).to_string()
    }

    /// Reports a claim under the input.
    pub fn add(&self, claim: Claim) -> Handle {
        self.add_under(&self.input, claim)
    }

    /// Reports a claim under another one of this task.
    pub fn add_under(&self, parent: &Handle, claim: Claim) -> Handle {
        let frame = &self.frame;
        let Claim {
            relation,
            direction,
            entity,
            confidence,
            attributes,
            evidence,
        } = claim;
        let (handle, scope) = self.decide(parent, relation, direction, &entity);
        if let Some(fault) = self.fault(parent.entity.kind(), relation, direction, entity.kind()) {
            self.remark("finding-rejected", fault, entity.to_string());
            return handle;
        }
        let finding = Finding {
            id: handle.parent.finding,
            entity: handle.parent.entity,
            kind: entity.kind(),
            key: Sealable::Open(entity.key().to_owned()),
            parent: Some(parent.parent),
            relation: Some(relation),
            direction,
            scope,
            confidence,
            attributes: self.within_bounds(attributes, handle.parent.entity).into(),
            evidence,
        };
        (frame.sink)(Reported::Finding(Box::new(finding)));
        handle
    }

    /// The handle that a claim under `parent` has, without reporting it: for a chain whose links are reported elsewhere.
    pub(crate) fn place(
        &self,
        parent: &Handle,
        relation: Relation,
        direction: Direction,
        entity: &Entity,
    ) -> Handle {
        self.decide(parent, relation, direction, entity).0
    }

    fn decide(
        &self,
        parent: &Handle,
        relation: Relation,
        direction: Direction,
        entity: &Entity,
    ) -> (Handle, Decision) {
        let frame = &self.frame;
        let link = Link {
            parent: &parent.entity,
            parent_is_in: parent.is_in_scope,
            relation,
        };
        let scope = frame.scope.decide(Some(link), entity);
        let id = entity.id(&frame.key);
        let above = Some(parent.parent.entity);
        let edge = Some((relation, direction));
        let handle = Handle {
            entity: entity.clone(),
            parent: Parent {
                entity: id,
                finding: FindingId::derive(&frame.scan, &frame.module, above, edge, id),
            },
            is_in_scope: scope.is_in,
        };
        (handle, scope)
    }

    /// Tells the reader of the log something that is no finding; equal remarks of a task are counted.
    pub fn remark(&self, code: &'static str, rule: impl Into<String>, detail: impl Into<String>) {
        let (rule, detail) = (rule.into(), detail.into());
        let remark = Remark {
            code,
            rule,
            input: self.input.parent.entity,
            detail,
        };
        (self.frame.sink)(Reported::Remark(remark));
    }

    fn fault(
        &self,
        parent: Kind,
        relation: Relation,
        direction: Direction,
        kind: Kind,
    ) -> Option<&'static str> {
        let (subject, object) = match direction {
            Direction::Out => (parent, kind),
            Direction::In => (kind, parent),
        };
        match () {
            () if !relation.is_legal(subject, object) => Some("illegal-triple"),
            () if relation != Relation::About && !self.frame.manifest.produces.contains(&kind) => {
                Some("undeclared-kind")
            }
            () => None,
        }
    }

    /// Drops attributes, largest first, until the finding fits; what is dropped stands in the evidence.
    fn within_bounds(&self, mut attributes: Attributes, entity: EntityId) -> Attributes {
        let size = |value: &serde_json::Value| value.to_string().len();
        // Half of the bound leaves room for a key of the longest kind and everything else.
        while attributes
            .iter()
            .map(|(name, value)| name.len() + size(value) + 6)
            .sum::<usize>()
            > FINDING_BYTES_MAX / 2
        {
            let largest = attributes.iter().max_by_key(|(_, value)| size(value));
            let Some(name) = largest.map(|(name, _)| name.clone()) else {
                break;
            };
            attributes.remove(&name);
            self.remark("attribute-too-large", name, entity.to_string());
        }
        attributes
    }
}
