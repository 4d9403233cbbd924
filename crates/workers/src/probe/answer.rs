//! Answers: what a stored exchange means.
//!
//! The live probe and the replay read the same bytes with these functions.
//!
//! **Invariant:** pure; an answer hangs on the exchange and the request alone.

use bytes::Bytes;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use mirage_domain::id::Digest;

use super::exchange::{Exchange, Frame};
use super::question::HEADER_BYTES;
use super::{DnsAnswer, Handshake, OpenPort, Page, Transfer, encoding};
use crate::collectors::CollectError;

/// Records of one section that are kept; no honest set is larger.
const RECORDS_MAX: usize = 256;
/// Records of a zone that are kept.
pub(crate) const TRANSFER_RECORDS_MAX: usize = 100_000;
/// Certificates of a chain that are kept.
const CHAIN_MAX: usize = 16;

fn malformed(what: &str, cause: impl std::fmt::Display) -> CollectError {
    CollectError::Malformed(format!("{what}: {cause}"))
}

/// A DNS message as an answer.
pub(crate) fn dns(message: &[u8], evidence: Digest) -> Result<DnsAnswer, CollectError> {
    let message = decode(message)?;
    let kept = |records: Vec<Record>| records.into_iter().take(RECORDS_MAX).map(lower).collect();
    Ok(DnsAnswer {
        code: message.metadata.response_code,
        answers: kept(message.answers),
        authorities: kept(message.authorities),
        evidence,
    })
}

/// Reads a message as if its question had been asked in lower case: names are often compressed into the question,
/// and its random case must not reach a finding.
fn decode(message: &[u8]) -> Result<Message, CollectError> {
    let mut message = message.to_vec();
    // More than one question is never asked, and the decoder would reserve room for each.
    if message.get(4..6).is_none_or(|count| count > &[0, 1][..]) {
        return Err(malformed("DNS message", "not one question"));
    }
    let mut at = HEADER_BYTES;
    while let Some(length) = message.get(at).copied().map(usize::from)
        && (1..=63).contains(&length)
    {
        let end = message.len().min(at + 1 + length);
        message[at + 1..end].make_ascii_lowercase();
        at = end;
    }
    Message::from_vec(&message).map_err(|error| malformed("DNS message", error))
}

fn lower(mut record: Record) -> Record {
    record.name = record.name.to_lowercase();
    record
}

/// Messages of a zone transfer, each after its 2-byte length; complete if the zone's SOA came again at the end
/// (RFC 5936 §2.2). No record means that the server declined.
pub(crate) fn transfer(mut messages: &[u8], evidence: Digest) -> Result<Transfer, CollectError> {
    let (mut records, mut is_declined) = (Vec::new(), false);
    while let Some((length, rest)) = messages.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((message, rest)) = rest.split_at_checked(length) else {
            break;
        };
        messages = rest;
        let message = decode(message)?;
        is_declined |= message.metadata.response_code != ResponseCode::NoError;
        records.extend(message.answers.into_iter().map(lower));
    }
    let is_cut = !is_declined && !is_whole(&records) || records.len() > TRANSFER_RECORDS_MAX;
    records.truncate(TRANSFER_RECORDS_MAX);
    Ok(Transfer {
        records,
        is_cut,
        evidence,
    })
}

/// Whether records begin and end with the zone's SOA.
fn is_whole(records: &[Record]) -> bool {
    match records {
        [first, .., last] => is_soa(first) && is_soa(last),
        _ => false,
    }
}

fn is_soa(record: &Record) -> bool {
    record.record_type() == RecordType::SOA
}

/// What one message adds to a transfer that is still coming.
pub(crate) struct Counted {
    pub(crate) records: usize,
    /// The second one ends the zone.
    pub(crate) soas: usize,
    pub(crate) is_declined: bool,
}

pub(crate) fn counted(message: &[u8]) -> Result<Counted, CollectError> {
    let message = decode(message)?;
    Ok(Counted {
        records: message.answers.len(),
        soas: message
            .answers
            .iter()
            .filter(|record| is_soa(record))
            .count(),
        is_declined: message.metadata.response_code != ResponseCode::NoError,
    })
}

