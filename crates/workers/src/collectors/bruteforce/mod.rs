//! bruteforce: guessed names: a word list below a domain, and mutations of one name beside it.
//!
//! A guess counts if the zone answers it otherwise than a name that nobody has registered.
//! **Invariant:** guesses come from the input alone, never from what else was found.

mod mutations;
mod words;

use std::collections::BTreeSet;

use async_trait::async_trait;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::module::{Manifest, Profile, Setting};
use mirage_domain::relation::Relation;

use super::dns::{addresses, aliases};
use super::wildcard::Wildcard;
use super::{Claim, CollectError, Collector, Found, Handle, Input, questions};
use crate::probe::{DnsAnswer, Probe};

pub(super) struct Bruteforce;

static MANIFEST: Manifest = Manifest {
    name: "bruteforce",
    summary: "Guessed subdomains, from a word list and by changing names that are known",
    consumes: &[Kind::Domain],
    produces: &[Kind::Domain],
    profile: Profile::Active,
    parallel: 4,
    deadline_s: 3600,
    settings: &[
        Setting {
            key: "depth",
            help: "labels below the registrable domain at which words are still guessed",
            default: "0",
            is_secret: false,
            is_operators: false,
        },
        Setting {
            key: "words",
            help: "path of a word list, one word a line, in place of the built-in one",
            default: "",
            is_secret: false,
            is_operators: false,
        },
    ],
    ..Manifest::DEFAULT
};

/// Guesses that are made before their answers are looked at.
const PACK: usize = 1024;
/// Guesses of one input that may stay without an answer; beyond it the resolvers are the cause, not single names.
const UNANSWERED_MAX: usize = 64;
/// Where the zone answers any name, an answer that differs may still be chance.
const CONFIDENCE_IF_WILD: u8 = 70;

#[async_trait]
impl Collector for Bruteforce {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let setting = input.setting("depth");
        let wrong = |_| CollectError::Refused(format!("depth `{setting}` is no number"));
        let depth: usize = setting.parse().map_err(wrong)?;
        if found.is_topmost() || depth_of(&input.entity).is_some_and(|own| own <= depth) {
            below(input, probe, found).await?;
        }
        match input.key().split_once('.') {
            Some((label, zone)) if !found.is_topmost() => beside(label, zone, probe, found).await,
            _ => Ok(()),
        }
    }
}

/// Labels of a name below what somebody registered.
fn depth_of(entity: &Entity) -> Option<usize> {
    let below = entity.key().strip_suffix(entity.registrable_domain()?)?;
    Some(below.matches('.').count())
}

/// Guesses the list's words below the input.
async fn below(input: &Input, probe: &dyn Probe, found: &Found) -> Result<(), CollectError> {
    let zone = input.key();
    let words = words::read(input.setting("words")).await?;
    if words.is_cut() {
        found.remark("cap-reached", "words", input.setting("words"));
    }
    let mut guesser = Guesser::new(zone, probe, found).await?;
    let mut words = words.iter().peekable();
    while words.peek().is_some() {
        let pack: BTreeSet<Entity> = words
            .by_ref()
            .take(PACK)
            .filter_map(|word| Entity::new(Kind::Domain, &format!("{word}.{zone}")).ok())
            .collect();
        for (entity, answer) in guesser.existing(pack).await? {
            found.add(guesser.claim(entity, &answer));
        }
    }
    guesser.conclude(found);
    Ok(())
}

/// Guesses names beside the input; none where any name is answered, for those would breed without end.
async fn beside(
    label: &str,
    zone: &str,
    probe: &dyn Probe,
    found: &Found,
) -> Result<(), CollectError> {
    let mut guesser = Guesser::new(zone, probe, found).await?;
    if guesser.wildcard.is_some() {
        return Ok(());
    }
    let pack = mutations::of(label)
        .iter()
        .filter_map(|label| Entity::new(Kind::Domain, &format!("{label}.{zone}")).ok())
        .collect();
    let mut parent: Option<Handle> = None;
    for (entity, answer) in guesser.existing(pack).await? {
        let Ok(above) = Entity::new(Kind::Domain, zone) else {
            continue;
        };
        let claim = Claim::out(Relation::SubdomainOf, above, answer.evidence);
        let parent = parent.get_or_insert_with(|| found.add(claim));
        found.add_under(parent, guesser.claim(entity, &answer));
    }
    guesser.conclude(found);
    Ok(())
}

