//! Rows of a scan's plan: tasks that were scheduled, and what the plan did to them.

use mirage_domain::plan::{Event, Limit, Limited, Scheduled};

use super::task::{Change, FAILURES};
use super::{At, text};
use crate::{Operations, Table, Value};

static TASKS: Table = Table {
    name: "tasks",
    columns: &[
        "task",
        "workspace",
        "scan",
        "cursor",
        "module",
        "module_version",
        "inputs",
        "instead_of",
        "scheduled_at",
    ],
};
static LIMITS: Table = Table {
    name: "limits",
    columns: &["cursor", "scan", "kind", "value"],
};

pub(super) fn rows(event: &Event, at: At<'_>, operations: &mut Operations) {
    match event {
        Event::Claimed(_) | Event::Finished(_) => {}
        Event::Scheduled(scheduled) => self::scheduled(scheduled, at, operations),
        Event::Revoked(revoked) => {
            for task in &revoked.tasks {
                let reason = text(&revoked.reason);
                let change = Change::of("plan.revoked", task.to_string().into());
                change.because(reason).insert(at, operations);
            }
        }
        Event::Split(split) => {
            let task = split.task.to_string().into();
            Change::of("plan.split", task).insert(at, operations);
        }
        Event::GaveUp(gave_up) => {
            let task = gave_up.task.to_string();
            Change::of("plan.gave_up", task.clone().into()).insert(at, operations);
            failed(task.into(), at, operations);
        }
        Event::Limited(limited) => self::limited(limited, at, operations),
    }
}

/// A task that was given up is a failure, of no input in particular.
fn failed(task: Value, at: At<'_>, operations: &mut Operations) {
    let (first, reason) = (0_i64.into(), "gave-up".into());
    let [entity, finding, detail] = [Value::Null, Value::Null, Value::Null];
    let row = [
        at.cursor(),
        first,
        at.scan(),
        task,
        entity,
        finding,
        reason,
        detail,
    ];
    operations.insert(&FAILURES, row);
}

fn limited(limited: &Limited, at: At<'_>, operations: &mut Operations) {
    let kind = match limited.limit {
        Limit::Depth => "depth",
        Limit::Requests => "requests",
        Limit::Time => "time",
    };
    let row = [at.cursor(), at.scan(), kind.into(), limited.value.into()];
    operations.insert(&LIMITS, row);
}

fn scheduled(scheduled: &Scheduled, at: At<'_>, operations: &mut Operations) {
    let instead_of = scheduled.instead_of.as_ref().map(ToString::to_string);
    operations.insert(
        &TASKS,
        [
            scheduled.task.to_string().into(),
            at.workspace(),
            at.scan(),
            at.cursor(),
            scheduled.module.to_string().into(),
            scheduled.module_version.into(),
            (scheduled.inputs.len() as u64).into(),
            instead_of.into(),
            at.time(),
        ],
    );
}
