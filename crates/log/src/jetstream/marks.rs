//! Hash marks: the log hash at every 256th position, so that a reader need not begin at 1.
//!
//! A mark is a hint and may be deleted: whoever carries the log hash past such a position writes it anew.
//! **Invariant:** a mark that says otherwise than the commits before it is damage, of the one or the other.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::stream::{Config, DirectGetErrorKind, Stream};
use async_nats::{HeaderMap, header};
use mirage_domain::id::{Digest, Position};
use serde::{Deserialize, Serialize};

use super::ask::Asker;
use super::batch::Of;
use super::configure::is_full;
use super::early;
use super::options::Options;
use crate::error::Damage;
use crate::{Head, OpenError, ReadError};

/// Positions between two marks.
pub(super) const EVERY: u64 = 256;
/// Points that are remembered in this process, about 100 bytes each.
const REMEMBERED_MAX: usize = 16 * 1024;

/// How often a mark is asked for when the server does not answer.
const FIND_TRIES: usize = 2;

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) position: Position,
    pub(super) log_hash: Digest,
    /// SHA-256 of the commit there.
    pub(super) commit: Digest,
}

/// Where the log hash is known.
pub(super) struct Marks {
    context: Context,
    stream: Stream<()>,
    prefix: String,
    /// What this process has carried the log hash to, or found at a mark and held against the commit there.
    remembered: Mutex<BTreeMap<u64, Digest>>,
}

fn name(of: &str) -> String {
    format!("{of}-marks")
}

impl Marks {
    /// Finds the marks of a log, or makes room for them.
    pub(super) async fn open(context: &Context, options: &Options) -> Result<Self, OpenError> {
        let (stream, prefix) = (name(&options.name), name(&options.prefix));
        let config = Config {
            name: stream.clone(),
            subjects: vec![format!("{prefix}.*")],
            max_messages_per_subject: 1,
            num_replicas: options.replicas,
            allow_direct: true,
            ..Config::default()
        };
        let made = early::patiently(|| context.get_or_create_stream(&config)).await;
        made.map_err(|error| match is_full(error.kind()) {
            true => OpenError::NoRoom {
                bytes: options.bytes_max,
            },
            false => OpenError::Server {
                doing: "making the log's marks",
                source: error.into(),
            },
        })?;
        let handle = context.get_stream_no_info(&stream).await;
        Ok(Self {
            context: context.clone(),
            stream: handle.map_err(|error| OpenError::Server {
                doing: "opening the log's marks",
                source: error.into(),
            })?,
            prefix,
            remembered: Mutex::default(),
        })
    }

    /// The newest mark that was written, wherever it stands.
    pub(super) async fn newest(&self) -> Option<Mark> {
        let all = format!("{}.*", self.prefix);
        let message = self
            .stream
            .get_last_raw_message_by_subject(&all)
            .await
            .ok()?;
        serde_json::from_slice(&message.payload).ok()
    }

    /// The mark at a position. One that cannot be had or read is as good as none: it costs only time.
    async fn find(&self, at: u64) -> Option<Mark> {
        let subject = format!("{}.{at}", self.prefix);
        for _ in 0..FIND_TRIES {
            match self.stream.direct_get_last_for_subject(&subject).await {
                Ok(message) => {
                    let mark = serde_json::from_slice::<Mark>(&message.payload).ok();
                    return mark.filter(|mark| mark.position.0 == at);
                }
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => return None,
                Err(error) => tracing::debug!(%error, "looking for a mark of the log"),
            }
        }
        None
    }

    /// Writes a mark where there is none; that it may fail is no matter.
    fn write(&self, mark: Mark) {
        let context = self.context.clone();
        let subject = format!("{}.{}", self.prefix, mark.position.0);
        let bytes = serde_json::to_vec(&mark).expect("digests and a number");
        tokio::spawn(async move {
            let mut headers = HeaderMap::new();
            headers.insert(header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, "0");
            let sent = context.publish_with_headers(subject, headers, bytes.into());
            if let Ok(acknowledgement) = sent.await
                && let Err(error) = acknowledgement.await
            {
                tracing::debug!(%error, "a mark of the log was not written");
            }
        });
    }

    pub(super) fn remember(&self, head: Head) {
        let mut remembered = self.remembered.lock().expect("no holder panics");
        remembered.insert(head.position.0, head.log_hash);
        if remembered.len() > REMEMBERED_MAX {
            remembered.pop_first();
        }
    }

    fn recall(&self, until: Position) -> Head {
        let remembered = self.remembered.lock().expect("no holder panics");
        let nearest = remembered.range(..=until.0).next_back();
        nearest.map_or(Head::EMPTY, |(position, log_hash)| Head {
            position: Position(*position),
            log_hash: *log_hash,
        })
    }

    /// Whoever has carried the log hash to a position with a mark compares it, and writes it where there is none.
    pub(super) async fn pass(&self, carried: Mark) -> Result<(), ReadError> {
        let at = carried.position;
        let known = self.recall(at);
        let is_known = known.position == at;
        let found = match is_known {
            true => None,
            false => self.find(at.0).await,
        };
        let differs = is_known && known.log_hash != carried.log_hash
            || found.is_some_and(|found| found != carried);
        if differs {
            let what = Damage::LogHash;
            return Err(ReadError::Damaged { at, what });
        }
        if !is_known && found.is_none() {
            self.write(carried);
        }
        self.remember(Head {
            position: at,
            log_hash: carried.log_hash,
        });
        Ok(())
    }

    /// A point at or before `until` at which the log hash is known, near by if there are marks.
    pub(super) async fn nearest(&self, asker: &Asker, until: Position) -> Result<Head, ReadError> {
        let known = self.recall(until);
        let mut at = until.0 - until.0 % EVERY;
        // Where marks are missing, the steps double: whoever reads on from there writes them.
        let mut step = EVERY;
        while at > known.position.0 {
            if let Some(mark) = self.find(at).await {
                return self.proven(asker, mark).await;
            }
            at = at.saturating_sub(step);
            step *= 2;
        }
        Ok(known)
    }

    /// A mark whose commit is still the one that stood there.
    pub(super) async fn proven(&self, asker: &Asker, mark: Mark) -> Result<Head, ReadError> {
        let at = mark.position;
        let there = asker.seen_at(at).await?;
        let what = match there {
            Some(there) if there.hash == mark.commit => {
                let head = Head {
                    position: at,
                    log_hash: mark.log_hash,
                };
                self.remember(head);
                return Ok(head);
            }
            Some(_) => Damage::LogHash,
            None => Damage::Missing,
        };
        Err(ReadError::Damaged { at, what })
    }

    /// The log hash at a position that is in the log.
    pub(super) async fn log_hash(&self, asker: &Asker, at: Position) -> Result<Digest, ReadError> {
        let mut head = self.nearest(asker, at).await?;
        while head.position < at {
            let mut carried = Vec::new();
            let page = super::page::next(asker, Of::All, head.position).await?;
            for raw in page.messages {
                if head.position == at {
                    break;
                }
                head = super::page::carry(head, &raw)?;
                if head.position.0.is_multiple_of(EVERY) {
                    carried.push(Mark {
                        position: head.position,
                        log_hash: head.log_hash,
                        commit: raw.hash,
                    });
                }
            }
            for mark in carried {
                self.pass(mark).await?;
            }
        }
        self.remember(head);
        Ok(head.log_hash)
    }
}