/// A web server's answer; `bytes_max` bounds the decoded body.
pub(crate) fn page(
    exchange: Exchange,
    bytes_max: usize,
    evidence: Digest,
) -> Result<Page, CollectError> {
    let Frame::Http {
        url,
        remote,
        version,
        status,
        headers,
        is_cut,
        ..
    } = exchange.frame
    else {
        return Err(malformed("exchange", "not of HTTP"));
    };
    let codings = all(&headers, "content-encoding");
    let decoded = encoding::decode(&exchange.payload, &codings, bytes_max);
    Ok(Page {
        url,
        hops: Vec::new(),
        status,
        version: match version.as_str() {
            "HTTP/2" => "HTTP/2",
            "HTTP/1.0" => "HTTP/1.0",
            _ => "HTTP/1.1",
        },
        headers,
        body: Bytes::from(decoded.body),
        is_cut: is_cut || decoded.is_cut,
        remote: remote.parse().ok(),
        evidence,
    })
}

/// The values of a header, as one list (RFC 9110 §5.3).
fn all(headers: &[(String, String)], name: &str) -> String {
    let values = headers.iter().filter(|(key, _)| key == name);
    let values: Vec<&str> = values.map(|(_, value)| value.as_str()).collect();
    values.join(",")
}

/// A TLS handshake with the chain that was presented.
pub(crate) fn handshake(exchange: Exchange, evidence: Digest) -> Result<Handshake, CollectError> {
    let Frame::Tls {
        remote,
        server_name,
        version,
        cipher,
        protocol,
    } = exchange.frame
    else {
        return Err(malformed("exchange", "not of TLS"));
    };
    Ok(Handshake {
        remote: remote.parse().map_err(|e| malformed("remote", e))?,
        server_name,
        version,
        cipher,
        protocol,
        chain: certificates(exchange.payload.into()),
        evidence,
    })
}

/// The payload of a handshake: each certificate after its 4-byte length.
pub(crate) fn chain_payload<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut payload = Vec::new();
    for certificate in chain.into_iter().take(CHAIN_MAX) {
        let length = u32::try_from(certificate.len()).expect("TLS bounds a chain to 16 MiB");
        payload.extend_from_slice(&length.to_be_bytes());
        payload.extend_from_slice(certificate);
    }
    payload
}

fn certificates(mut payload: Bytes) -> Vec<Bytes> {
    let mut chain = Vec::new();
    while let Some(length) = payload.first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let _ = payload.split_to(4);
        chain.push(payload.split_to(length.min(payload.len())));
    }
    chain
}

/// An open port with what was said there; `bytes_max` bounds it.
pub(crate) fn open_port(exchange: Exchange, bytes_max: usize, evidence: Digest) -> OpenPort {
    let mut said = Bytes::from(exchange.payload);
    let was_cut = matches!(exchange.frame, Frame::Line { is_cut: true, .. });
    let is_cut = was_cut || said.len() > bytes_max;
    said.truncate(bytes_max);
    OpenPort {
        said,
        is_cut,
        evidence,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = dns(&bytes, Digest::EMPTY);
            let _ = transfer(&bytes, Digest::EMPTY);
            let _ = certificates(bytes.clone().into());
            let mut response = vec![0, 0, 0x80, 0, 0, 0, 0, 9, 0, 9, 0, 9];
            response.extend_from_slice(&bytes);
            let _ = dns(&response, Digest::EMPTY);
        }
    }

    #[test]
    fn a_chain_comes_back_as_it_was() {
        let chain: [&[u8]; 3] = [b"leaf", b"", b"root"];
        assert_eq!(certificates(chain_payload(chain).into()), chain);
        assert_eq!(certificates(Bytes::from_static(&[0, 0, 1])), [""; 0]);
        assert_eq!(certificates(Bytes::from_static(&[0, 0, 1, 0, 7])).len(), 1);
    }

    #[test]
    fn a_message_with_many_questions_is_not_decoded() {
        let message = [0, 0, 0x80, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            dns(&message, Digest::EMPTY).unwrap_err().reason(),
            "malformed"
        );
    }
}