/// Guesses in one zone.
struct Guesser<'a> {
    probe: &'a dyn Probe,
    zone: &'a str,
    wildcard: Option<Wildcard>,
    unanswered: usize,
}

impl<'a> Guesser<'a> {
    async fn new(zone: &'a str, probe: &'a dyn Probe, found: &Found) -> Result<Self, CollectError> {
        Ok(Self {
            probe,
            zone,
            wildcard: Wildcard::of(zone, probe, found).await?,
            unanswered: 0,
        })
    }

    /// Those of the names that exist, each with the answer that shows it.
    async fn existing(
        &mut self,
        names: BTreeSet<Entity>,
    ) -> Result<Vec<(Entity, DnsAnswer)>, CollectError> {
        let (mut existing, mut open) = (Vec::new(), BTreeSet::new());
        for (entity, answer) in self.ask(names, RecordType::A).await? {
            match is_empty(&answer) {
                false => existing.push((entity, answer)),
                // The name exists, with other records.
                true if answer.code == ResponseCode::NoError => {
                    open.insert(entity);
                }
                true => {}
            }
        }
        let six = self.ask(open, RecordType::AAAA).await?;
        existing.extend(six.into_iter().filter(|(_, answer)| !is_empty(answer)));
        existing.retain(|(_, answer)| self.differs(answer));
        Ok(existing)
    }

    async fn ask(
        &mut self,
        names: BTreeSet<Entity>,
        kind: RecordType,
    ) -> Result<Vec<(Entity, DnsAnswer)>, CollectError> {
        let asked: Vec<_> = names.iter().map(|e| (e.key().to_owned(), kind)).collect();
        let outcomes = questions::ask(self.probe, &asked).await;
        let mut answers = Vec::new();
        for (entity, outcome) in names.into_iter().zip(outcomes) {
            match outcome {
                Ok(answer) => answers.push((entity, answer)),
                Err(error @ CollectError::Limited(_)) => return Err(error),
                Err(error) if self.unanswered >= UNANSWERED_MAX => return Err(error),
                Err(_) => self.unanswered += 1,
            }
        }
        Ok(answers)
    }

    /// Whether an answer is another one than that of the zone's wildcard; where both lead to a name, that name counts,
    /// for its addresses may change from answer to answer.
    fn differs(&self, answer: &DnsAnswer) -> bool {
        let Some(wildcard) = &self.wildcard else {
            return true;
        };
        match aliases(answer).next() {
            Some(target) => !wildcard.covers(&target),
            None => addresses(answer).any(|address| !wildcard.covers(&address)),
        }
    }

    fn claim(&self, entity: Entity, answer: &DnsAnswer) -> Claim {
        let claim = Claim::inward(Relation::SubdomainOf, entity, answer.evidence);
        match &self.wildcard {
            Some(wildcard) => claim
                .confidence(CONFIDENCE_IF_WILD)
                .and_evidence(wildcard.evidence()),
            None => claim,
        }
    }

    /// A guess without an answer is no failure of the input, but must not pass for a name that does not exist.
    fn conclude(self, found: &Found) {
        if self.unanswered > 0 {
            let detail = format!("{}: {} guesses", self.zone, self.unanswered);
            found.remark("unanswered", "guesses", detail);
        }
    }
}

fn is_empty(answer: &DnsAnswer) -> bool {
    addresses(answer).chain(aliases(answer)).next().is_none()
}

#[cfg(test)]
mod tests;
