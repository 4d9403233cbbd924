//! reverse-dns: the names that an address has in the reverse tree.

use std::net::IpAddr;

use async_trait::async_trait;
use hickory_proto::rr::{Name, RData, RecordType};
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::module::Manifest;
use mirage_domain::relation::Relation;

use super::{Claim, CollectError, Collector, Found, Input, presentation};
use crate::probe::{DnsAnswer, Probe};

pub(super) struct ReverseDns;

static MANIFEST: Manifest = Manifest {
    name: "reverse-dns",
    summary: "Names of an address",
    consumes: &[Kind::Ip],
    produces: &[Kind::Domain],
    parallel: 64,
    ..Manifest::DEFAULT
};

/// Names of one address; hosting firms list every customer of a shared one.
const NAMES_MAX: usize = 32;

#[async_trait]
impl Collector for ReverseDns {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let Some(address) = input.entity.as_ip() else {
            return Ok(());
        };
        let answer = probe.dns(&pointer(address), RecordType::PTR).await?;
        for entity in names(&answer, address, found) {
            found.add(Claim::out(Relation::NamedBy, entity, answer.evidence));
        }
        Ok(())
    }
}

/// Where the reverse tree has the address: `1.2.0.192.in-addr.arpa`.
pub(super) fn pointer(address: IpAddr) -> String {
    let name = presentation::name(&Name::from(address));
    name.strip_suffix('.').unwrap_or(&name).to_owned()
}

/// The hosts that an answer names, those behind an alias too (RFC 2317); a cap is remarked.
pub(super) fn names(answer: &DnsAnswer, address: IpAddr, found: &Found) -> Vec<Entity> {
    let targets = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::PTR(target) => presentation::domain(target),
            _ => None,
        });
    let mut names: Vec<Entity> = targets.collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > NAMES_MAX {
        found.remark("cap-reached", "names-of-address", address.to_string());
        names.truncate(NAMES_MAX);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Tape, replay};

    #[tokio::test]
    async fn an_address_has_all_its_names() {
        let four = [
            "CNAME 1.0-25.2.0.192.in-addr.arpa.",
            "A.example.com.",
            "b.example.com.",
        ];
        let tape = Tape::new()
            .dns("1.2.0.192.in-addr.arpa", "PTR", &four)
            .dns(
                "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
                "PTR",
                &["six.example.com."],
            )
            .nxdomain("9.2.0.192.in-addr.arpa", "PTR");
        replay(
            &ReverseDns,
            &["192.0.2.1", "2001:db8::1", "192.0.2.9"],
            tape,
        )
        .await
        .claims(&[
            "ip:192.0.2.1 named-by domain:a.example.com",
            "ip:192.0.2.1 named-by domain:b.example.com",
            "ip:2001:db8::1 named-by domain:six.example.com",
        ]);
    }

    #[tokio::test]
    async fn silence_is_a_failure() {
        let outcome = replay(&ReverseDns, &["192.0.2.1"], Tape::new()).await;
        outcome.fails("unavailable").finds(&[]);
    }

    #[tokio::test]
    async fn what_names_no_host_is_passed_over_and_a_crowd_is_cut() {
        let crowd: Vec<String> = (0..40).map(|n| format!("h{n:02}.example.com.")).collect();
        let mut records: Vec<&str> = crowd.iter().map(String::as_str).collect();
        records.extend([".", "127.0.0.1.", "\\# 6 041B5B324A00"]);
        let tape = Tape::new().dns("1.2.0.192.in-addr.arpa", "PTR", &records);
        let outcome = replay(&ReverseDns, &["192.0.2.1"], tape).await;
        let outcome = outcome.remarks("cap-reached");
        assert_eq!(outcome.findings().len(), NAMES_MAX);
    }
}
