//! A build that is written behind: rows go into the store while those of the next batch are made.
//!
//! For a build alone, which nobody asks and nobody else writes: what was handed over and is not yet written is lost with
//! the process, and so is the build.
//!
//! **Invariant:** one batch at a time is on its way; an error of it is the answer to the next call.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::{Checkpoint, Completed, Target};
use crate::operations::Operations;
use crate::{Db, Error, Registered};

/// See the module's doc.
pub(super) struct WriteBehind {
    view: &'static Registered,
    /// As of what was handed over.
    checkpoint: Checkpoint,
    writer: Writer,
    /// Of the batch on its way.
    is_writing: bool,
    /// Memory of a batch that is written.
    spare: Operations,
}

type Batch = (Operations, Checkpoint);

/// The thread that has the build until it is asked back.
struct Writer {
    batches: SyncSender<Batch>,
    written: Receiver<Result<Operations, Error>>,
    thread: JoinHandle<Box<dyn Target>>,
}

impl WriteBehind {
    /// Over a build that is pinned: nobody replaces it.
    pub(super) fn new(
        view: &'static Registered,
        mut target: Box<dyn Target>,
    ) -> Result<Self, Error> {
        let checkpoint = target.begin();
        target.abandon();
        Ok(Self {
            view,
            checkpoint: checkpoint?,
            writer: Writer::start(target),
            is_writing: false,
            spare: Operations::default(),
        })
    }

    /// Waits for the batch on its way.
    fn settle(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.is_writing) {
            let written = self.writer.written.recv();
            self.spare = written.unwrap_or(Err(Error::CutOff(self.view.name)))?;
        }
        Ok(())
    }

    /// The build, once all that was handed over is written.
    fn back(mut self) -> Result<Box<dyn Target>, Error> {
        self.settle()?;
        let Writer {
            batches, thread, ..
        } = self.writer;
        drop(batches);
        thread.join().map_err(|_| Error::CutOff(self.view.name))
    }
}

impl Writer {
    fn start(mut target: Box<dyn Target>) -> Self {
        let (batches, taken) = sync_channel::<Batch>(1);
        let (tell, written) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            for (mut operations, last) in taken {
                let outcome = write(&mut *target, &mut operations, last);
                if tell.send(outcome.map(|()| operations)).is_err() {
                    break;
                }
            }
            target
        });
        Self {
            batches,
            written,
            thread,
        }
    }
}

fn write(
    target: &mut dyn Target,
    operations: &mut Operations,
    last: Checkpoint,
) -> Result<(), Error> {
    target.begin()?;
    target
        .finish(operations, last)
        .inspect_err(|_| target.abandon())
}

impl Target for WriteBehind {
    fn begin(&mut self) -> Result<Checkpoint, Error> {
        Ok(self.checkpoint)
    }

    /// A build begins without any, and what it sets aside later its [`super::Store`] knows.
    fn quarantined(&mut self) -> Result<HashSet<String>, Error> {
        Ok(HashSet::new())
    }

    fn finish(&mut self, operations: &mut Operations, last: Checkpoint) -> Result<(), Error> {
        self.settle()?;
        let spare = std::mem::take(&mut self.spare);
        let batch = (std::mem::replace(operations, spare), last);
        let sent = self.writer.batches.send(batch);
        sent.map_err(|_| Error::CutOff(self.view.name))?;
        self.is_writing = true;
        self.checkpoint = last;
        Ok(())
    }

    fn abandon(&mut self) {}

    fn complete(self: Box<Self>) -> Result<Completed, Error> {
        let view = self.view;
        Ok(match self.back()?.complete()? {
            Completed::Done => Completed::Done,
            Completed::Behind(target) => Completed::Behind(Box::new(Self::new(view, target)?)),
        })
    }

    fn into_db(self: Box<Self>) -> Result<Db, Error> {
        self.back()?.into_db()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use mirage_domain::id::{Digest, Position};

    use super::*;
    use crate::named;

    /// Remembers the positions that were written, and fails at one.
    struct Fake {
        written: Arc<Mutex<Vec<u64>>>,
        fails_at: u64,
    }

    impl Target for Fake {
        fn begin(&mut self) -> Result<Checkpoint, Error> {
            Ok(Checkpoint::NONE)
        }
        fn quarantined(&mut self) -> Result<HashSet<String>, Error> {
            Ok(HashSet::new())
        }
        fn finish(&mut self, _: &mut Operations, last: Checkpoint) -> Result<(), Error> {
            if last.position.0 == self.fails_at {
                return Err(Error::Interfered("catalog"));
            }
            self.written.lock().unwrap().push(last.position.0);
            Ok(())
        }
        fn abandon(&mut self) {}
        fn complete(self: Box<Self>) -> Result<Completed, Error> {
            Ok(Completed::Done)
        }
        fn into_db(self: Box<Self>) -> Result<Db, Error> {
            Err(Error::NotBuilt("catalog"))
        }
    }

    fn write_behind(fails_at: u64) -> (Box<dyn Target>, Arc<Mutex<Vec<u64>>>) {
        let written = Arc::default();
        let fake = Fake {
            written: Arc::clone(&written),
            fails_at,
        };
        let view = named("catalog").unwrap();
        let behind = WriteBehind::new(view, Box::new(fake)).unwrap();
        (Box::new(behind), written)
    }

    fn at(position: u64) -> Checkpoint {
        Checkpoint {
            position: Position(position),
            log_hash: Digest::EMPTY,
            hash: Digest::EMPTY,
        }
    }

    #[test]
    fn all_that_was_handed_over_is_written_before_the_build_is_complete() {
        let (mut target, written) = write_behind(0);
        for position in 1..=3 {
            target
                .finish(&mut Operations::default(), at(position))
                .unwrap();
            assert_eq!(target.begin().unwrap(), at(position));
        }
        target.complete().unwrap();
        assert_eq!(*written.lock().unwrap(), [1, 2, 3]);
    }

    #[test]
    fn a_batch_that_failed_is_told_with_the_next_one_and_nothing_follows_it() {
        let (mut target, written) = write_behind(2);
        for position in 1..=2 {
            target
                .finish(&mut Operations::default(), at(position))
                .unwrap();
        }
        let told = target.finish(&mut Operations::default(), at(3));
        assert!(matches!(told, Err(Error::Interfered(_))), "{told:?}");
        assert_eq!(*written.lock().unwrap(), [1]);
    }

    #[test]
    fn the_last_batch_that_failed_keeps_the_build_from_completing() {
        let (mut target, _) = write_behind(1);
        target.finish(&mut Operations::default(), at(1)).unwrap();
        assert!(target.complete().is_err());
    }
}
