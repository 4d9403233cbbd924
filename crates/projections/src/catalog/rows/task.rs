//! Rows of a task's stream: its findings, its remarks, and how it went on and ended.

use mirage_domain::finding::Finding;
use mirage_domain::sealed::Sealable;
use mirage_domain::task::{Cost, Event, Failed, Finished, Remarked};

use super::At;
use crate::claims::{key, module, text, time};
use crate::{Error, Operations, Table, Value};

static FINDINGS: Table = Table {
    name: "findings",
    columns: &[
        "cursor",
        "finding",
        "workspace",
        "scan",
        "task",
        "module",
        "kind",
        "key",
        "entity",
        "parent_entity",
        "parent_finding",
        "relation",
        "direction",
        "in_scope",
        "rule",
        "confidence",
        "observed_at",
        "recorded_at",
        "attributes",
        "evidence",
    ],
};
static ENTITIES: Table = Table {
    name: "entities",
    columns: &["entity", "scan", "cursor", "kind"],
};
static CHANGES: Table = Table {
    name: "task_changes",
    columns: &[
        "task",
        "cursor",
        "scan",
        "change",
        "attempt",
        "reason",
        "settings",
        "requests",
        "bytes_received",
        "duration_ms",
        "failures",
        "changed_at",
    ],
};
pub(super) static FAILURES: Table = Table {
    name: "failures",
    columns: &[
        "cursor", "ordinal", "scan", "task", "entity", "finding", "reason", "detail",
    ],
};
static REMARKS: Table = Table {
    name: "remarks",
    columns: &[
        "cursor", "scan", "task", "code", "rule", "entity", "detail", "count",
    ],
};

pub(super) fn rows(event: &Event, at: At<'_>, operations: &mut Operations) -> Result<(), Error> {
    let change = Change::of(event.kind(), at.stream());
    let change = match event {
        Event::Found(finding) => return found(finding, at, operations),
        Event::Remarked(remarked) => return remark(remarked, at, operations),
        Event::Started(_) => Change {
            attempt: Some(1),
            ..change
        },
        Event::Restarted(restarted) => Change {
            attempt: Some(restarted.attempt),
            reason: text(&restarted.reason),
            ..change
        },
        Event::Finished(finished) => {
            failures(finished, at, operations);
            Change {
                cost: finished.cost,
                failures: finished.failures.len() as u64,
                ..change
            }
        }
        Event::Failed(failed) => {
            failure(failed, at, operations);
            Change {
                attempt: Some(failed.attempt),
                reason: text(&failed.reason),
                cost: failed.cost,
                failures: 1,
                ..change
            }
        }
        Event::Revoked(revoked) => Change {
            reason: text(&revoked.reason),
            ..change
        },
        Event::GivenUp(given_up) => Change {
            attempt: Some(given_up.attempts),
            reason: text(&given_up.reason),
            ..change
        },
    };
    change.insert(at, operations);
    Ok(())
}

/// How a task went on: one row.
pub(super) struct Change {
    task: Value,
    change: &'static str,
    attempt: Option<u32>,
    reason: Value,
    cost: Cost,
    failures: u64,
}

impl Change {
    pub(super) fn of(change: &'static str, task: Value) -> Self {
        Self {
            task,
            change,
            attempt: None,
            reason: Value::Null,
            cost: Cost::default(),
            failures: 0,
        }
    }

    pub(super) fn because(self, reason: Value) -> Self {
        Self { reason, ..self }
    }

    pub(super) fn insert(self, at: At<'_>, operations: &mut Operations) {
        let context = at.recorded.commit.context.as_ref();
        let settings = context.map(|context| context.settings.0);
        operations.insert(
            &CHANGES,
            [
                self.task,
                at.cursor(),
                at.scan(),
                self.change.into(),
                self.attempt.into(),
                self.reason,
                settings.into(),
                self.cost.requests.into(),
                self.cost.bytes_received.into(),
                self.cost.duration_ms.into(),
                self.failures.into(),
                at.time(),
            ],
        );
    }
}

fn found(finding: &Finding, at: At<'_>, operations: &mut Operations) -> Result<(), Error> {
    let commit = &at.recorded.commit;
    let key = key(finding, at.cursor)?.cloned();
    let attributes = finding.attributes.open();
    let direction = finding.relation.map(|_| finding.direction.as_str());
    let evidence = (!finding.evidence.is_empty()).then(|| {
        finding
            .evidence
            .iter()
            .flat_map(|digest| digest.0)
            .collect::<Vec<u8>>()
    });
    let kind = finding.kind.as_str();
    operations.insert_first(
        &ENTITIES,
        2,
        [finding.entity.0.into(), at.scan(), at.cursor(), kind.into()],
    );
    operations.insert(
        &FINDINGS,
        [
            at.cursor(),
            finding.id.0.into(),
            at.workspace(),
            at.scan(),
            at.stream(),
            module(commit),
            kind.into(),
            key.into(),
            finding.entity.0.into(),
            finding.parent.map(|parent| parent.entity.0).into(),
            finding.parent.map(|parent| parent.finding.0).into(),
            finding.relation.map(|relation| relation.as_str()).into(),
            direction.into(),
            finding.scope.is_in.into(),
            text(&finding.scope.rule),
            u32::from(finding.confidence).into(),
            at.time(),
            time(commit.recorded_at),
            attributes
                .map(|attributes| attributes.text().to_owned())
                .into(),
            evidence.into(),
        ],
    );
    Ok(())
}

fn failures(finished: &Finished, at: At<'_>, operations: &mut Operations) {
    for (ordinal, failure) in (0_i64..).zip(&finished.failures) {
        operations.insert(
            &FAILURES,
            [
                at.cursor(),
                ordinal.into(),
                at.scan(),
                at.stream(),
                failure.entity.0.into(),
                failure.finding.0.into(),
                text(&failure.reason),
                detail(&failure.detail),
            ],
        );
    }
}

fn failure(failed: &Failed, at: At<'_>, operations: &mut Operations) {
    operations.insert(
        &FAILURES,
        [
            at.cursor(),
            0_i64.into(),
            at.scan(),
            at.stream(),
            Value::Null,
            Value::Null,
            text(&failed.reason),
            detail(&failed.detail),
        ],
    );
}

fn remark(remarked: &Remarked, at: At<'_>, operations: &mut Operations) -> Result<(), Error> {
    operations.insert(
        &REMARKS,
        [
            at.cursor(),
            at.scan(),
            at.stream(),
            text(&remarked.code),
            text(&remarked.rule),
            remarked.input.map(|entity| entity.0).into(),
            detail(&remarked.detail),
            remarked.count.into(),
        ],
    );
    Ok(())
}

fn detail(detail: &Sealable<String>) -> Value {
    detail.open().map_or(Value::Null, |detail| text(detail))
}
