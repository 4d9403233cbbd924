//! extract: what a stored text speaks of, from mail boxes and accounts to trackers and names.
//!
//! Reads evidence only. One family of patterns a file; each pattern is linear in time, and its finds must pass the
//! checksum or form of their kind. To add a pattern: in its family's file, with an example that it takes and two near it
//! that it leaves.
//! **Never:** a secret or a card's number in a finding: a hash under the workspace's key stands for it.

mod contacts;
mod keys;
mod money;
mod names;
mod trackers;

use std::collections::HashSet;

use async_trait::async_trait;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::module::{Manifest, Reads};
use mirage_domain::relation::Relation;

use super::html::unescape;
use super::{Claim, CollectError, Collector, Found, Input, page};
use crate::probe::exchange::Frame;
use crate::probe::{Probe, answer};

pub(super) struct Extract;

/// Bytes of a text that are read.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Things that one text is taken to speak of.
const MENTIONS_MAX: usize = 500;

static MANIFEST: Manifest = Manifest {
    name: "extract",
    summary: "Mail boxes, phones, accounts, keys, trackers and names in stored texts",
    consumes: &[Kind::Url, Kind::File, Kind::Text, Kind::DnsRecord],
    produces: &[
        Kind::Email,
        Kind::Phone,
        Kind::Url,
        Kind::Domain,
        Kind::Wallet,
        Kind::BankAccount,
        Kind::PaymentCard,
        Kind::PublicKey,
        Kind::TrackerId,
    ],
    reads: Reads::Evidence,
    ..Manifest::DEFAULT
};

#[async_trait]
impl Collector for Extract {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let none = || CollectError::Malformed("no evidence to read".into());
        let evidence = input.evidence.ok_or_else(none)?;
        let exchange = probe.evidence(evidence).await?;
        let read = match exchange.frame {
            // The record itself is the text; its message holds others too.
            _ if input.entity.kind() == Kind::DnsRecord => Text::whole(input.key().to_owned()),
            Frame::Http { .. } => of_page(answer::page(exchange, TEXT_BYTES_MAX, evidence)?),
            // The list of seeds shows what a person typed, not what a seed says.
            Frame::Document { name } if name == "seeds" => None,
            Frame::Document { .. } => of_document(&exchange.payload),
            Frame::Dns { .. } | Frame::Tls { .. } | Frame::Tcp { .. } | Frame::Line { .. } => {
                return Err(CollectError::Malformed(format!("{evidence} holds no text")));
            }
        };
        let Some(text) = read else { return Ok(()) };
        if text.is_cut {
            let detail = format!("{TEXT_BYTES_MAX} bytes");
            found.remark("cap-reached", "text-bytes", detail);
        }
        report(&text.text, evidence, input, found);
        Ok(())
    }
}

struct Text {
    text: String,
    is_cut: bool,
}

impl Text {
    fn whole(text: String) -> Option<Self> {
        Some(Self {
            text,
            is_cut: false,
        })
    }
}

/// Nothing, if the page says that it is no text.
fn of_page(page: crate::probe::Page) -> Option<Text> {
    let kind = page::content_type(&page).to_ascii_lowercase();
    let binary = [
        "image/",
        "audio/",
        "video/",
        "font/",
        "application/octet-stream",
        "application/zip",
    ];
    if binary
        .iter()
        .any(|prefix| kind.starts_with(prefix) && !kind.contains("svg"))
    {
        return None;
    }
    let text = page::text(&page);
    let text = match page::is_html(&page) {
        true => unescape(&text).into_owned(),
        false => text,
    };
    Some(Text {
        text,
        is_cut: page.is_cut,
    })
}

fn of_document(payload: &[u8]) -> Option<Text> {
    let kept = &payload[..payload.len().min(TEXT_BYTES_MAX)];
    Some(Text {
        text: super::charset::text(kept, ""),
        is_cut: kept.len() < payload.len(),
    })
}

/// Something that a text speaks of, with what is known about it.
#[derive(Debug)]
struct Mention {
    entity: Entity,
    confidence: u8,
    attributes: Vec<(&'static str, String)>,
}

impl Mention {
    fn new(entity: Entity) -> Self {
        Self {
            entity,
            confidence: 100,
            attributes: Vec::new(),
        }
    }
}

/// What speaks of people and money goes first: names and addresses fill whatever the cap leaves.
fn report(text: &str, evidence: Digest, input: &Input, found: &Found) {
    let keyed = |text: &str| found.keyed(text);
    let mentions = trackers::of(text)
        .chain(contacts::of(text))
        .chain(money::of(text, &keyed))
        .chain(keys::of(text))
        .chain(names::of(text, &input.entity));
    let mut seen = HashSet::new();
    for mention in mentions {
        if mention.entity == input.entity || seen.contains(&mention.entity) {
            continue;
        }
        if seen.len() == MENTIONS_MAX {
            found.remark("cap-reached", "mentions", input.key());
            return;
        }
        seen.insert(mention.entity.clone());
        found.add(claim(mention, input.entity.kind(), evidence));
    }
}

fn claim(mention: Mention, parent: Kind, evidence: Digest) -> Claim {
    let relation = match (parent, mention.entity.kind()) {
        (Kind::Url, Kind::TrackerId) => Relation::Uses,
        _ => Relation::Mentions,
    };
    let mut claim = Claim::out(relation, mention.entity, evidence).confidence(mention.confidence);
    for (name, value) in mention.attributes {
        claim = claim.with(name, value);
    }
    claim
}

/// A pattern of ours.
fn pattern(text: &str) -> regex::Regex {
    regex::Regex::new(text).expect("a literal that is tested")
}

#[cfg(test)]
mod tests;
