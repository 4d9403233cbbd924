//! SPF (RFC 7208): who may send mail for a domain, and what is wrong with its record.

use mirage_domain::id::Digest;

use super::CollectError;
use super::publication::{Texts, texts};
use super::report::{Report, Severity, shown};
use super::spf_walk::{LOOKUPS_MAX, Publisher, VOIDS_MAX, Walk, is_record};
use crate::probe::Probe;

/// Reports every sender that the record leads to, and its faults.
pub(super) async fn collect(
    probe: &dyn Probe,
    report: &mut Report<'_>,
) -> Result<(), CollectError> {
    let domain = report.domain();
    let Texts { texts, evidence } = texts(domain, is_record, probe).await?;
    match texts.as_slice() {
        [] => {
            let headline = format!("{domain} does not say who may send its mail (SPF)");
            report.exposes("spf-missing", Severity::Medium, domain, headline, evidence);
            Ok(())
        }
        [text] => follow(text, evidence, probe, report).await,
        several => {
            invalid(
                &format!("it has {} records", several.len()),
                evidence,
                report,
            );
            Ok(())
        }
    }
}

async fn follow(
    text: &str,
    evidence: Digest,
    probe: &dyn Probe,
    report: &mut Report<'_>,
) -> Result<(), CollectError> {
    let domain = report.domain();
    report.says("spf", shown(text), evidence);
    let mut walk = Walk::new(probe, report.found);
    let own = Publisher { domain, evidence };
    walk.record(text, own, report.handle(), true).await;
    report.says("spf_lookups", walk.lookups, evidence);
    conclude(walk.lookups, walk.voids, evidence, report);
    if let Some(fault) = &walk.fault {
        invalid(fault, evidence, report);
    }
    if let Some((term, seen)) = &walk.passing {
        let headline = format!("anyone may send mail for {domain}: its SPF record ends in {term}");
        report.exposes("spf-pass-all", Severity::High, domain, headline, *seen);
    }
    walk.outcome
}

fn conclude(lookups: u32, voids: u32, evidence: Digest, report: &Report<'_>) {
    let domain = report.domain();
    if lookups > LOOKUPS_MAX {
        let headline = format!(
            "the SPF record of {domain} needs more than {LOOKUPS_MAX} DNS look-ups and is void"
        );
        let rule = "spf-too-many-lookups";
        report.exposes(rule, Severity::Medium, domain, headline, evidence);
    }
    if voids > VOIDS_MAX {
        let headline = format!(
            "{voids} names in the SPF record of {domain} have no records; {VOIDS_MAX} make it void"
        );
        let rule = "spf-too-many-void-lookups";
        report.exposes(rule, Severity::Low, domain, headline, evidence);
    }
}

fn invalid(reason: &str, evidence: Digest, report: &Report<'_>) {
    let domain = report.domain();
    let headline = format!("the SPF record of {domain} is void: {reason}");
    report.exposes("spf-invalid", Severity::Medium, domain, headline, evidence);
}
