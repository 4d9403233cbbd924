//! A log that takes nothing while a flag is set, as one whose disk is full.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use mirage_domain::id::{Position, StreamId};
use mirage_log::memory::Memory;
use mirage_log::{
    AppendError, Capabilities, EncodedCommit, EventLog, Filter, Head, Read, ReadError, Recorded,
    Tip,
};

pub(crate) struct Refusing {
    pub(crate) log: Memory,
    pub(crate) is_refusing: Arc<AtomicBool>,
}

#[async_trait]
impl EventLog for Refusing {
    async fn append(
        &self,
        commit: EncodedCommit,
        expected: Option<Tip>,
    ) -> Result<Tip, AppendError> {
        match self.is_refusing.load(Ordering::SeqCst) {
            true => Err(AppendError::Full("no room".into())),
            false => self.log.append(commit, expected).await,
        }
    }

    async fn copy(&self, at: Position, commit: EncodedCommit) -> Result<(), AppendError> {
        self.log.copy(at, commit).await
    }

    fn read(&self, after: Position, filter: Filter) -> BoxStream<'_, Result<Read, ReadError>> {
        self.log.read(after, filter)
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        after: Position,
    ) -> Result<Vec<Arc<Recorded>>, ReadError> {
        self.log.read_stream(stream, after).await
    }

    async fn read_stream_page(
        &self,
        stream: &StreamId,
        tip: Option<Tip>,
    ) -> Result<Vec<Arc<Recorded>>, ReadError> {
        self.log.read_stream_page(stream, tip).await
    }

    async fn commit(&self, at: Position) -> Result<Arc<Recorded>, ReadError> {
        self.log.commit(at).await
    }

    async fn head(&self) -> Result<Head, ReadError> {
        self.log.head().await
    }

    fn capabilities(&self) -> Capabilities {
        self.log.capabilities()
    }
}
