//! Team Cymru's zones: origins of addresses and names of systems.
//!
//! TXT records, with bars between their fields.

use std::net::IpAddr;

use hickory_proto::rr::RecordType;

use super::{Found, ORIGINS_MAX, Origin, announced, named, number, text_records};
use crate::collectors::{CollectError, Input, reverse_dns};
use crate::probe::policy::Egress;
use crate::probe::{DnsAnswer, Probe};

pub(super) async fn collect(
    address: IpAddr,
    input: &Input,
    probe: &dyn Probe,
    found: &Found,
) -> Result<(), CollectError> {
    if Egress::default().check(address).is_err() {
        return Ok(());
    }
    let zone = match address {
        IpAddr::V4(_) => input.setting("origin-zone"),
        IpAddr::V6(_) => input.setting("origin6-zone"),
    };
    let pointer = reverse_dns::pointer(address);
    let reversed = [".in-addr.arpa", ".ip6.arpa"]
        .iter()
        .find_map(|end| pointer.strip_suffix(end));
    let name = format!("{}.{zone}", reversed.unwrap_or(&pointer));
    let answer = text_records::ask(&name, RecordType::TXT, probe).await?;
    let origins = origins(&answer, address)?;
    if origins.len() > ORIGINS_MAX {
        found.remark("cap-reached", "origins", address.to_string());
    }
    let mut outcome = Ok(());
    for origin in origins.iter().take(ORIGINS_MAX) {
        let Some(system) = announced(origin, answer.evidence, found) else {
            continue;
        };
        let name = format!("AS{}.{}", origin.number, input.setting("name-zone"));
        match text_records::ask(&name, RecordType::TXT, probe).await {
            Ok(answer) => {
                if let Some(name) = text_records::all(&answer).find_map(|text| name_in(&text)) {
                    named(&name, answer.evidence, &system, found);
                }
            }
            Err(error) => outcome = outcome.and(Err(error)),
        }
    }
    outcome
}

/// The origins of the longest block that an answer has around the address, sorted.
fn origins(answer: &DnsAnswer, address: IpAddr) -> Result<Vec<Origin>, CollectError> {
    let mut all = Vec::new();
    for text in text_records::all(answer) {
        let wrong = || CollectError::Malformed(format!("`{}` is no origin", text.escape_default()));
        all.extend(origins_in(&text).ok_or_else(wrong)?);
    }
    all.retain(|origin| origin.block.contains(&address));
    let longest = all.iter().map(|origin| origin.block.prefix_len()).max();
    all.retain(|origin| Some(origin.block.prefix_len()) == longest);
    all.sort_unstable_by_key(|origin| origin.number);
    all.dedup();
    Ok(all)
}

/// `23028 7018 | 216.90.108.0/24 | US | arin | 1998-09-25`
fn origins_in(text: &str) -> Option<Vec<Origin>> {
    let mut fields = text.split('|').map(str::trim);
    let (numbers, block) = (fields.next()?, fields.next()?.parse().ok()?);
    let numbers = numbers.split_whitespace().map(number);
    let origin = |number: Option<u32>| {
        Some(Origin {
            block,
            number: number?,
        })
    };
    numbers.map(origin).collect()
}

/// `23028 | US | arin | 2002-01-04 | TEAM-CYMRU - Team Cymru Inc., US`: the name without the country at its end.
fn name_in(text: &str) -> Option<String> {
    let name = text.split('|').nth(4)?.trim();
    let is_country = |end: &str| end.len() == 2 && end.bytes().all(|b| b.is_ascii_uppercase());
    let name = match name.rsplit_once(", ") {
        Some((name, end)) if is_country(end) => name,
        _ => name,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn names_lose_their_country_and_nothing_else() {
        for (text, name) in [
            ("1 | US | arin | x | LEVEL3, US", Some("LEVEL3")),
            ("1 | US | arin | x | Acme, Inc., US", Some("Acme, Inc.")),
            ("1 | US | arin | x | Acme, Inc", Some("Acme, Inc")),
            ("1 | US | arin | x |", None),
            ("1 | US", None),
        ] {
            assert_eq!(name_in(text).as_deref(), name, "{text}");
        }
    }

    #[test]
    fn an_origin_has_numbers_and_a_block() {
        let origins = origins_in("23028 7018 | 192.0.2.0/24 | US | arin | 1998-09-25").unwrap();
        assert_eq!(origins.len(), 2);
        for text in [
            "",
            "1",
            "x | 192.0.2.0/24",
            "1 | 192.0.2.0",
            "-1 | 192.0.2.0/24",
            "1 | \u{1b}",
        ] {
            assert_eq!(origins_in(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = (origins_in(&text), name_in(&text));
        }
    }
}
