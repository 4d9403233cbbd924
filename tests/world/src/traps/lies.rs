//! DNS answers that lie, loop, swell or stay away.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Lure;
use crate::names::DOMAIN;
use crate::records::Record;
use crate::wire::{self, Data, Query};
use crate::zone::Ruse;

/// Text that does harm wherever it is printed as it stands: OSC 52 and a title for terminals,
/// HTML for consoles, bidi overrides for eyes, NUL for stores.
pub(super) const HOSTILE: &str = "\u{1b}]52;c;bWlyYWdl\u{7}\u{1b}[2J\u{1b}]0;owned\u{7}\
    <script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}gnp.exe\u{2066}\0=cmd|'/c calc'!A1";
/// A message has 65 535 bytes; this leaves room for the lengths of the pieces and the header.
const HUGE: usize = 64_000;

pub(super) fn canary(lure: &Lure) -> Vec<Data> {
    vec![Data::A(canary_address(lure))]
}

pub(super) fn metadata(_: &Lure) -> Vec<Data> {
    vec![Data::A(Ipv4Addr::new(169, 254, 169, 254))]
}

fn canary_address(lure: &Lure) -> Ipv4Addr {
    match lure.canary.ip() {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => unreachable!("the canary is bound to an IPv4 address"),
    }
}

pub(super) fn cname_loop(_: &Lure) -> Vec<Data> {
    vec![Data::Cname(format!("cname-loop-end.trap.{DOMAIN}"))]
}

/// The other half of the loop.
pub(super) fn loop_end() -> Record {
    (
        format!("cname-loop-end.trap.{DOMAIN}"),
        Data::Cname(format!("cname-loop.trap.{DOMAIN}")),
    )
}

pub(super) fn hostile_txt(lure: &Lure) -> Vec<Data> {
    vec![
        Data::A(lure.address),
        Data::Txt(HOSTILE.as_bytes().to_vec()),
        Data::Txt(vec![0xff, 0xfe, 0x80]),
    ]
}

pub(super) fn huge_txt(lure: &Lure) -> Vec<Data> {
    vec![Data::A(lure.address), Data::Txt(vec![b'x'; HUGE])]
}

pub(super) fn huge_spf(lure: &Lure) -> Vec<Data> {
    // No two alike, some 60 000 bytes.
    let sender = |number: usize| format!(" ip4:198.18.{}.{}", number / 256, number % 256);
    let senders: String = (0..3000).map(sender).collect();
    mail(lure, &format!("v=spf1{senders} -all"))
}

pub(super) fn spf_lookups(lure: &Lure) -> Vec<Data> {
    mail(lure, &format!("v=spf1{} -all", " a".repeat(11)))
}

pub(super) fn spf_loop(lure: &Lure) -> Vec<Data> {
    mail(lure, &format!("v=spf1 include:{} -all", lure.name))
}

/// A machine that takes mail, so that its policy is of interest.
fn mail(lure: &Lure, policy: &str) -> Vec<Data> {
    vec![
        Data::A(lure.address),
        Data::Mx(10, lure.name.clone()),
        Data::Txt(policy.as_bytes().to_vec()),
    ]
}

/// The trap's own address for the first query and every other one, the canary's in between.
pub(super) fn rebind(lure: &Lure) -> Ruse {
    let (asked, honest, canary) = (AtomicU64::new(0), lure.address, canary_address(lure));
    Box::new(move |query, out| {
        query.open(wire::NO_ERROR, out);
        if query.kind == wire::A {
            let is_honest = asked.fetch_add(1, Ordering::Relaxed) % 2 == 0;
            let address = if is_honest { honest } else { canary };
            wire::write_record(&wire::SAME_NAME, &Data::A(address), out);
            wire::set_answers(out, 1);
        }
        query.close(out);
    })
}

/// An owner name that is a pointer to itself.
pub(super) fn compression_loop(_: &Lure) -> Ruse {
    Box::new(|query: &Query<'_>, out: &mut Vec<u8>| {
        query.open(wire::NO_ERROR, out);
        let here = u16::try_from(out.len()).expect("a question has at most 271 bytes");
        wire::write_record(
            &(0xc000 | here).to_be_bytes(),
            &Data::A(Ipv4Addr::LOCALHOST),
            out,
        );
        wire::set_answers(out, 1);
    })
}

/// An empty answer is not sent.
pub(super) fn silence(_: &Lure) -> Ruse {
    Box::new(|_, out| out.clear())
}
