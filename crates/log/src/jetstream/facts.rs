//! What the servers say of the log's JetStream stream, in numbers: for whoever looks after them.

use super::JetStream;
use super::ask::patiently;
use crate::ReadError;

/// Subjects beyond which no new scan is begun: each costs a server about 400 bytes of memory (430 were measured), so
/// 2 GB at this number. A task is a stream, and so a subject.
pub const SUBJECTS_MAX: u64 = 5_000_000;

/// See the module's doc.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub messages: u64,
    pub bytes: u64,
    /// Bytes after which the log takes no more.
    pub bytes_max: u64,
    /// Streams of the log.
    pub subjects: u64,
    /// Copies that are wanted, and those that are up to date, the leader's among them.
    pub replicas: u64,
    pub replicas_current: u64,
}

impl JetStream {
    /// Asks the leader; lists no subjects.
    pub async fn facts(&self) -> Result<Facts, ReadError> {
        let info = patiently(|| self.inner.asker.stream.get_info()).await?;
        // A server alone has no cluster; in one without a leader nobody would have answered.
        let followers = info.cluster.iter().flat_map(|cluster| &cluster.replicas);
        let current = followers.filter(|peer| peer.current && !peer.offline);
        Ok(Facts {
            messages: info.state.messages,
            bytes: info.state.bytes,
            bytes_max: u64::try_from(info.config.max_bytes).unwrap_or(u64::MAX),
            subjects: info.state.subjects_count,
            replicas: info.config.num_replicas as u64,
            replicas_current: 1 + current.count() as u64,
        })
    }
}
