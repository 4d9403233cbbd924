//! The one message of a request: of bounded size, every field of it known, and whole.
//!
//! A field that is not known is refused as a member of a body is in REST: it may be a condition that would go unheard.

use std::collections::HashMap;
use std::sync::OnceLock;

use axum::body::{Body, Bytes, to_bytes};
use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};
use prost_types::{DescriptorProto, FileDescriptorSet};

use super::{DESCRIPTORS, methods};
use crate::error::Problem;
use crate::router::BODY_BYTES_MAX;

/// A flag and a length stand before each message.
const PREFIX_BYTES: usize = 5;

/// The body of a request, unchanged, once its message is sound.
pub(super) async fn read(body: Body, method: &methods::Method) -> Result<Bytes, Problem> {
    let too_large = |_| Problem::new("body_too_large", "the message is larger than is taken");
    let body = to_bytes(body, PREFIX_BYTES + BODY_BYTES_MAX).await;
    let body = body.map_err(too_large)?;
    let wrong = |detail: &str| Problem::new("bad_body", detail);
    let (prefix, message) = body
        .split_first_chunk::<PREFIX_BYTES>()
        .ok_or_else(|| wrong("there is no message"))?;
    let [flag, length @ ..] = *prefix;
    if u32::from_be_bytes(length) as usize != message.len() {
        return Err(wrong("one whole message is expected"));
    }
    if flag != 0 {
        return Err(wrong("compressed messages are not taken"));
    }
    let known = Known::get();
    known.check(&known.requests[method.name], message)?;
    let read = method.read(message);
    read.map_err(|error| Problem::new("bad_body", error))?;
    Ok(body)
}

/// What the descriptions know of.
struct Known {
    /// The fields of each message by its name; with the message that a field holds, if it holds one.
    fields: HashMap<String, HashMap<u32, Option<String>>>,
    /// The request of each method.
    requests: HashMap<String, String>,
}

impl Known {
    fn get() -> &'static Self {
        static KNOWN: OnceLock<Known> = OnceLock::new();
        KNOWN.get_or_init(|| {
            let set = FileDescriptorSet::decode(DESCRIPTORS);
            Self::of(&set.expect("a test compares it with the descriptions"))
        })
    }

    fn of(set: &FileDescriptorSet) -> Self {
        let mut known = Self {
            fields: HashMap::new(),
            requests: HashMap::new(),
        };
        for file in &set.file {
            for message in &file.message_type {
                known.add(file.package(), message);
            }
            for service in &file.service {
                known.requests.extend(service.method.iter().map(|method| {
                    let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                    (name, method.input_type().trim_start_matches('.').to_owned())
                }));
            }
        }
        known
    }

    fn add(&mut self, within: &str, message: &DescriptorProto) {
        let name = format!("{within}.{}", message.name());
        for nested in &message.nested_type {
            self.add(&name, nested);
        }
        let fields = message.field.iter().map(|field| {
            let held = field.type_name().trim_start_matches('.');
            let held = (field.r#type() == prost_types::field_descriptor_proto::Type::Message)
                .then(|| held.to_owned());
            (field.number().unsigned_abs(), held)
        });
        self.fields.insert(name, fields.collect());
    }

    /// Looks at every field. No message of a request holds itself, so that the depth is bounded.
    fn check(&self, name: &str, mut bytes: &[u8]) -> Result<(), Problem> {
        let wrong = |error| Problem::new("bad_body", error);
        let fields = &self.fields[name];
        while !bytes.is_empty() {
            let (number, wire) = decode_key(&mut bytes).map_err(wrong)?;
            let Some(held) = fields.get(&number) else {
                let detail = format!("{name} has no field {number}");
                return Err(Problem::new("bad_body", detail));
            };
            let value = value(wire, &mut bytes)?;
            if let (Some(held), WireType::LengthDelimited) = (held, wire) {
                self.check(held, value)?;
            }
        }
        Ok(())
    }
}

/// Takes the value of a field off the front.
fn value<'a>(wire: WireType, bytes: &mut &'a [u8]) -> Result<&'a [u8], Problem> {
    let wrong = |error| Problem::new("bad_body", error);
    let length = match wire {
        WireType::Varint => {
            decode_varint(bytes).map_err(wrong)?;
            0
        }
        WireType::ThirtyTwoBit => 4,
        WireType::SixtyFourBit => 8,
        WireType::LengthDelimited => {
            let length = decode_varint(bytes).map_err(wrong)?;
            usize::try_from(length).unwrap_or(usize::MAX)
        }
        WireType::StartGroup | WireType::EndGroup => {
            return Err(Problem::new("bad_body", "groups are not taken"));
        }
    };
    let cut = || Problem::new("bad_body", "the message ends within a field");
    let (value, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
    *bytes = rest;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::super::v1::{ListFindingsRequest, Moment, StartScanRequest, moment};
    use super::*;

    const LIST: &str = "mirage.v1.ListFindingsRequest";

    fn asked() -> ListFindingsRequest {
        let time = prost_types::Timestamp {
            seconds: 1,
            nanos: 2,
        };
        ListFindingsRequest {
            page_size: 7,
            kinds: vec!["domain".to_owned(), "url".to_owned()],
            in_scope: Some(false),
            moment: Some(Moment {
                at: Some(moment::At::Time(time)),
                min_position: 3,
            }),
            ..ListFindingsRequest::default()
        }
    }

    #[test]
    fn whatever_a_client_of_these_descriptions_sends_is_known() {
        let known = Known::get();
        known.check(LIST, &asked().encode_to_vec()).unwrap();
        let settings = [("dns.depth".to_owned(), "1".to_owned())];
        let start = StartScanRequest {
            settings: settings.into(),
            depth: Some(0),
            consent: true,
            ..StartScanRequest::default()
        };
        let sent = start.encode_to_vec();
        known.check("mirage.v1.StartScanRequest", &sent).unwrap();
        assert_eq!(known.requests.len(), methods::ALL.len());
    }

    #[test]
    fn bytes_of_anybody_are_looked_at_without_harm_and_none_too_strictly() {
        let (known, sent) = (Known::get(), asked().encode_to_vec());
        for end in 0..sent.len() {
            // A cut one may still be a message.
            let _ = known.check(LIST, &sent[..end]);
            for byte in 0..=u8::MAX {
                let mut changed = sent.clone();
                changed[end] = byte;
                let is_known = known.check(LIST, &changed).is_ok();
                let read = ListFindingsRequest::decode(&*changed);
                let is_whole = read.is_ok_and(|read| read.encoded_len() == changed.len());
                assert!(is_known || !is_whole, "{changed:?}");
            }
        }
    }
}
