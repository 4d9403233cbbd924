//! mail-policy: who may send mail for a domain, and what becomes of forgeries.
//!
//! SPF, DMARC, DKIM, MTA-STS, TLS-RPT and BIMI, a file each.
//! Asked of what somebody registered and of every name with an MX: by the input's own answers alone.
//! One finding about the domain says what it publishes; each thing that is wrong is an exposure.
//! **Never:** an exposure from silence: what is missing was denied by an answer.

mod bimi;
mod dkim;
mod dmarc;
mod mta_sts;
mod publication;
mod report;
mod spf;
mod spf_record;
mod spf_walk;
mod tls_rpt;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use mirage_domain::entity::Kind;
use mirage_domain::module::{Manifest, Profile, Setting};

use self::report::Report;
use super::{Claim, CollectError, Collector, Found, Input, page, presentation, text_records};
use crate::probe::Probe;

pub(super) struct MailPolicy;

static MANIFEST: Manifest = Manifest {
    name: "mail-policy",
    summary: "Who may send mail for a domain, how it is protected, and what is wrong with that",
    consumes: &[Kind::Domain],
    produces: &[
        Kind::Domain,
        Kind::Ip,
        Kind::Netblock,
        Kind::Email,
        Kind::Exposure,
    ],
    settings: &[
        Setting {
            key: "selectors",
            help: "names of DKIM keys that are asked for, separated by commas",
            default: dkim::SELECTORS,
            is_secret: false,
            is_operators: false,
        },
        Setting {
            key: "tls-port",
            help: "port of the web server that has the MTA-STS policy",
            default: "443",
            is_secret: false,
            is_operators: false,
        },
    ],
    ..Manifest::DEFAULT
};

#[async_trait]
impl Collector for MailPolicy {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let mx = text_records::ask(input.key(), RecordType::MX, probe).await?;
        let has_mail = mx
            .answers
            .iter()
            .any(|r| matches!(r.data, RData::MX(_)) && presentation::is_of(r, input.key()));
        let is_registrable = input.entity.registrable_domain() == Some(input.key());
        if mx.code == ResponseCode::NXDomain || !has_mail && !is_registrable {
            return Ok(());
        }
        let mut report = Report::new(input, mx.evidence, found);
        // One policy that cannot be asked for does not hide the others; the first failure is the outcome.
        let mut outcome = spf::collect(probe, &mut report).await;
        outcome = outcome.and(dmarc::collect(probe, &mut report).await);
        outcome = outcome.and(dkim::collect(input.setting("selectors"), probe, &mut report).await);
        let port = (found.profile() >= Profile::Standard).then(|| input.setting("tls-port"));
        outcome = outcome.and(mta_sts::collect(port, probe, &mut report).await);
        outcome = outcome.and(tls_rpt::collect(probe, &mut report).await);
        outcome = outcome.and(bimi::collect(probe, &mut report).await);
        report.conclude();
        outcome
    }
}

#[cfg(test)]
mod tests;
