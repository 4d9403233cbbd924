//! The one place where bytes become events: the commit, its JSON document, and the decoder.
//!
//! A commit is stored and hashed as the bytes that [`encode`] wrote, and never written anew.
//! Order of reading: verify the bytes, unseal with the reader's keys, upcast, apply.
//! **Invariant:** format 1 never changes meaning; a program that meets a newer format or event says "upgrade".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use mirage_domain::event::{self, Event};
use mirage_domain::id::{Cursor, Digest, ModuleName, Position, StreamId, TaskId, Version};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::COMMIT_BYTES_MAX;
use crate::plain::Plain;
use crate::seal::{Boxed, Keyring, NoKeys, SealError, unseal};

/// The format that this program writes.
pub const FORMAT: u32 = 1;

/// Who wrote a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: String,
    /// Of a module or service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ActorKind {
    User,
    Service,
    Module,
}

/// The idempotency key of the command that caused a commit, and the digest of the request as the client sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandKey {
    pub key: String,
    pub digest: Digest,
}

/// The event that caused a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Causation {
    pub commit: Uuid,
    /// Of the event in its commit, from 1.
    pub index: u32,
}

/// Under which task and settings the events came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    pub task: TaskId,
    pub attempt: u32,
    pub module: ModuleName,
    pub settings: Digest,
}

/// One event of a commit and the time at which it happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub event: Event,
    pub at: Timestamp,
}

/// 1..n events of one stream, appended atomically.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    pub id: Uuid,
    pub stream: StreamId,
    /// Of its first event.
    pub version: Version,
    pub recorded_at: Timestamp,
    pub actor: Actor,
    pub command: Option<CommandKey>,
    /// What belongs together over several streams; the scan, for all that happens in one.
    pub correlation: Option<String>,
    pub causation: Option<Causation>,
    /// W3C Trace Context.
    pub traceparent: Option<String>,
    /// SHA-256 of the stream's previous commit; none for its first.
    pub prev: Option<Digest>,
    pub context: Option<Context>,
    pub events: Vec<Entry>,
}

/// A commit at its place in the log.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub position: Position,
    /// SHA-256 of `bytes`.
    pub hash: Digest,
    pub log_hash: Digest,
    /// As they were written.
    pub bytes: Arc<[u8]>,
    pub commit: Commit,
}

impl Recorded {
    /// The events, each with where it stands.
    pub fn entries(&self) -> impl Iterator<Item = (Cursor, &Entry)> {
        let cursor = |at| Cursor {
            position: self.position,
            index: at as u32 + 1,
        };
        self.commit
            .events
            .iter()
            .enumerate()
            .map(move |(at, entry)| (cursor(at), entry))
    }

    /// The commit for another log, its bytes as they are.
    pub fn encoded(&self) -> EncodedCommit {
        EncodedCommit {
            id: self.commit.id,
            stream: self.commit.stream.clone(),
            version: self.commit.version,
            events: self.commit.events.len() as u32,
            prev: self.commit.prev,
            hash: self.hash,
            bytes: self.bytes.clone(),
        }
    }

    /// The end of the stream right after this commit.
    pub fn tip(&self) -> crate::Tip {
        let version = Version(self.commit.version.0 + self.commit.events.len() as u64 - 1);
        crate::Tip {
            position: self.position,
            version,
            hash: self.hash,
        }
    }
}

/// The bytes of a commit with what a backend must know of them.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedCommit {
    pub id: Uuid,
    pub stream: StreamId,
    /// Of its first event.
    pub version: Version,
    pub events: u32,
    pub prev: Option<Digest>,
    pub hash: Digest,
    pub bytes: Arc<[u8]>,
}

impl EncodedCommit {
    /// Version of the commit's last event.
    pub fn last_version(&self) -> Version {
        Version(self.version.0 + u64::from(self.events) - 1)
    }

