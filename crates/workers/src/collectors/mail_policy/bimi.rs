//! BIMI: where the domain's logo and its certificate lie.
//!
//! draft-brand-indicators-for-message-identification.

use mirage_domain::entity::{Entity, Kind};
use mirage_domain::relation::Relation;

use super::publication::{Texts, below, has_version, tags, texts, value};
use super::report::{Report, shown};
use super::{Claim, CollectError, page};
use crate::probe::Probe;

/// Reports the record under the usual name, and the hosts in it.
pub(super) async fn collect(
    probe: &dyn Probe,
    report: &mut Report<'_>,
) -> Result<(), CollectError> {
    let Some(name) = below("default._bimi", report.domain()) else {
        return Ok(());
    };
    let Texts { texts, evidence } = texts(&name, |text| has_version(text, "BIMI1"), probe).await?;
    let [text] = texts.as_slice() else {
        return Ok(());
    };
    report.says("bimi", shown(text), evidence);
    let tags = tags(text);
    for tag in ["l", "a"] {
        let url = value(&tags, tag).and_then(|url| Entity::new(Kind::Url, url).ok());
        let host = url.as_ref().and_then(page::domain_of);
        if let Some(host) = host.filter(|host| host != report.entity()) {
            let claim = Claim::out(Relation::Mentions, host, evidence);
            report.found.add(claim.with("bimi", tag));
        }
    }
    Ok(())
}
