//! DNS questions on the wire: encoding one, and telling whether a message answers it (RFC 1035 §4).
//!
//! **Invariant:** a message answers a question if id and question section are equal, letter case included.

use hickory_proto::rr::RecordType;

use crate::collectors::CollectError;

/// Bytes of a message header.
pub(crate) const HEADER_BYTES: usize = 12;
/// Longest name on the wire.
const NAME_BYTES_MAX: usize = 255;
const LABEL_BYTES_MAX: usize = 63;
/// Answer size that is asked for over UDP; it passes any path unfragmented (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;
/// The class Internet.
const IN: u16 = 1;

/// A question section of one question: name, type and class as they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question(Box<[u8]>);

impl Question {
    /// Reads a name in ASCII presentation form, with or without its last dot; escapes are not known.
    pub(crate) fn new(name: &str, kind: RecordType) -> Result<Self, CollectError> {
        let wrong = || CollectError::Malformed(format!("`{name}` is no host name"));
        let text = name.strip_suffix('.').unwrap_or(name);
        let mut wire = Vec::with_capacity(text.len() + 6);
        if !text.is_empty() {
            for label in text.split('.') {
                let is_fit = (1..=LABEL_BYTES_MAX).contains(&label.len()) && label.is_ascii();
                let length = u8::try_from(label.len()).ok().filter(|_| is_fit);
                wire.push(length.ok_or_else(wrong)?);
                wire.extend_from_slice(label.as_bytes());
            }
        }
        wire.push(0);
        if wire.len() > NAME_BYTES_MAX {
            return Err(wrong());
        }
        wire.extend_from_slice(&u16::from(kind).to_be_bytes());
        wire.extend_from_slice(&IN.to_be_bytes());
        Ok(Self(wire.into()))
    }

    /// The same question with the letters' case drawn from `random` (draft-vixie-dnsext-dns0x20).
    pub(crate) fn with_case(&self, random: [u8; 32]) -> Self {
        let mut wire = self.0.clone();
        let end = wire.len() - 4;
        for (index, byte) in wire[..end].iter_mut().enumerate() {
            let bit = random[index / 8 % 32] >> (index % 8) & 1;
            if byte.is_ascii_alphabetic() && bit == 1 {
                // A length byte is at most 63, below every letter.
                *byte ^= 0x20;
            }
        }
        Self(wire)
    }

    /// A query that asks for recursion.
    pub(crate) fn query(&self, id: u16, has_edns: bool) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER_BYTES + self.0.len() + 11);
        message.extend_from_slice(&id.to_be_bytes());
        message.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(has_edns)]);
        message.extend_from_slice(&self.0);
        if has_edns {
            // RFC 6891 §6.1.2: root name, type 41, class = payload size, no flags, no options.
            message.extend_from_slice(&[0, 0, 41]);
            message.extend_from_slice(&UDP_PAYLOAD.to_be_bytes());
            message.extend_from_slice(&[0; 6]);
        }
        message
    }

    /// Whether `message` is a response with this very question.
    pub(crate) fn is_answered_by(&self, message: &[u8]) -> bool {
        self.section_of(message)
            .is_some_and(|theirs| theirs == &*self.0)
    }

    /// The same, were it not for the case of letters.
    pub(crate) fn is_nearly_answered_by(&self, message: &[u8]) -> bool {
        let theirs = self.section_of(message);
        theirs.is_some_and(|theirs| theirs.eq_ignore_ascii_case(&self.0))
    }

    fn section_of<'a>(&self, message: &'a [u8]) -> Option<&'a [u8]> {
        let is_response = message.get(2)? & 0x80 != 0;
        let has_one = message.get(4..6)? == [0, 1];
        let section = message.get(HEADER_BYTES..HEADER_BYTES + self.0.len())?;
        (is_response && has_one).then_some(section)
    }
}

/// Whether the server had more to say than fitted.
pub(crate) fn is_truncated(message: &[u8]) -> bool {
    message.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

/// The response code of the header, without its extension.
pub(crate) fn code(message: &[u8]) -> u8 {
    message.get(3).map_or(0, |flags| flags & 0x0f)
}

pub(crate) fn id(message: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes([*message.first()?, *message.get(1)?]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_letters_in_the_same_case_are_an_answer() {
        let question = Question::new("example.com.", RecordType::A).unwrap();
        let asked = question.with_case([0b0101_0101; 32]);
        assert_ne!(question, asked);
        let mut message = asked.query(7, false);
        assert!(!asked.is_answered_by(&message), "a query is no answer");
        message[2] |= 0x80;
        assert!(asked.is_answered_by(&message));
        assert!(!question.is_answered_by(&message));
        assert!(question.is_nearly_answered_by(&message));
        let other = Question::new("example.com", RecordType::AAAA).unwrap();
        assert!(!other.is_nearly_answered_by(&message));
        assert!(!asked.is_answered_by(&message[..20]));
    }

    #[test]
    fn a_text_that_is_no_name_is_not_asked_about() {
        let long = format!("{}.com", "a".repeat(64));
        let deep = "a.".repeat(128);
        for text in ["a..b", ".a", "ü.de", &long, &deep] {
            assert!(Question::new(text, RecordType::A).is_err(), "{text}");
        }
        assert!(Question::new("", RecordType::NS).is_ok(), "the root");
        assert!(Question::new("_dmarc.a_b.example", RecordType::TXT).is_ok());
    }
}
