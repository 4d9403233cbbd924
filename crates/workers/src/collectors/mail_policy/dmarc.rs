//! DMARC (RFC 7489): what becomes of mail that proves to be forged, and who gets the reports.

use mirage_domain::id::Digest;

use super::CollectError;
use super::publication::{self, Texts, below, has_version, texts, value};
use super::report::{Report, Severity, shown};
use crate::probe::Probe;

const VERSION: &str = "DMARC1";

/// What a record comes to (§6.6.3).
#[derive(Debug, PartialEq)]
enum Policy {
    None,
    Quarantine,
    Reject,
    /// A record that receivers pass over.
    Invalid,
}

/// Reports the policy that holds for the domain: its own, else that of what somebody registered above it.
pub(super) async fn collect(
    probe: &dyn Probe,
    report: &mut Report<'_>,
) -> Result<(), CollectError> {
    let domain = report.domain();
    let Some(own) = ask(domain, probe).await? else {
        return Ok(());
    };
    let above = report.entity().registrable_domain();
    let above = above.filter(|above| own.texts.is_empty() && *above != domain);
    let (from, Texts { texts, evidence }) = match above {
        None => (domain, own),
        Some(above) => match ask(above, probe).await? {
            Some(answer) => (above, answer),
            None => (domain, own),
        },
    };
    match texts.as_slice() {
        [] => {
            let headline = format!("{domain} does not say what becomes of forged mail (DMARC)");
            report.exposes(
                "dmarc-missing",
                Severity::Medium,
                domain,
                headline,
                evidence,
            );
        }
        [text] => record(text, from, evidence, report),
        several => invalid(
            &format!("{from} has {} records", several.len()),
            evidence,
            report,
        ),
    }
    Ok(())
}

async fn ask(domain: &str, probe: &dyn Probe) -> Result<Option<Texts>, CollectError> {
    match below("_dmarc", domain) {
        Some(name) => texts(&name, |text| has_version(text, VERSION), probe)
            .await
            .map(Some),
        None => Ok(None),
    }
}

fn record(text: &str, from: &str, evidence: Digest, report: &mut Report<'_>) {
    let domain = report.domain();
    report.says("dmarc", shown(text), evidence);
    report.says("dmarc_from", from, evidence);
    let tags = publication::tags(text);
    if from == domain {
        for name in ["rua", "ruf"] {
            let list = value(&tags, name).unwrap_or_default();
            report.reports_to(list, name, evidence);
        }
    }
    match policy(text, from != domain) {
        Policy::None => {
            let headline =
                format!("forged mail of {domain} is delivered: its DMARC policy is none");
            report.exposes(
                "dmarc-policy-none",
                Severity::Low,
                domain,
                headline,
                evidence,
            );
        }
        Policy::Invalid => invalid("it names no policy", evidence, report),
        Policy::Quarantine | Policy::Reject => {}
    }
}

fn invalid(reason: &str, evidence: Digest, report: &Report<'_>) {
    let domain = report.domain();
    let headline = format!("the DMARC record for {domain} is void: {reason}");
    report.exposes(
        "dmarc-invalid",
        Severity::Medium,
        domain,
        headline,
        evidence,
    );
}

/// `is_above`: the record is that of the registered domain above, whose `sp` is for what stands below.
fn policy(text: &str, is_above: bool) -> Policy {
    let tags = publication::tags(text);
    let own = value(&tags, "p");
    let word = value(&tags, "sp").filter(|_| is_above).or(own);
    match word.map(str::to_ascii_lowercase).as_deref() {
        Some("none") => Policy::None,
        Some("quarantine") => Policy::Quarantine,
        Some("reject") => Policy::Reject,
        // A record that only wants reports counts as one that does no more (§6.6.3).
        _ if value(&tags, "rua").is_some_and(|list| list.contains(':')) => Policy::None,
        _ => Policy::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_the_domain_s_own_or_the_one_for_what_is_below() {
        for (text, own, below) in [
            ("v=DMARC1; p=reject", Policy::Reject, Policy::Reject),
            ("v=DMARC1; p=Reject; sp=none", Policy::Reject, Policy::None),
            (
                "v=DMARC1; p=none; sp=quarantine",
                Policy::None,
                Policy::Quarantine,
            ),
            (
                "v=DMARC1; rua=mailto:a@b.example",
                Policy::None,
                Policy::None,
            ),
            ("v=DMARC1; p=block", Policy::Invalid, Policy::Invalid),
            ("v=DMARC1", Policy::Invalid, Policy::Invalid),
        ] {
            assert_eq!(policy(text, false), own, "{text}");
            assert_eq!(policy(text, true), below, "{text}");
        }
    }
}
