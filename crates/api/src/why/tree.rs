//! Why as text: the chain that happened in full, the other ways a line each.

use std::fmt::Write as _;

use mirage_projections::catalog::Step;

use super::{Item, Proven, StepProof, Verdict};

/// Items of evidence that a step shows one by one, of those that are verified.
const EVIDENCE_SHOWN: usize = 4;
/// Other ways that are shown; the JSON has all that were looked for.
const WAYS_SHOWN: usize = 8;

/// From the seed down to what was asked about. `safe` makes text from outside fit to be shown.
pub fn tree(proven: &Proven, safe: impl Fn(&str) -> String) -> String {
    let mut text = String::new();
    let first = proven.why.first().len();
    let chain = proven.why.first().iter().zip(&proven.proofs[..first]);
    for (depth, (step, proof)) in chain.rev().enumerate() {
        let indent = "   ".repeat(depth.saturating_sub(1));
        let branch = if depth == 0 { "" } else { "└─ " };
        let below = "   ".repeat(depth);
        let name = safe(&name(step));
        let _ = writeln!(text, "{indent}{branch}{}{name}", relation(step));
        for line in facts(step, proof) {
            let _ = writeln!(text, "{below}  {}", safe(&line));
        }
    }
    others(proven, &mut text, safe);
    text
}

fn others(proven: &Proven, text: &mut String, safe: impl Fn(&str) -> String) {
    let others = &proven.why.chains[1..];
    let more = if proven.why.is_cut { " or more" } else { "" };
    match others.len() {
        0 => return,
        count if count <= WAYS_SHOWN => {
            let _ = writeln!(text, "\nalso known in {count}{more} other ways:");
        }
        count => {
            let _ = writeln!(
                text,
                "\nalso known in {count}{more} other ways, the first {WAYS_SHOWN} (--json tells all):"
            );
        }
    }
    for chain in others.iter().take(WAYS_SHOWN) {
        let steps = chain.iter().rev().filter_map(|id| proven.why.step(*id));
        let names: Vec<String> = steps
            .map(|step| {
                let fallen = if step.stands { "" } else { " (does not stand)" };
                format!("{} by {}{fallen}", name(step), step.finding.module)
            })
            .collect();
        let _ = writeln!(text, "  {}", safe(&names.join(" → ")));
    }
}

pub(super) fn name(step: &Step) -> String {
    let key = step.finding.key.as_deref().unwrap_or("(erased)");
    format!("{} {key}", step.finding.kind)
}

/// How the step hangs on the one before.
fn relation(step: &Step) -> String {
    match (step.finding.relation, step.finding.direction) {
        (Some(relation), Some(direction)) => {
            format!("{} ({}) ", relation.as_str(), direction.as_str())
        }
        _ => String::new(),
    }
}

/// What stands behind a step, a line each.
fn facts(step: &Step, proof: &StepProof) -> Vec<String> {
    let finding = &step.finding;
    let scope = match finding.in_scope {
        true => "in scope",
        false => "out of scope",
    };
    let task = step.task.as_ref();
    let version = task.map(|task| format!(" v{}", task.module_version));
    let attempt = proof.attempt.map(|attempt| format!(", attempt {attempt},"));
    let mut lines = vec![
        format!(
            "finding {}, confidence {} %, {scope} by {}",
            finding.finding_id, finding.confidence, step.rule
        ),
        format!(
            "by {}{} in task {}{} at {}",
            finding.module,
            version.unwrap_or_default(),
            finding.task_id,
            attempt.unwrap_or_default(),
            finding.observed_at,
        ),
        format!(
            "position {} of the log: {}; ids: {}",
            finding.position,
            shown(&proof.recorded),
            shown(&proof.ids)
        ),
    ];
    lines.extend(proof.settings.as_ref().map(|item| line("settings", item)));
    evidence(&proof.evidence, &mut lines);
    for mark in &step.marks {
        let verdict = mark.verdict.as_deref().unwrap_or("unmarked");
        let reason = mark.reason.as_deref().unwrap_or("(erased)");
        lines.push(format!(
            "{verdict} by {} at {}, position {}: {reason}",
            mark.actor, mark.marked_at, mark.position
        ));
    }
    if !step.stands {
        lines.push("does not stand: it is marked, or hangs on what is".to_owned());
    }
    lines
}

/// The first items, and each that is not verified.
fn evidence(items: &[Item], lines: &mut Vec<String>) {
    let is_shown = |at: usize, item: &Item| at < EVIDENCE_SHOWN || item.verdict != Verdict::Held;
    let shown = items
        .iter()
        .enumerate()
        .filter(|(at, item)| is_shown(*at, item));
    let before = lines.len();
    lines.extend(shown.map(|(_, item)| line("evidence", item)));
    match items.len() - (lines.len() - before) {
        0 => {}
        more => lines.push(format!("evidence: {more} further items, all verified")),
    }
}

fn line(what: &str, item: &Item) -> String {
    let bytes = item.bytes.map(|bytes| format!(", {bytes} bytes"));
    let verdict = shown(&item.verdict);
    format!(
        "{what} {}{}: {verdict}",
        item.sha256,
        bytes.unwrap_or_default()
    )
}

pub(super) fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Held => "verified".to_owned(),
        Verdict::Failed(reason) => format!("FAILED, {reason}"),
        Verdict::Unknown(reason) => format!("not verified, {reason}"),
    }
}