    /// A commit of another log, its bytes as they are.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        // What [`encode`] writes has no line end, and an archive has a line for each commit.
        if bytes.contains(&b'\n') {
            return Err(DecodeError::Lines);
        }
        let wire = parse(bytes)?;
        Ok(Self {
            id: wire.commit,
            stream: wire.stream,
            version: wire.version,
            events: wire.events.len() as u32,
            prev: wire.prev,
            hash: Digest::of(bytes),
            bytes: bytes.into(),
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("a commit holds at least one event")]
    Empty,
    #[error("the commit has {bytes} bytes, more than {COMMIT_BYTES_MAX}")]
    TooLarge { bytes: usize },
    #[error("writing an event as JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
}

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("commit format {0} is not known to this program; upgrade this node")]
    Format(u32),
    #[error("the commit is not of its form")]
    Json(#[source] serde_json::Error),
    #[error("the commit holds no event")]
    Empty,
    #[error("the commit is more than one line")]
    Lines,
    #[error(transparent)]
    Event(event::ReadError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

impl DecodeError {
    /// Whether a newer program wrote it.
    pub fn is_newer(&self) -> bool {
        matches!(
            self,
            Self::Format(_) | Self::Event(event::ReadError::Unknown { .. })
        )
    }
}

/// The document, field by field in the order in which it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<E> {
    format: u32,
    commit: Uuid,
    stream: StreamId,
    version: Version,
    recorded_at: Timestamp,
    actor: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<CommandKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    causation: Option<Causation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prev: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<Context>,
    events: Vec<E>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEvent<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    v: u32,
    at: Timestamp,
    #[serde(borrow)]
    data: Cow<'a, RawValue>,
    /// By JSON pointer into `data`, where null stands instead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sealed: BTreeMap<String, Boxed>,
}

/// Writes a commit as the bytes that are stored and hashed for ever.
pub fn encode(commit: &Commit) -> Result<EncodedCommit, EncodeError> {
    encode_with(commit, |_, data| Ok((data, BTreeMap::new())))
}

type Sealing = (Box<RawValue>, BTreeMap<String, Boxed>);

/// Writes a commit whose events pass through `seal` first: version and data in, data and boxes out.
pub(crate) fn encode_with(
    commit: &Commit,
    mut seal: impl FnMut(Version, Box<RawValue>) -> Result<Sealing, SealError>,
) -> Result<EncodedCommit, EncodeError> {
    if commit.events.is_empty() {
        return Err(EncodeError::Empty);
    }
    let mut events = Vec::with_capacity(commit.events.len());
    for (version, entry) in (commit.version.0..).zip(&commit.events) {
        let (data, sealed) = seal(Version(version), entry.event.data()?)?;
        let (kind, v) = (entry.event.kind().into(), entry.event.version());
        events.push(WireEvent {
            kind,
            v,
            at: entry.at,
            data: Cow::Owned(data),
            sealed,
        });
    }
    let wire = Wire {
        format: FORMAT,
        commit: commit.id,
        stream: commit.stream.clone(),
        version: commit.version,
        recorded_at: commit.recorded_at,
        actor: commit.actor.clone(),
        command: commit.command.clone(),
        correlation: commit.correlation.clone(),
        causation: commit.causation,
        traceparent: commit.traceparent.clone(),
        prev: commit.prev,
        context: commit.context.clone(),
        events,
    };
    let bytes = serde_json::to_vec(&wire)?;
    if bytes.len() > COMMIT_BYTES_MAX {
        return Err(EncodeError::TooLarge { bytes: bytes.len() });
    }
    Ok(EncodedCommit {
        id: commit.id,
        stream: commit.stream.clone(),
        version: commit.version,
        events: commit.events.len() as u32,
        prev: commit.prev,
        hash: Digest::of(&bytes),
        bytes: bytes.into(),
    })
}

/// Bytes that an event adds to a commit, about: for writers that pack by bytes.
pub fn event_bytes(event: &Event) -> usize {
    /// Kind, version, time and punctuation.
    const FRAME: usize = 96;
    event
        .data()
        .map_or(COMMIT_BYTES_MAX, |data| data.get().len() + FRAME)
}

fn parse(bytes: &[u8]) -> Result<Wire<WireEvent<'_>>, DecodeError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let wire = serde_json::from_slice::<Wire<WireEvent<'_>>>(bytes);
    match wire {
        Ok(wire) if wire.format != FORMAT => Err(DecodeError::Format(wire.format)),
        Ok(wire) if wire.events.is_empty() => Err(DecodeError::Empty),
        Ok(wire) => Ok(wire),
        Err(error) => match serde_json::from_slice::<Format>(bytes) {
            Ok(Format { format }) if format != FORMAT => Err(DecodeError::Format(format)),
            _ => Err(DecodeError::Json(error)),
        },
    }
}

