//! What a commit becomes: a claim per finding, and a node where a scan meets an entity first.

use mirage_domain::finding::Finding;
use mirage_domain::id::EntityId;
use mirage_domain::relation::Direction;
use mirage_log::Recorded;

use crate::claims::{self, Claim};
use crate::{Error, Operations, Table};

static CLAIMS: Table = Table {
    name: "claims",
    columns: &[
        "cursor",
        "finding",
        "workspace",
        "scan",
        "module",
        "subject",
        "relation",
        "object",
        "direction",
        "in_scope",
        "confidence",
        "observed_at",
    ],
};
static NODES: Table = Table {
    name: "nodes",
    columns: &["entity", "scan", "workspace", "cursor", "kind", "key"],
};

pub(super) fn of_commit(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error> {
    for claim in claims::of_commit(recorded) {
        found(claim?, operations)?;
    }
    Ok(())
}

fn found(claim: Claim<'_>, operations: &mut Operations) -> Result<(), Error> {
    let finding = claim.finding;
    operations.insert_first(
        &NODES,
        2,
        [
            finding.entity.into(),
            claim.scan(),
            claim.workspace(),
            claim.cursor(),
            finding.kind.as_str().into(),
            claim.key()?,
        ],
    );
    let (subject, object) = ends(finding);
    let relation = finding.relation.map(|relation| relation.as_str());
    operations.insert(
        &CLAIMS,
        [
            claim.cursor(),
            finding.id.into(),
            claim.workspace(),
            claim.scan(),
            claims::module(claim.commit),
            subject.into(),
            relation.into(),
            object.into(),
            relation.map(|_| finding.direction.as_str()).into(),
            finding.scope.is_in.into(),
            u32::from(finding.confidence).into(),
            claim.observed_at(),
        ],
    );
    Ok(())
}

/// Subject and object; a seed's claim has no subject.
fn ends(finding: &Finding) -> (Option<EntityId>, EntityId) {
    let parent = finding.relation.and(finding.parent);
    match (parent, finding.direction) {
        (None, _) => (None, finding.entity),
        (Some(parent), Direction::Out) => (Some(parent.entity), finding.entity),
        (Some(parent), Direction::In) => (Some(finding.entity), parent.entity),
    }
}
