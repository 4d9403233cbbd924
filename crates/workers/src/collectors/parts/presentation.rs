//! DNS data in presentation form (RFC 1035 §5.1): printable ASCII, every other byte as `\DDD`.
//!
//! hickory's own texts are for reading: they escape in octal, and lose bytes that are no UTF-8.
//! **Never:** a byte of an answer outside an escape or the printable range.

use std::fmt::Write;

use data_encoding::{BASE64, HEXUPPER};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use mirage_domain::entity::{Entity, Kind};

/// The host that a name names; none for the root, a wildcard, and labels of other bytes than hosts have.
pub(in crate::collectors) fn domain(name: &Name) -> Option<Entity> {
    Entity::new(Kind::Domain, &self::name(name)).ok()
}

/// A name with its final dot.
pub(in crate::collectors) fn name(name: &Name) -> String {
    let mut text = String::new();
    for label in name.iter() {
        for &byte in label {
            escape(&mut text, byte, b"\"$().;@\\ ");
        }
        text.push('.');
    }
    if text.is_empty() { ".".into() } else { text }
}

/// Whether a record belongs to a name, given without its final dot.
pub(in crate::collectors) fn is_of(record: &Record, name: &str) -> bool {
    self::name(&record.name).strip_suffix('.') == Some(name)
}

/// The data of a record; none for types that nobody here asks about.
pub(in crate::collectors) fn rdata(data: &RData) -> Option<String> {
    Some(match data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::CAA(caa) => format!("{} {} {}", caa.flags(), caa.tag, quoted(&caa.value)),
        RData::CNAME(target) => name(target),
        RData::NS(target) => name(target),
        RData::PTR(target) => name(target),
        RData::MX(mx) => format!("{} {}", mx.preference, name(&mx.exchange)),
        RData::SRV(srv) => format!(
            "{} {} {} {}",
            srv.priority,
            srv.weight,
            srv.port,
            name(&srv.target)
        ),
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            name(&soa.mname),
            name(&soa.rname),
            soa.serial,
            // hickory has them signed, the wire has not.
            soa.refresh.cast_unsigned(),
            soa.retry.cast_unsigned(),
            soa.expire.cast_unsigned(),
            soa.minimum
        ),
        RData::TXT(txt) => {
            let strings: Vec<String> = txt.txt_data.iter().map(|text| quoted(text)).collect();
            strings.join(" ")
        }
        RData::Unknown { code, rdata } => signed(*code, &rdata.anything),
        _ => return None,
    })
}

/// What the decoder leaves as bytes: DS and DNSKEY (RFC 4034 §2.2, §5.3), all else in the form of RFC 3597 §5.
fn signed(kind: RecordType, bytes: &[u8]) -> String {
    match (kind, bytes) {
        (RecordType::DS | RecordType::CDS, [high, low, algorithm, hash, digest @ ..]) => {
            let tag = u16::from_be_bytes([*high, *low]);
            format!("{tag} {algorithm} {hash} {}", HEXUPPER.encode(digest))
        }
        (RecordType::DNSKEY | RecordType::CDNSKEY, [high, low, protocol, algorithm, key @ ..]) => {
            let flags = u16::from_be_bytes([*high, *low]);
            format!("{flags} {protocol} {algorithm} {}", BASE64.encode(key))
        }
        _ => format!("\\# {} {}", bytes.len(), HEXUPPER.encode(bytes)),
    }
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for &byte in bytes {
        escape(&mut text, byte, b"\"\\");
    }
    text.push('"');
    text
}

fn escape(text: &mut String, byte: u8, special: &[u8]) {
    match byte {
        b' '..=b'~' if !special.contains(&byte) => text.push(char::from(byte)),
        b'!'..=b'~' => text.extend(['\\', char::from(byte)]),
        _ => write!(text, "\\{byte:03}").expect("a string takes everything"),
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{CAA, NULL, TXT};

    use super::*;

    #[test]
    fn a_name_keeps_every_byte_and_names_a_host_only_if_it_can() {
        for (labels, text, is_host) in [
            (&[&b"www"[..], b"example"][..], "www.example.", true),
            (&[b"_sip", b"-a"], "_sip.-a.", true),
            (&[b"a.b", b"c"], "a\\.b.c.", false),
            (&[b"*", b"c"], "*.c.", false),
            (
                &[b"\x00\x1b[2J \xff", b"c"],
                "\\000\\027[2J\\032\\255.c.",
                false,
            ),
            (&[], ".", false),
        ] {
            let labels = labels.iter().copied();
            let name = Name::from_labels(labels).unwrap();
            assert_eq!(self::name(&name), text);
            assert_eq!(domain(&name).is_some(), is_host, "{text}");
        }
    }

    #[test]
    fn strings_are_quoted_and_escaped_byte_by_byte() {
        let hostile = TXT::from_bytes(vec![b"a \"b\" \\;", b"\x1b]52;\x07\xc3\xbc", b""]);
        let text = r#""a \"b\" \\;" "\027]52;\007\195\188" """#;
        assert_eq!(rdata(&RData::TXT(hostile)).as_deref(), Some(text));
        let mut caa = CAA::new_issue(true, None, Vec::new());
        caa.value = b"ca.example; a=\"b\"".to_vec();
        let text = r#"128 issue "ca.example; a=\"b\"""#;
        assert_eq!(rdata(&RData::CAA(caa)).as_deref(), Some(text));
    }

    #[test]
    fn keys_and_digests_have_their_own_form() {
        let raw = |code, bytes: &[u8]| {
            let rdata = NULL::with(bytes.to_vec());
            self::rdata(&RData::Unknown { code, rdata }).unwrap()
        };
        assert_eq!(raw(RecordType::DS, &[1, 2, 13, 2, 0xab]), "258 13 2 AB");
        assert_eq!(
            raw(RecordType::DNSKEY, &[1, 1, 3, 13, 0, 1]),
            "257 3 13 AAE="
        );
        assert_eq!(raw(RecordType::DS, &[1]), "\\# 1 01");
    }
}