/// Reads a commit; sealed fields come back erased.
pub fn decode(bytes: &[u8]) -> Result<Commit, DecodeError> {
    decode_with(bytes, &NoKeys)
}

/// Reads a commit with the reader's keys; a sealed field whose key is missing comes back erased.
pub fn decode_with(bytes: &[u8], keys: &dyn Keyring) -> Result<Commit, DecodeError> {
    // Nearly every commit is of the plain form; what is not, or is damaged, is read with care.
    match serde_json::from_slice::<Wire<Plain>>(bytes) {
        Ok(wire) if wire.format == FORMAT && !wire.events.is_empty() => {
            Ok(wire.commit(|events| events.into_iter().map(|plain| plain.0).collect()))
        }
        _ => decode_apart(bytes, keys),
    }
}

/// Reads the document first, and each event's data by themselves.
fn decode_apart(bytes: &[u8], keys: &dyn Keyring) -> Result<Commit, DecodeError> {
    let wire = parse(bytes)?;
    let mut events = Vec::with_capacity(wire.events.len());
    for (version, event) in (wire.version.0..).zip(&wire.events) {
        let data = match event.sealed.is_empty() {
            true => Cow::Borrowed(&*event.data),
            false => Cow::Owned(unseal(
                &wire.stream,
                Version(version),
                &event.data,
                &event.sealed,
                keys,
            )?),
        };
        let read = Event::read(&event.kind, event.v, &data)?;
        events.push(Entry {
            event: read,
            at: event.at,
        });
    }
    Ok(wire.commit(|_| events))
}

