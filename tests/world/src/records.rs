//! What the company publishes in DNS, record by record, and what ns2 has kept of it.

use std::net::Ipv4Addr;

use crate::names::{Company, DOMAIN, Door, Host, WILDCARD};
use crate::policy;
use crate::wire::Data;

/// The reverse zone of every address that the company uses.
pub(crate) const REVERSE: &str = "20.127.in-addr.arpa";
/// Serial number of the zones, in the form of a date; ns2's copy is a year older.
const SERIAL: u32 = 2_026_010_100;

/// How the reverse zone calls the pool: a name of its hosting firm, out of every scope.
pub(crate) const HOSTED: &str = "static-2.hosting.example";

/// Owner and data of one record.
pub(crate) type Record = (String, Data);

/// All records but those of the traps.
pub(crate) fn published(company: &Company, sip_port: u16) -> Vec<Record> {
    let mut records = apex_records(company, sip_port);
    records.extend(policy::records(company));
    records.extend(host_records(company));
    records.extend(reverse_records(company));
    records
}

/// What both zones say of themselves.
pub(crate) fn soa() -> Data {
    soa_of(SERIAL)
}

fn soa_of(serial: u32) -> Data {
    let (primary, contact) = (format!("ns1.{DOMAIN}"), format!("hostmaster.{DOMAIN}"));
    Data::Soa {
        primary,
        contact,
        serial,
    }
}

pub(crate) fn text(content: impl Into<String>) -> Data {
    Data::Txt(content.into().into_bytes())
}

/// The apex and what mail, telephony and policy publish.
fn apex_records(company: &Company, sip_port: u16) -> Vec<Record> {
    let at = |label: &str| format!("{label}.{DOMAIN}");
    let apex = |data: Data| (DOMAIN.to_owned(), data);
    let (front, pool) = (company.front(), company.name("pool"));
    let proof = company.label("google-site-verification=mirage");
    vec![
        apex(soa()),
        apex(Data::Ns(at("ns1"))),
        apex(Data::Ns(at("ns2"))),
        apex(Data::Mx(10, at("mail"))),
        apex(Data::Mx(20, company.name("relay"))),
        apex(text(format!("v=spf1 mx include:_spf.{DOMAIN} -all"))),
        apex(text(proof)),
        apex(text(format!("owner=ops contact={}", dns_contact()))),
        apex(Data::Caa("issue", "ca.example".to_owned())),
        apex(Data::Caa("iodef", format!("mailto:caa@{DOMAIN}"))),
        (
            at("_sip._tcp"),
            Data::Srv {
                port: sip_port,
                target: company.name("sip"),
            },
        ),
        (at("www"), Data::Cname(front.clone())),
        (front, Data::Cname(pool)),
        (at("*.wild"), Data::A(WILDCARD)),
    ]
}

/// The address of the mail box that stands in a TXT record and nowhere else.
pub(crate) fn dns_contact() -> String {
    format!("dns-contact@{DOMAIN}")
}

fn host_records(company: &Company) -> impl Iterator<Item = Record> {
    company
        .hosts
        .iter()
        .map(|host| (host.name.clone(), Data::A(host.address)))
}

/// Reverse names: only of machines that may be found by them.
fn reverse_records(company: &Company) -> Vec<Record> {
    let named = company.hosts.iter().filter(|host| {
        matches!(
            host.door,
            Door::Seed | Door::Common | Door::Only("reverse-dns")
        )
    });
    let mut records: Vec<Record> = named
        .map(|host| (reverse_name(host.address), Data::Ptr(host.name.clone())))
        .collect();
    let pool = company
        .host(&company.name("pool"))
        .expect("a machine of the table")
        .address;
    records.push((reverse_name(pool), Data::Ptr(HOSTED.to_owned())));
    records.push((REVERSE.to_owned(), soa()));
    records.push((REVERSE.to_owned(), Data::Ns(format!("ns1.{DOMAIN}"))));
    records
}

fn reverse_name(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("{d}.{c}.{b}.{a}.in-addr.arpa")
}

/// What ns2 transfers: last year's copy of the zone, with machines that have gone from view since.
pub(crate) fn stale_copy(company: &Company) -> Vec<Record> {
    let apex = |data: Data| (DOMAIN.to_owned(), data);
    let ends = apex(soa_of(SERIAL - 1_000_000));
    let mut records = vec![ends.clone(), apex(Data::Ns(format!("ns2.{DOMAIN}")))];
    let door = |host: &&Host| matches!(host.door, Door::Seed | Door::Common | Door::Only("zone"));
    let machines = company.hosts.iter().filter(door);
    records.extend(machines.map(|host| (host.name.clone(), Data::A(host.address))));
    records.push(ends);
    records
}
