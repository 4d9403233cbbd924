//! The DNS wire format as the world writes it (RFC 1035), by hand.
//!
//! The world does not use the codec that a scanner uses, so that an error in the codec shows;
//! the tests read every answer with hickory-proto. Names are written without compression.

use std::net::Ipv4Addr;

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const PTR: u16 = 12;
pub(crate) const MX: u16 = 15;
pub(crate) const TXT: u16 = 16;
pub(crate) const SRV: u16 = 33;
pub(crate) const OPT: u16 = 41;
pub(crate) const AXFR: u16 = 252;
pub(crate) const CAA: u16 = 257;

pub(crate) const NO_ERROR: u8 = 0;
pub(crate) const FORMAT_ERROR: u8 = 1;
pub(crate) const NAME_ERROR: u8 = 3;
pub(crate) const NOT_IMPLEMENTED: u8 = 4;
pub(crate) const REFUSED: u8 = 5;

/// Bytes before the question.
pub(crate) const HEADER: usize = 12;
/// Points at the name of the question.
pub(crate) const SAME_NAME: [u8; 2] = [0xc0, HEADER as u8];
/// All records live for five minutes, so that answers are byte-stable.
const TTL: u32 = 300;

/// What a record says. Names are in presentation form, without the final dot.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    A(Ipv4Addr),
    Ns(String),
    Cname(String),
    Ptr(String),
    Soa {
        primary: String,
        contact: String,
        serial: u32,
    },
    Mx(u16, String),
    Srv {
        port: u16,
        target: String,
    },
    /// The text in pieces of at most 255 bytes.
    Txt(Vec<u8>),
    Caa(&'static str, String),
}

impl Data {
    pub(crate) fn kind(&self) -> u16 {
        match self {
            Data::A(_) => A,
            Data::Ns(_) => NS,
            Data::Cname(_) => CNAME,
            Data::Ptr(_) => PTR,
            Data::Soa { .. } => SOA,
            Data::Mx(..) => MX,
            Data::Srv { .. } => SRV,
            Data::Txt(_) => TXT,
            Data::Caa(..) => CAA,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Data::A(address) => out.extend(address.octets()),
            Data::Ns(target) | Data::Cname(target) | Data::Ptr(target) => out.extend(name(target)),
            Data::Soa {
                primary,
                contact,
                serial,
            } => {
                out.extend(name(primary));
                out.extend(name(contact));
                // Refresh, retry, expire, minimum: usual values, nobody counts on them.
                [*serial, 7200, 900, 1_209_600, TTL]
                    .iter()
                    .for_each(|n| out.extend(n.to_be_bytes()));
            }
            Data::Mx(preference, target) => {
                out.extend(preference.to_be_bytes());
                out.extend(name(target));
            }
            Data::Srv { port, target } => {
                [10, 60, *port]
                    .iter()
                    .for_each(|number: &u16| out.extend(number.to_be_bytes()));
                out.extend(name(target));
            }
            Data::Txt(text) => text.chunks(255).for_each(|piece| write_string(piece, out)),
            Data::Caa(tag, value) => {
                out.push(0);
                write_string(tag.as_bytes(), out);
                out.extend(value.as_bytes());
            }
        }
    }
}

/// A character string: its length in one byte, then its bytes.
fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(u8::try_from(bytes.len()).expect("pieces have at most 255 bytes"));
    out.extend(bytes);
}

/// A name in wire form, in lower case.
pub(crate) fn name(dotted: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(dotted.len() + 2);
    for label in dotted.split('.').filter(|label| !label.is_empty()) {
        write_string(label.to_ascii_lowercase().as_bytes(), &mut out);
    }
    out.push(0);
    out
}

/// A record; `owner` is a name in wire form or a pointer to one.
pub(crate) fn write_record(owner: &[u8], data: &Data, out: &mut Vec<u8>) {
    out.extend(owner);
    out.extend(data.kind().to_be_bytes());
    out.extend([0, 1]);
    out.extend(TTL.to_be_bytes());
    let length_at = out.len();
    out.extend([0, 0]);
    data.write(out);
    let length = u16::try_from(out.len() - length_at - 2).expect("record data of at most 65535");
    out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
}

