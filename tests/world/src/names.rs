//! The seeded company: which hosts it has, where they stand, and by which door each is known.
//!
//! Names that only one collector may find end in four letters drawn from seed and label, so that
//! neither a word list nor a mutation of another name reaches them.
//! **Invariant:** the same seed and size give the same names and addresses, on every machine.

use std::collections::HashMap;
use std::net::Ipv4Addr;

/// The company's registrable domain: reserved for documentation by RFC 2606.
pub(crate) const DOMAIN: &str = "mirage-corp.example";
/// Beyond this the bulk hosts would run into the addresses of the traps.
pub(crate) const HOSTS_MAX: usize = 50_000;
/// Bulk hosts per /24: `.1` to `.250`.
const PER_NET: usize = 250;

/// By which door a host is known. All but `Seed`, `Common` and `Nobody` name the one collector
/// that can find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The name a scan starts with.
    Seed,
    /// Reached by several collectors, so it proves none of them.
    Common,
    /// Exists, and must not be found by a scanner that keeps to the rules.
    Nobody,
    Only(&'static str),
}

/// A named machine with one address, which answers on the web.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) door: Door,
    /// Number of a bulk host, from 1; none for the named ones.
    pub(crate) number: Option<usize>,
}

/// One machine of the table: label, last octet in 127.20.0.0/24, door, and whether the label is
/// used as it stands (true) or with four seeded letters (false).
type Row = (&'static str, u8, Door, bool);

/// The named machines. A row here is a whole host: DNS, web, TLS, and what `Expected` says of it.
const NAMED: &[Row] = &[
    ("", 1, Door::Seed, true),
    ("pool", 2, Door::Only("dns"), false),
    ("ns1", 11, Door::Common, true),
    ("ns2", 12, Door::Common, true),
    ("mail", 25, Door::Common, true),
    ("sip", 26, Door::Only("dns-records"), false),
    ("relay", 27, Door::Only("dns-records"), false),
    ("vpn", 31, Door::Only("bruteforce"), true),
    ("staging", 32, Door::Only("bruteforce"), true),
    ("git", 33, Door::Only("bruteforce"), true),
    ("dmz", 41, Door::Only("zone"), false),
    ("vault", 42, Door::Only("zone"), false),
    ("backup", 43, Door::Only("zone"), false),
    ("portal", 45, Door::Only("crtsh"), false),
    ("expired", 46, Door::Only("crtsh"), false),
    ("selfsigned", 47, Door::Only("crtsh"), false),
    ("wild", 48, Door::Only("crtsh"), true),
    ("api", 51, Door::Only("tls"), false),
    ("edge", 52, Door::Only("tls"), false),
    ("shop", 53, Door::Only("crawl"), false),
    ("static", 54, Door::Only("crawl"), false),
    ("cdn", 55, Door::Only("crawl"), false),
    ("forms", 56, Door::Only("crawl"), false),
    ("press", 57, Door::Only("crawl"), false),
    ("jobs", 58, Door::Only("crawl"), false),
    ("intranet", 61, Door::Only("extract"), false),
    ("docs", 62, Door::Only("well-known"), false),
    ("sso", 63, Door::Only("well-known"), false),
    ("login", 64, Door::Only("http"), false),
    ("mta-sts", 65, Door::Only("mail-policy"), true),
    ("secret", 70, Door::Nobody, false),
    ("printer", 200, Door::Only("reverse-dns"), false),
];

/// What every name below `wild.DOMAIN` resolves to; no machine of the table stands there.
pub(crate) const WILDCARD: Ipv4Addr = Ipv4Addr::new(127, 20, 0, 60);

/// All machines, and the ways to find one.
pub(crate) struct Company {
    pub(crate) seed: u64,
    pub(crate) hosts: Vec<Host>,
    by_name: HashMap<String, usize>,
    by_address: HashMap<Ipv4Addr, usize>,
}

impl Company {
    /// The company of `seed` with `bulk` hosts besides the named ones (at most `HOSTS_MAX`).
    pub(crate) fn new(seed: u64, bulk: usize) -> Company {
        let named = NAMED.iter().map(|row| named_host(seed, row));
        let hosts: Vec<Host> = named
            .chain((1..=bulk.min(HOSTS_MAX)).map(bulk_host))
            .collect();
        let by_name = hosts
            .iter()
            .enumerate()
            .map(|(at, host)| (host.name.clone(), at))
            .collect();
        let by_address = hosts
            .iter()
            .enumerate()
            .map(|(at, host)| (host.address, at))
            .collect();
        Company {
            seed,
            hosts,
            by_name,
            by_address,
        }
    }

    /// The full name of the machine with this label in the table.
    pub(crate) fn name(&self, label: &str) -> String {
        let row = NAMED
            .iter()
            .find(|row| row.0 == label)
            .expect("a label of the table");
        full_name(self.seed, row)
    }

    /// A label that only this seed has, for names that are no machine (an alias, a mail box).
    pub(crate) fn label(&self, label: &str) -> String {
        format!("{label}-{}", letters(self.seed, label))
    }

    /// The alias between `www` and the machine that serves it.
    pub(crate) fn front(&self) -> String {
        format!("{}.{DOMAIN}", self.label("front"))
    }

    /// The machine that answers for `name`: its own, or the one that the alias `www` leads to.
    pub(crate) fn machine(&self, name: &str) -> Option<&Host> {
        let is_alias = name == format!("www.{DOMAIN}") || name == self.front();
        if is_alias {
            self.host(&self.name("pool"))
        } else {
            self.host(name)
        }
    }

    pub(crate) fn host(&self, name: &str) -> Option<&Host> {
        self.by_name.get(name).map(|&at| &self.hosts[at])
    }

    pub(crate) fn host_at(&self, address: Ipv4Addr) -> Option<&Host> {
        self.by_address.get(&address).map(|&at| &self.hosts[at])
    }

    /// The machines with a number, in order.
    pub(crate) fn bulk(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(|host| host.number.is_some())
    }
}

fn named_host(seed: u64, row: &Row) -> Host {
    let &(_, octet, door, _) = row;
    let address = Ipv4Addr::new(127, 20, 0, octet);
    Host {
        name: full_name(seed, row),
        address,
        door,
        number: None,
    }
}

fn bulk_host(number: usize) -> Host {
    let (net, octet) = ((number - 1) / PER_NET + 1, (number - 1) % PER_NET + 1);
    let byte = |part: usize| u8::try_from(part).expect("bounded by HOSTS_MAX");
    Host {
        name: format!("h{number:05}.{DOMAIN}"),
        address: Ipv4Addr::new(127, 20, byte(net), byte(octet)),
        door: Door::Only("crtsh"),
        number: Some(number),
    }
}

fn full_name(seed: u64, &(label, _, _, is_plain): &Row) -> String {
    match (label, is_plain) {
        ("", _) => DOMAIN.to_owned(),
        (label, true) => format!("{label}.{DOMAIN}"),
        (label, false) => format!("{label}-{}.{DOMAIN}", letters(seed, label)),
    }
}

/// Four letters that no word list holds.
fn letters(seed: u64, label: &str) -> String {
    let mut bits = draw(seed, label);
    let mut next = |alphabet: &[u8; 16]| {
        let letter = alphabet[(bits & 15) as usize];
        bits >>= 4;
        char::from(letter)
    };
    (0..4).map(|_| next(b"bcdfghjkmnpqrstz")).collect()
}

/// 64 bits from seed and label (FNV-1a, then the finaliser of SplitMix64).
pub(crate) fn draw(seed: u64, label: &str) -> u64 {
    let start = seed ^ 0xcbf2_9ce4_8422_2325;
    let mixed = label.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_company_and_another_seed_another() {
        let names = |seed| {
            Company::new(seed, 5)
                .hosts
                .into_iter()
                .map(|host| host.name)
        };
        assert!(names(1).eq(names(1)));
        assert!(!names(1).eq(names(2)));
    }

    #[test]
    fn every_host_has_its_own_name_and_address() {
        let company = Company::new(1, HOSTS_MAX);
        let names: HashSet<_> = company.hosts.iter().map(|host| &host.name).collect();
        let addresses: HashSet<_> = company.hosts.iter().map(|host| host.address).collect();
        assert_eq!(names.len(), company.hosts.len());
        assert_eq!(addresses.len(), company.hosts.len());
        assert!(!addresses.contains(&WILDCARD));
    }
}
