//! An excerpt: the commits of one scan as an archive, and the way of such commits into another log.
//!
//! The commits keep their bytes and so their hashes and ids; their positions are numbered anew, from 2. An excerpt names
//! no log and begins after position 1, so that nothing takes it for a whole log.
//! **Invariant:** the archive is proven to its end, and held against the log, before the first commit is appended.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::{BufRead, Write};
use std::sync::Arc;

use futures::StreamExt;
use mirage_domain::id::{Digest, Position, ScanId, StreamId, WorkspaceId};

use super::{Error, FORMAT, Header, Reader, Writer};
use crate::commit::DecodeError;
use crate::{AppendError, EventLog, Filter, Read, Recorded, Tip};

/// The position before the first commit of an excerpt.
const AFTER: Position = Position(1);

/// Writes the commits of a scan up to a position; answers how many.
pub async fn export_scan<W: Write>(
    log: &dyn EventLog,
    out: W,
    keys: BTreeMap<String, Digest>,
    scan: &ScanId,
    upto: Position,
) -> Result<(W, u64), Error> {
    let header = Header {
        format: FORMAT,
        log_id: None,
        after: AFTER,
        log_hash: Digest::EMPTY,
        keys,
    };
    let (mut at, mut log_hash) = (AFTER, header.log_hash);
    let mut writer = Writer::begin(out, header)?;
    let mut read = log.read(Position(0), Filter::Scan(scan.clone()));
    while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
        if recorded.position > upto {
            break;
        }
        at = Position(at.0 + 1);
        log_hash = Digest::chain(log_hash, at, recorded.hash);
        writer.push(&Recorded {
            position: at,
            log_hash,
            ..Recorded::clone(&recorded)
        })?;
    }
    let (out, _) = writer.end()?;
    Ok((out, at.0 - AFTER.0))
}

/// What an archive holds of scans, and what of it the log has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scans {
    pub scans: BTreeSet<ScanId>,
    /// Commits of scans.
    pub commits: u64,
    /// Those of them that stood in the log before.
    pub there: u64,
    /// Commits of no scan, or of another workspace: they are left out.
    pub left_out: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Archive(#[from] Error),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("the commit at position {at} of the archive cannot be read")]
    Unreadable {
        at: Position,
        #[source]
        source: DecodeError,
    },
    #[error("stream {stream} goes on otherwise in this log; nothing was appended")]
    Differs { stream: StreamId },
}

impl ImportError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Archive(error) => error.code(),
            Self::Append(error) => error.code(),
            Self::Unreadable { source, .. } if source.is_newer() => "archive_newer",
            Self::Unreadable { .. } => "archive_damaged",
            Self::Differs { .. } => "conflict",
        }
    }
}

/// Reads an archive to its end and holds it against the log; appends nothing.
pub async fn look<R: BufRead>(
    log: &dyn EventLog,
    archive: Reader<R>,
    workspace: &WorkspaceId,
) -> Result<Scans, ImportError> {
    walk(log, archive, workspace, false).await
}

/// Appends what the log has not, as it is. Call [`look`] before; doing it again adds nothing.
pub async fn append<R: BufRead>(
    log: &dyn EventLog,
    archive: Reader<R>,
    workspace: &WorkspaceId,
) -> Result<Scans, ImportError> {
    walk(log, archive, workspace, true).await
}

/// Where a stream stands while an archive is walked.
#[derive(Debug, Clone, Copy)]
enum Stand {
    /// The log has the stream's commits up to here, and perhaps more.
    Within(Tip),
    /// The log has no more of it; none while only looking.
    AtEnd(Option<Tip>),
}

async fn walk<R: BufRead>(
    log: &dyn EventLog,
    archive: Reader<R>,
    workspace: &WorkspaceId,
    is_written: bool,
) -> Result<Scans, ImportError> {
    let mut scans = Scans::default();
    let mut stands: HashMap<StreamId, Stand> = HashMap::new();
    let mut own = Own::default();
    for archived in archive {
        let archived = archived?;
        let at = archived.position;
        let stream = archived.commit.stream.clone();
        let Some(scan) = stream
            .scan
            .clone()
            .filter(|_| stream.workspace == *workspace)
        else {
            scans.left_out += 1;
            continue;
        };
        // A program that cannot read an event must not bring it into its log.
        let read = archived.recorded();
        read.map_err(|source| ImportError::Unreadable { at, source })?;
        scans.scans.insert(scan);
        scans.commits += 1;
        let (tip, next) = match stands.get(&stream).copied() {
            Some(Stand::AtEnd(tip)) => (tip, None),
            Some(Stand::Within(tip)) => (Some(tip), own.next(log, &stream, Some(tip)).await?),
            None => (None, own.next(log, &stream, None).await?),
        };
        let stand = match next {
            Some(there) if there.hash == archived.commit.hash => {
                scans.there += 1;
                Stand::Within(there.tip())
            }
            Some(_) => return Err(ImportError::Differs { stream }),
            None if is_written => Stand::AtEnd(Some(log.append(archived.commit, tip).await?)),
            None => Stand::AtEnd(None),
        };
        stands.insert(stream, stand);
    }
    Ok(scans)
}

/// The page of the log's own commits that was read last: an archive mostly goes on in the stream where it is.
#[derive(Default)]
struct Own {
    stream: Option<StreamId>,
    page: VecDeque<Arc<Recorded>>,
}

impl Own {
    /// The log's commit that follows `tip` in a stream.
    async fn next(
        &mut self,
        log: &dyn EventLog,
        stream: &StreamId,
        tip: Option<Tip>,
    ) -> Result<Option<Arc<Recorded>>, Error> {
        if self.stream.as_ref() != Some(stream) || self.page.is_empty() {
            self.page = log.read_stream_page(stream, tip).await?.into();
            self.stream = Some(stream.clone());
        }
        Ok(self.page.pop_front())
    }
}
