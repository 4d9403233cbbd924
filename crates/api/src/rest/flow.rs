//! An answer of any length: a thread writes it, and waits for whoever reads.
//!
//! **Invariant:** what fails before the first piece is a refusal; what fails behind it breaks the answer off, so that
//! nobody takes half of it for the whole.
//! **Never:** more than [`FLOWS_MAX`] of them at once, [`FLOWS_OF_ONE_MAX`] of them for one workspace.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::stream::{self, StreamExt};
use mirage_domain::id::WorkspaceId;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::error::Problem;
use crate::live::PATIENCE;

/// Long answers at once: each holds a thread and what it reads from.
pub const FLOWS_MAX: usize = 16;
/// Long answers at once for one workspace.
pub const FLOWS_OF_ONE_MAX: usize = 8;
/// How long one waits for its place.
const PLACE_MAX: Duration = Duration::from_secs(2);
/// Bytes of one piece on its way out.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for a slow reader.
const PIECES: usize = 4;

/// Places for what takes long, some of them for one workspace.
pub struct Flows {
    all: Arc<Semaphore>,
    of_one_max: usize,
    of_each: Mutex<HashMap<WorkspaceId, Arc<Semaphore>>>,
}

/// A place among them, free again when it is dropped.
pub(crate) struct Place {
    _all: OwnedSemaphorePermit,
    _of_one: OwnedSemaphorePermit,
}

impl Default for Flows {
    /// For long answers.
    fn default() -> Self {
        Self::new(FLOWS_MAX, FLOWS_OF_ONE_MAX)
    }
}

impl Flows {
    pub fn new(all: usize, of_one_max: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            of_one_max,
            of_each: Mutex::default(),
        }
    }

    pub(crate) async fn place(&self, workspace: &WorkspaceId) -> Result<Place, Problem> {
        let of_one = {
            let mut of_each = self.of_each.lock().expect("no holder panics");
            let fresh = || Arc::new(Semaphore::new(self.of_one_max));
            let of_one = of_each.entry(workspace.clone()).or_insert_with(fresh);
            of_one.clone()
        };
        let place = async {
            let of_one = of_one.acquire_owned().await.ok()?;
            let all = self.all.clone().acquire_owned().await.ok()?;
            Some(Place {
                _all: all,
                _of_one: of_one,
            })
        };
        let place = tokio::time::timeout(PLACE_MAX, place).await.ok().flatten();
        place.ok_or_else(|| Problem::new("overloaded", "too much that takes long at once"))
    }
}

type Piece = Result<Bytes, Box<Problem>>;

/// Where the thread writes.
pub(crate) struct Outflow {
    pieces: mpsc::Sender<Piece>,
    waiting: Vec<u8>,
    runtime: Handle,
}

impl Outflow {
    fn send(&mut self, piece: Piece) -> io::Result<()> {
        let sent = tokio::time::timeout(PATIENCE, self.pieces.send(piece));
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Outflow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE_BYTES - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..taken]);
        if self.waiting.len() == PIECE_BYTES {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(PIECE_BYTES));
        self.send(Ok(piece.into()))
    }
}

/// The body that `work` writes, once there is a piece of it. The output is flushed behind it.
pub(crate) async fn flow(
    place: Place,
    work: impl FnOnce(&mut Outflow) -> Result<(), crate::export::Error> + Send + 'static,
) -> Result<Body, Problem> {
    let (pieces, mut taken) = mpsc::channel::<Piece>(PIECES);
    let mut out = Outflow {
        pieces,
        waiting: Vec::with_capacity(PIECE_BYTES),
        runtime: Handle::current(),
    };
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let written = work(&mut out).and_then(|()| Ok(out.flush()?));
        let problem = match written {
            Ok(()) => return,
            // Whoever stops reading ends this thread.
            Err(crate::export::Error::Output(error)) => {
                Box::new(Problem::of("output_failed", &error))
            }
            Err(crate::export::Error::Problem(problem)) => problem,
        };
        let (code, cause) = (problem.row.code, problem.cause.as_deref());
        tracing::debug!(code, cause, "an answer was not written to its end");
        let _ = out.send(Err(problem));
    });
    let first = match taken.recv().await {
        Some(Err(problem)) => return Err(*problem),
        first => first,
    };
    let rest = stream::poll_fn(move |context| taken.poll_recv(context));
    let pieces = stream::iter(first).chain(rest);
    Ok(Body::from_stream(pieces.map(|piece| {
        piece.map_err(|problem| io::Error::other(*problem))
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Error;

    fn workspace(name: &str) -> WorkspaceId {
        WorkspaceId::new(name).unwrap()
    }

    /// Writes for as long as somebody reads.
    async fn endless(flows: &Flows, of: &str) -> Result<Body, Problem> {
        let place = flows.place(&workspace(of)).await?;
        let work = |out: &mut Outflow| -> Result<(), Error> {
            loop {
                out.write_all(&[b'x'; 1024])?;
            }
        };
        flow(place, work).await
    }

    #[tokio::test]
    async fn one_workspace_does_not_take_every_place_and_who_leaves_frees_his() {
        let flows = Flows::default();
        let mut bodies = Vec::new();
        for _ in 0..FLOWS_OF_ONE_MAX {
            bodies.push(endless(&flows, "one").await.unwrap());
        }
        let refused = endless(&flows, "one").await.err().unwrap();
        assert_eq!(refused.row.code, "overloaded");
        drop(endless(&flows, "two").await.unwrap());
        bodies.clear();
        drop(endless(&flows, "one").await.unwrap());
    }

    #[tokio::test]
    async fn a_failure_is_a_refusal_before_the_first_piece_and_breaks_the_answer_behind_it() {
        let flows = Flows::default();
        let failing = async |bytes: usize| {
            let place = flows.place(&workspace("one")).await.unwrap();
            let work = move |out: &mut Outflow| {
                out.write_all(&vec![b'x'; bytes])?;
                Err(Problem::new("log_damaged", "at 7").into())
            };
            flow(place, work).await
        };
        let refused = failing(PIECE_BYTES - 1).await.err().unwrap();
        assert_eq!(refused.row.code, "log_damaged");
        let body = failing(PIECE_BYTES + 1).await.unwrap();
        let pieces: Vec<_> = body.into_data_stream().collect().await;
        let [first, last] = &pieces[..] else {
            panic!("{pieces:?}");
        };
        assert_eq!(first.as_ref().unwrap().len(), PIECE_BYTES);
        assert!(last.is_err());
    }
}
