//! The module `seed`: reads a scan's seed list and reports each seed as a finding without a parent.
//!
//! The list is evidence. It begins with 16 random bytes in hexadecimal, so that its hash tells nothing of the seeds.

use data_encoding::HEXLOWER;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::finding::Finding;
use mirage_domain::id::{Digest, FindingId, IdKey, ModuleName, ScanId};
use mirage_domain::scope::Scope;
use mirage_domain::sealed::Sealable;

use crate::probe::exchange::{Exchange, Frame};

pub const NAME: &str = "seed";
pub const VERSION: u32 = 1;

/// The evidence is no seed list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the seed list cannot be read")]
pub struct NoList;

/// The seed list as evidence.
pub fn encode(seeds: &[Entity]) -> Vec<u8> {
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).expect("the system has random numbers");
    let mut text = HEXLOWER.encode(&random);
    for seed in seeds {
        text.push('\n');
        text.push_str(&seed.to_string());
    }
    let frame = Frame::Document {
        name: "seeds".into(),
    };
    Exchange {
        frame,
        payload: text.into_bytes(),
    }
    .encode()
}

pub fn decode(bytes: &[u8]) -> Result<Vec<Entity>, NoList> {
    let exchange = Exchange::decode(bytes).map_err(|_| NoList)?;
    let text = String::from_utf8(exchange.payload).map_err(|_| NoList)?;
    let seed = |line: &str| {
        let (kind, key) = line.split_once(':')?;
        Some(Entity::recorded(kind.parse::<Kind>().ok()?, key))
    };
    text.lines()
        .skip(1)
        .map(|line| seed(line).ok_or(NoList))
        .collect()
}

/// The finding of one seed.
pub fn finding(scan: &ScanId, key: &IdKey, scope: &Scope, seed: &Entity, list: Digest) -> Finding {
    let entity = seed.id(key);
    let module = ModuleName::new(NAME).expect("a module's name");
    Finding {
        id: FindingId::derive(scan, &module, None, None, entity),
        entity,
        kind: seed.kind(),
        key: Sealable::Open(seed.key().to_owned()),
        parent: None,
        relation: None,
        direction: Default::default(),
        scope: scope.decide(None, seed),
        confidence: 100,
        attributes: Sealable::default(),
        evidence: vec![list],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_its_hash_tells_nothing() {
        let seeds = [Entity::new(Kind::Domain, "example.com").unwrap()];
        let (one, two) = (encode(&seeds), encode(&seeds));
        assert_ne!(Digest::of(&one), Digest::of(&two));
        assert_eq!(decode(&one).unwrap(), seeds);
        assert_eq!(decode(b"{}"), Err(NoList));
    }
}