impl<E> Wire<E> {
    fn commit(self, entries: impl FnOnce(Vec<E>) -> Vec<Entry>) -> Commit {
        Commit {
            id: self.commit,
            stream: self.stream,
            version: self.version,
            recorded_at: self.recorded_at,
            actor: self.actor,
            command: self.command,
            correlation: self.correlation,
            causation: self.causation,
            traceparent: self.traceparent,
            prev: self.prev,
            context: self.context,
            events: entries(self.events),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{commit_of, found};
    use mirage_domain::{log, scan};

    fn sample() -> Commit {
        let stream = StreamId::log();
        let created = log::Created {
            log_id: Uuid::nil(),
        };
        commit_of(stream, None, vec![log::Event::from(created).into()])
    }

    #[test]
    fn a_commit_reads_back_as_it_was_written() {
        let commit = Commit {
            command: Some(CommandKey {
                key: "k".into(),
                digest: Digest::of(b"request"),
            }),
            correlation: Some("scn_x".into()),
            causation: Some(Causation {
                commit: Uuid::max(),
                index: 3,
            }),
            traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
            prev: Some(Digest::of(b"before")),
            version: Version(4),
            ..commit_of(found(1).0, None, vec![found(1).1, found(2).1])
        };
        let encoded = encode(&commit).unwrap();
        assert_eq!(decode(&encoded.bytes).unwrap(), commit);
        assert_eq!(EncodedCommit::parse(&encoded.bytes).unwrap(), encoded);
        assert_eq!(encoded.last_version(), Version(5));
    }

    #[test]
    fn the_golden_commit_is_written_byte_for_byte() {
        let commit = sample();
        let golden = concat!(
            r#"{"format":1,"commit":"00000000-0000-0000-0000-000000000001","stream":"system/_/log/log","#,
            r#""version":1,"recorded_at":"2026-11-03T10:00:00Z","actor":{"kind":"service","id":"test"},"#,
            r#""events":[{"kind":"log.created","v":1,"at":"2026-11-03T10:00:00Z","#,
            r#""data":{"log_id":"00000000-0000-0000-0000-000000000000"}}]}"#
        );
        assert_eq!(
            std::str::from_utf8(&encode(&commit).unwrap().bytes).unwrap(),
            golden
        );
        assert_eq!(decode(golden.as_bytes()).unwrap(), commit);
    }

    #[test]
    fn a_newer_format_or_event_says_upgrade_and_damage_does_not() {
        let bytes = encode(&sample()).unwrap().bytes;
        let text = std::str::from_utf8(&bytes).unwrap();
        let newer = text.replacen(r#""format":1"#, r#""format":2,"fresh":0"#, 1);
        assert!(matches!(
            decode(newer.as_bytes()),
            Err(DecodeError::Format(2))
        ));
        let event = decode(text.replacen("log.created", "log.exploded", 1).as_bytes()).unwrap_err();
        assert!(event.is_newer());
        let extra = decode(
            text.replacen(r#""version""#, r#""other":1,"version""#, 1)
                .as_bytes(),
        );
        assert!(!extra.unwrap_err().is_newer());
        assert!(matches!(
            decode(
                text.replace(r#"{"kind":"log.created""#, r#"{"kin":"x""#)
                    .as_bytes()
            ),
            Err(DecodeError::Json(_))
        ));
    }

    #[test]
    fn the_short_way_reads_what_the_long_one_does_and_nothing_else() {
        let bytes = encode(&commit_of(found(1).0, None, vec![found(1).1, found(2).1]))
            .unwrap()
            .bytes;
        let text = std::str::from_utf8(&bytes).unwrap();
        let plain = |text: &str| serde_json::from_str::<Wire<Plain>>(text).ok();
        let read = plain(text).expect("what is written is of the plain form");
        let commit = read.commit(|events| events.into_iter().map(|plain| plain.0).collect());
        assert_eq!(commit, decode_apart(&bytes, &NoKeys).unwrap());
        let (kind, at) = (r#""kind":"task.found","#, r#""at":"2026-11-03T10:00:00Z","#);
        for other in [
            text.replacen(r#""v":1"#, r#""v":9"#, 1),
            text.replacen(kind, r#""kind":"task.exploded","#, 1),
            text.replacen(kind, r#""kind":"task.f\u006fund","#, 1),
            text.replacen(
                &format!(r#"{kind}"v":1,{at}"#),
                &format!(r#"{at}{kind}"v":1,"#),
                1,
            ),
            text.replacen("}}]}", r#"},"sealed":{}}]}"#, 1),
            text.replacen("}}]}", r#"},"data":{}}]}"#, 1),
        ] {
            assert_ne!(other, text);
            assert!(plain(&other).is_none(), "{other}");
        }
    }

    #[test]
    fn empty_and_oversized_commits_are_refused() {
        let empty = Commit {
            events: Vec::new(),
            ..sample()
        };
        assert!(matches!(encode(&empty), Err(EncodeError::Empty)));
        let (stream, event) = found(1);
        let many = commit_of(stream, None, vec![event; 2000]);
        assert!(matches!(encode(&many), Err(EncodeError::TooLarge { .. })));
    }

    #[test]
    fn packing_by_event_bytes_stays_within_what_is_written() {
        let (stream, event) = found(7);
        let sum = 100 * event_bytes(&event);
        let commit = commit_of(stream, None, vec![event; 100]);
        let written = encode(&commit).unwrap().bytes.len();
        assert!(written < sum + 1024, "{written} of {sum}");
    }

    #[test]
    fn a_scan_event_is_no_log_event() {
        let event: Event = scan::Event::from(scan::Started {}).into();
        assert_eq!(event.kind(), "scan.started");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_break_the_decoder(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            proptest::prop_assert!(decode(&bytes).is_err());
            proptest::prop_assert!(EncodedCommit::parse(&bytes).is_err());
        }

        #[test]
        fn a_commit_with_a_changed_byte_is_an_error_or_another_commit_that_reads_back(
            at in proptest::num::usize::ANY, byte in proptest::num::u8::ANY, is_cut in proptest::bool::ANY,
        ) {
            let (stream, event) = found(1);
            let mut bytes = encode(&commit_of(stream, None, vec![event])).unwrap().bytes.to_vec();
            let at = at % bytes.len();
            match is_cut {
                true => bytes.truncate(at),
                false => bytes[at] = byte,
            }
            let apart = decode_apart(&bytes, &NoKeys);
            proptest::prop_assert_eq!(decode(&bytes).ok(), apart.ok());
            if let Ok(commit) = decode(&bytes) {
                let again = encode(&commit).unwrap();
                proptest::prop_assert_eq!(decode(&again.bytes).unwrap(), commit);
            }
        }
    }
}
