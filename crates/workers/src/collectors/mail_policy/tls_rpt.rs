//! TLS-RPT (RFC 8460): who gets the reports about encryption that failed.

use super::CollectError;
use super::publication::{Texts, below, has_version, tags, texts, value};
use super::report::{Report, shown};
use crate::probe::Probe;

/// Reports the record, and the mail boxes in it.
pub(super) async fn collect(
    probe: &dyn Probe,
    report: &mut Report<'_>,
) -> Result<(), CollectError> {
    let Some(name) = below("_smtp._tls", report.domain()) else {
        return Ok(());
    };
    let Texts { texts, evidence } =
        texts(&name, |text| has_version(text, "TLSRPTv1"), probe).await?;
    if let [text] = texts.as_slice() {
        report.says("tls_rpt", shown(text), evidence);
        let tags = tags(text);
        report.reports_to(value(&tags, "rua").unwrap_or_default(), "tls-rpt", evidence);
    }
    Ok(())
}
