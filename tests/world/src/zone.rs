//! What the world's DNS answers: the company's zone, its reverse zone, and nothing outside.
//!
//! Every answer is made when the world starts; a query costs one look-up and one copy.
//! **Invariant:** an answer depends on the question alone, except for the traps' ruses.

use std::collections::HashMap;

use crate::names::{Company, DOMAIN};
use crate::records::{self, REVERSE, Record};
use crate::wire::{self, Data, Query};

/// Never more over UDP, whatever the asker takes: larger answers prove that TCP is tried.
pub(crate) const UDP_MAX: usize = 1232;
/// Records per message of a zone transfer: few, so that a transfer has several messages.
const TRANSFER_PACK: usize = 4;

/// Writes the whole answer to one query itself: the way of the traps.
pub(crate) type Ruse = Box<dyn Fn(&Query<'_>, &mut Vec<u8>) + Send + Sync>;

/// The ready answers of one name.
#[derive(Default)]
struct Node {
    /// Type, number of records, and the records in wire form.
    answers: Vec<(u16, u16, Vec<u8>)>,
    /// The chain from this name on, if it is an alias: the answer to any other type.
    alias: Option<(u16, Vec<u8>)>,
    ruse: Option<Ruse>,
}

pub(crate) struct Zone {
    nodes: HashMap<Vec<u8>, Node>,
    /// The zones' apexes, each with its SOA record in wire form for negative answers.
    apexes: Vec<(Vec<u8>, Vec<u8>)>,
    transfer: Vec<Record>,
}

impl Zone {
    /// The zones of `company` and of whatever `extra` records and ruses the traps bring.
    pub(crate) fn new(company: &Company, sip_port: u16, extra: Vec<Record>) -> Zone {
        let mut records = records::published(company, sip_port);
        records.extend(extra);
        let apexes = [DOMAIN, REVERSE]
            .map(|apex| (wire::name(apex), soa_bytes(apex)))
            .to_vec();
        Zone {
            nodes: nodes_of(&records),
            apexes,
            transfer: records::stale_copy(company),
        }
    }

    /// Lets `ruse` answer every query for `name`.
    pub(crate) fn set_ruse(&mut self, name: &str, ruse: Ruse) {
        self.nodes.entry(wire::name(name)).or_default().ruse = Some(ruse);
    }

    /// Writes the answer to `query` into `out`, however long it is.
    pub(crate) fn answer(&self, query: &Query<'_>, out: &mut Vec<u8>) {
        if query.kind == wire::AXFR {
            return refuse_transfer(query, out);
        }
        match self.node(query.name()) {
            Some(Node {
                ruse: Some(ruse), ..
            }) => ruse(query, out),
            Some(node) => self.answer_from(node, query, out),
            None => self.deny(query, wire::NAME_ERROR, out),
        }
    }

    fn answer_from(&self, node: &Node, query: &Query<'_>, out: &mut Vec<u8>) {
        let direct = node.answers.iter().find(|(kind, ..)| *kind == query.kind);
        let found = direct.map(|(_, count, bytes)| (*count, bytes));
        let Some((count, bytes)) =
            found.or(node.alias.as_ref().map(|(count, bytes)| (*count, bytes)))
        else {
            return self.deny(query, wire::NO_ERROR, out);
        };
        query.open(wire::NO_ERROR, out);
        out.extend(bytes);
        wire::set_answers(out, count);
        query.close(out);
    }

    /// No such name, or no such record: with the SOA that says for how long.
    fn deny(&self, query: &Query<'_>, code: u8, out: &mut Vec<u8>) {
        query.open(code, out);
        if let Some((_, soa)) = self
            .apexes
            .iter()
            .find(|(apex, _)| is_below(query.name(), apex))
        {
            out.extend(soa);
            wire::set_authorities(out, 1);
        }
        query.close(out);
    }

    /// The node of a name in wire form, or the wildcard that covers it (RFC 4592).
    fn node(&self, name: &[u8]) -> Option<&Node> {
        if let Some(node) = self.nodes.get(name) {
            return Some(node);
        }
        let mut parent = name;
        while let Some(&length) = parent.first().filter(|&&length| length > 0) {
            parent = &parent[usize::from(length) + 1..];
            if self.nodes.contains_key(parent) {
                let mut wildcard = vec![1, b'*'];
                wildcard.extend(parent);
                return self.nodes.get(&wildcard);
            }
        }
        None
    }

    /// The messages of a zone transfer (RFC 5936), as ns2 gives it to anyone who asks.
    pub(crate) fn transfer(&self, query: &Query<'_>) -> Vec<Vec<u8>> {
        let messages = self.transfer.chunks(TRANSFER_PACK).map(|pack| {
            let mut out = Vec::new();
            query.open(wire::NO_ERROR, &mut out);
            for (owner, data) in pack {
                wire::write_record(&wire::name(owner), data, &mut out);
            }
            wire::set_answers(
                &mut out,
                u16::try_from(pack.len()).expect("TRANSFER_PACK is small"),
            );
            out
        });
        messages.collect()
    }

    /// Whether `query` asks for a transfer of the company's zone.
    pub(crate) fn is_transfer(&self, query: &Query<'_>) -> bool {
        query.kind == wire::AXFR && query.name() == self.apexes[0].0
    }
}

fn refuse_transfer(query: &Query<'_>, out: &mut Vec<u8>) {
    query.open(wire::REFUSED, out);
    query.close(out);
}

/// Whether `name` is `apex` or ends in it at the edge of a label.
fn is_below(name: &[u8], apex: &[u8]) -> bool {
    let mut rest = name;
    while rest.len() > apex.len() {
        rest = &rest[usize::from(rest[0]) + 1..];
    }
    rest == apex
}

fn soa_bytes(apex: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::write_record(&wire::name(apex), &records::soa(), &mut bytes);
    bytes
}

/// All nodes of `records`, with the empty ones between a name and its apex.
fn nodes_of(records: &[Record]) -> HashMap<Vec<u8>, Node> {
    let mut by_owner: HashMap<&str, Vec<&Data>> = HashMap::new();
    for (owner, data) in records {
        by_owner.entry(owner).or_default().push(data);
    }
    let mut nodes: HashMap<Vec<u8>, Node> = HashMap::with_capacity(by_owner.len());
    for owner in by_owner.keys() {
        nodes.insert(wire::name(owner), node_of(owner, &by_owner));
        let mut parent = *owner;
        while let Some((_, rest)) = parent.split_once('.').filter(|_| !is_apex(parent)) {
            nodes.entry(wire::name(rest)).or_default();
            parent = rest;
        }
    }
    nodes
}

fn is_apex(name: &str) -> bool {
    name == DOMAIN || name == REVERSE
}

fn node_of(owner: &str, by_owner: &HashMap<&str, Vec<&Data>>) -> Node {
    let mut node = Node::default();
    for data in &by_owner[owner] {
        if let Data::Cname(target) = data {
            node.alias = Some(chain(target, data, by_owner));
        }
        let place = node
            .answers
            .iter()
            .position(|(kind, ..)| *kind == data.kind());
        let place = place.unwrap_or_else(|| {
            node.answers.push((data.kind(), 0, Vec::new()));
            node.answers.len() - 1
        });
        let (_, count, bytes) = &mut node.answers[place];
        *count += 1;
        wire::write_record(&wire::SAME_NAME, data, bytes);
    }
    node
}

/// An alias and where it leads, to the addresses at its end or once around if it is a loop.
fn chain(first: &str, alias: &Data, by_owner: &HashMap<&str, Vec<&Data>>) -> (u16, Vec<u8>) {
    let (mut count, mut bytes) = (1, Vec::new());
    wire::write_record(&wire::SAME_NAME, alias, &mut bytes);
    let (mut target, mut seen) = (first, vec![]);
    while let Some(records) = by_owner.get(target).filter(|_| !seen.contains(&target)) {
        seen.push(target);
        let mut next = None;
        for data in records {
            match data {
                Data::Cname(onward) => next = Some(onward.as_str()),
                Data::A(_) => {}
                _ => continue,
            }
            wire::write_record(&wire::name(target), data, &mut bytes);
            count += 1;
        }
        target = next.unwrap_or(target);
    }
    (count, bytes)
}
