//! Answers: what a stored exchange means. The live probe and the replay read the same bytes with these functions.
//!
//! **Invariant:** pure; an answer hangs on the exchange and the request alone.

use hickory_proto::op::Message;
use hickory_proto::rr::Record;
use mirage_domain::id::Digest;

use super::DnsAnswer;
use super::question::HEADER_BYTES;
use crate::collectors::CollectError;

/// Records of one section that are kept; no honest set is larger.
const RECORDS_MAX: usize = 256;

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
