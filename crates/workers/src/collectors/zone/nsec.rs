//! The walk along a signed zone's NSEC records: each tells the next name that exists (RFC 4034 §4).
//!
//! **Invariant:** every step goes on in the zone's order, so a walk ends whatever is answered.

use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::relation::Relation;

use crate::collectors::{Claim, CollectError, Found, presentation};
use crate::probe::{DnsAnswer, Probe};

/// Steps of one walk; each is a question that waits for the one before.
const STEPS_MAX: usize = 5_000;
/// Type numbers (RFC 1035 §3.2.2).
const SOA: u8 = 6;

/// What the record of one name says.
struct Link {
    next: Name,
    /// The name is the apex of its zone.
    is_apex: bool,
}

/// Where a walk stands after a step.
enum Step {
    Onward(Name),
    /// Around the whole zone.
    Round,
    /// At a rule that forbids going on.
    Ended(&'static str),
}

/// Reports the names of a zone as far as its NSEC records tell them, and how the zone denies a name.
pub(super) async fn walk(zone: &str, probe: &dyn Probe, found: &Found) -> Result<(), CollectError> {
    let Ok(apex) = Name::from_ascii(format!("{zone}.")) else {
        return Ok(());
    };
    let mut at = apex.clone();
    for _ in 0..STEPS_MAX {
        let full = presentation::name(&at);
        let name = full.strip_suffix('.').unwrap_or(&full);
        let answer = probe.dns(name, RecordType::NSEC).await?;
        let link = link(&answer, name);
        if at == apex && !note(zone, link.is_some(), &answer, found) {
            return note_hashed(zone, probe, found).await;
        }
        match step(&apex, &at, link) {
            Step::Onward(next) => at = next,
            Step::Round => return Ok(()),
            Step::Ended(rule) => {
                found.remark("walk-ended", rule, name);
                return Ok(());
            }
        }
        if let Some(entity) = presentation::domain(&at) {
            found.add(Claim::inward(
                Relation::SubdomainOf,
                entity,
                answer.evidence,
            ));
        }
        // Such a name cannot be asked for; servers that make up a record per question answer so (RFC 9824).
        if presentation::name(&at).contains('\\') {
            found.remark("walk-ended", "made-up", name);
            return Ok(());
        }
    }
    found.remark("cap-reached", "walk", zone);
    Ok(())
}

fn step(apex: &Name, at: &Name, link: Option<Link>) -> Step {
    match link {
        None => Step::Ended("no-record"),
        // A delegation: its own server has answered, about the names of another zone.
        Some(link) if link.is_apex && at != apex => Step::Ended("delegation"),
        Some(link) if link.next == *apex => Step::Round,
        Some(link) if !apex.zone_of(&link.next) || link.next <= *at => Step::Ended("not-in-order"),
        Some(link) => Step::Onward(link.next),
    }
}

fn link(answer: &DnsAnswer, name: &str) -> Option<Link> {
    let mut own = answer.answers.iter();
    own.find_map(|record| match &record.data {
        RData::Unknown {
            code: RecordType::NSEC,
            rdata,
        } if presentation::is_of(record, name) => parse(&rdata.anything),
        _ => None,
    })
}

/// The next name, uncompressed, then windows of the bitmap: number, length, bits; ours are all in window 0.
fn parse(rdata: &[u8]) -> Option<Link> {
    let mut decoder = BinDecoder::new(rdata);
    let next = Name::read(&mut decoder).ok()?.to_lowercase();
    let is_apex = match rdata.get(decoder.index()..)? {
        [0, length, bits @ ..] => {
            let bits = bits.get(..usize::from(*length))?;
            let byte = bits.get(usize::from(SOA / 8)).copied().unwrap_or(0);
            byte & (0x80 >> (SOA % 8)) != 0
        }
        _ => false,
    };
    Some(Link { next, is_apex })
}

fn note(zone: &str, is_signed: bool, answer: &DnsAnswer, found: &Found) -> bool {
    if is_signed && let Ok(entity) = Entity::new(Kind::Domain, zone) {
        let claim = Claim::out(Relation::About, entity, answer.evidence);
        found.add(claim.with("denial", "nsec"));
    }
    is_signed
}

/// A zone with NSEC3 (RFC 5155) hashes the names in its records: noted, not walked.
async fn note_hashed(zone: &str, probe: &dyn Probe, found: &Found) -> Result<(), CollectError> {
    let answer = probe.dns(zone, RecordType::NSEC3PARAM).await?;
    let own = answer.answers.iter().find_map(|record| match &record.data {
        RData::Unknown {
            code: RecordType::NSEC3PARAM,
            rdata,
        } if presentation::is_of(record, zone) => rdata.anything.get(2..4),
        _ => None,
    });
    if let (Some([high, low]), Ok(entity)) = (own, Entity::new(Kind::Domain, zone)) {
        let iterations = u16::from_be_bytes([*high, *low]);
        let claim = Claim::out(Relation::About, entity, answer.evidence);
        found.add(
            claim
                .with("denial", "nsec3")
                .with("nsec3-iterations", iterations),
        );
    }
    Ok(())
}
