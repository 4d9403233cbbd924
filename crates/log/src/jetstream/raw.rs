//! A message of the log before it is decoded, and what it is held against.

use std::sync::Arc;

use async_nats::jetstream::message::StreamMessage;
use async_nats::{HeaderMap, header};
use mirage_domain::id::{Digest, Position};

use super::subject;
use crate::commit::{Commit, decode};
use crate::error::Damage;
use crate::{EncodedCommit, ReadError, Recorded};

/// A message of the log, not yet decoded.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) position: Position,
    pub(super) hash: Digest,
    pub(super) bytes: Arc<[u8]>,
    subject: String,
    id: Option<String>,
}

impl Raw {
    pub(super) fn new(position: u64, subject: &str, headers: &HeaderMap, bytes: &[u8]) -> Self {
        Self {
            position: Position(position),
            hash: Digest::of(bytes),
            bytes: bytes.into(),
            subject: subject.to_owned(),
            id: headers
                .get(header::NATS_MESSAGE_ID)
                .map(|id| id.as_str().to_owned()),
        }
    }

    pub(super) fn of(message: StreamMessage) -> Self {
        let StreamMessage {
            subject,
            sequence,
            headers,
            payload,
            ..
        } = message;
        Self::new(sequence, &subject, &headers, &payload)
    }

    /// What a backend must know of the commit.
    pub(super) fn parse(&self) -> Result<EncodedCommit, ReadError> {
        EncodedCommit::parse(&self.bytes).map_err(|source| ReadError::Decode {
            at: self.position,
            source,
        })
    }

    /// The commit, held against the message's subject and id.
    pub(super) fn decode(self, prefix: &str, log_hash: Digest) -> Result<Recorded, ReadError> {
        let at = self.position;
        let commit = decode(&self.bytes).map_err(|source| ReadError::Decode { at, source })?;
        if let Some(what) = self.differs(prefix, &commit) {
            return Err(ReadError::Damaged {
                at,
                what: Damage::Row(what),
            });
        }
        Ok(Recorded {
            position: at,
            hash: self.hash,
            log_hash,
            bytes: self.bytes,
            commit,
        })
    }

    fn differs(&self, prefix: &str, commit: &Commit) -> Option<&'static str> {
        let is_there =
            subject::of_stream(prefix, &commit.stream).is_ok_and(|subject| subject == self.subject);
        let id = commit.id.to_string();
        match () {
            () if !is_there => Some("subject"),
            () if self.id.as_deref() != Some(&id) => Some("id"),
            () => None,
        }
    }
}