/// A query with one question, taken apart just far enough to answer it.
pub(crate) struct Query<'q> {
    bytes: &'q [u8],
    question_end: usize,
    pub(crate) kind: u16,
    /// Largest answer that the asker takes over UDP, in bytes.
    pub(crate) payload: usize,
    has_edns: bool,
    /// The name asked for, in wire form and lower case.
    name: [u8; 256],
    name_length: usize,
}

/// Why a query gets an error instead of an answer.
pub(crate) enum Refusal {
    /// Too short for a header, or an answer: nothing is sent, so that two servers never ping-pong.
    Silence,
    Code(u8),
}

impl<'q> Query<'q> {
    pub(crate) fn parse(bytes: &'q [u8]) -> Result<Query<'q>, Refusal> {
        if bytes.len() < HEADER || bytes[2] & 0x80 != 0 {
            return Err(Refusal::Silence);
        }
        if bytes[2] & 0x78 != 0 {
            return Err(Refusal::Code(NOT_IMPLEMENTED));
        }
        if bytes[4..6] != [0, 1] {
            return Err(Refusal::Code(FORMAT_ERROR));
        }
        Self::parse_question(bytes).ok_or(Refusal::Code(FORMAT_ERROR))
    }

    fn parse_question(bytes: &'q [u8]) -> Option<Query<'q>> {
        let mut at = HEADER;
        while *bytes.get(at)? != 0 {
            at += usize::from(bytes[at]) + 1;
            // A length above 63 would be a pointer, and there is nothing to point at.
            if bytes.get(at).is_some_and(|&length| length > 63) || at - HEADER > 254 {
                return None;
            }
        }
        let name_length = at + 1 - HEADER;
        let question_end = at + 5;
        let mut name = [0; 256];
        name[..name_length].copy_from_slice(bytes.get(HEADER..=at)?);
        name.make_ascii_lowercase();
        let kind = u16::from_be_bytes(bytes.get(at + 1..at + 3)?.try_into().ok()?);
        bytes.get(question_end - 1)?;
        let edns = bytes
            .get(question_end..question_end + 5)
            .filter(|opt| opt[..3] == [0, 0, 41]);
        let payload = edns.map_or(512, |opt| usize::from(u16::from_be_bytes([opt[3], opt[4]])));
        let has_edns = edns.is_some();
        Some(Query {
            bytes,
            question_end,
            kind,
            payload: payload.max(512),
            has_edns,
            name,
            name_length,
        })
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name[..self.name_length]
    }

    /// Starts an answer: header and the question as it was asked, letter case included.
    pub(crate) fn open(&self, code: u8, out: &mut Vec<u8>) {
        out.clear();
        out.extend(&self.bytes[..2]);
        // An answer, authoritative, recursion as desired; recursion available.
        out.extend([
            0x84 | self.bytes[2] & 1,
            0x80 | code,
            0,
            1,
            0,
            0,
            0,
            0,
            0,
            0,
        ]);
        out.extend(&self.bytes[HEADER..self.question_end]);
    }

    /// Ends an answer: the OPT record if the query had one.
    pub(crate) fn close(&self, out: &mut Vec<u8>) {
        if self.has_edns {
            out.extend([0, 0, OPT as u8, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
            out[11] = 1;
        }
    }
}

/// An answer without a question, for a query that could not be read.
pub(crate) fn refuse(query: &[u8], code: u8, out: &mut Vec<u8>) {
    out.clear();
    out.extend(&query[..2]);
    out.extend([0x80 | query[2] & 0x79, code, 0, 0, 0, 0, 0, 0, 0, 0]);
}

/// Sets how many records stand in the answer section of the message in `out`.
pub(crate) fn set_answers(out: &mut [u8], count: u16) {
    out[6..8].copy_from_slice(&count.to_be_bytes());
}

/// Sets how many records stand in the authority section of the message in `out`.
pub(crate) fn set_authorities(out: &mut [u8], count: u16) {
    out[8..10].copy_from_slice(&count.to_be_bytes());
}
