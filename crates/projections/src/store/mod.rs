//! A view's file opened for writing: rows, checkpoint and quarantine, one transaction a batch.
//!
//! WAL with `synchronous=NORMAL`: a power cut may take the last batches, rows and checkpoint together, and they are
//! folded again. Only the log must not forget; a view that waits for the disk would pay for nothing.
//!
//! **Invariant:** the checkpoint names the last commit whose rows stand in the file, with its hash and the log hash.
//! **Invariant:** a batch begins with the write lock and reads the checkpoint again: processes take turns.

mod quarantine;
mod tables;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mirage_domain::id::{Digest, Position};
use mirage_log::Recorded;
use rusqlite::{Connection, TransactionBehavior};

pub use tables::Checkpoint;
pub(crate) use tables::checkpoint;
use tables::{connect, create, defer_order, finish, quarantined};

use crate::operations::Operations;
use crate::{Error, Registered, files};

/// What came of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// The view stands here now, by this batch or by another process's.
    At(Position),
    /// The view stands before the batch: it is another build now. Read the log from here.
    Behind(Position),
}

/// See the module's doc.
pub struct Store {
    view: &'static Registered,
    connection: Connection,
    /// None for a view in memory.
    place: Option<Place>,
    /// As this process last saw it.
    checkpoint: Checkpoint,
    quarantined: HashSet<String>,
    operations: Operations,
    /// What a rebuild does without until all rows are there: sorting them once costs a fraction of finding a place for
    /// each.
    deferred: Vec<String>,
}

struct Place {
    folder: PathBuf,
    path: PathBuf,
    number: u64,
    /// A rebuild at work stays on its own build.
    is_pinned: bool,
}

impl Place {
    /// Whether this is still the build to use; with all files deleted it is not, and a fresh one is made.
    fn is_current(&self, view: &Registered) -> Result<bool, Error> {
        let highest = files::highest(&self.folder, view)?;
        Ok(self.is_pinned || highest.is_some_and(|build| build.number == self.number))
    }
}

impl Store {
    /// Opens the highest complete build, or makes the first.
    pub(crate) fn open(folder: &Path, view: &'static Registered) -> Result<Self, Error> {
        let fault = |source| Error::Folder {
            path: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(fault)?;
        let (number, path, may_create) = match files::highest(folder, view)? {
            Some(build) => (build.number, build.path, false),
            None => {
                // Not the number of a build at work: it would take the place of a file that is in use.
                let number = files::next(folder, view)?;
                (number, files::path(folder, view, number, true), true)
            }
        };
        let connection = connect(&path, may_create).map_err(open_fault(view))?;
        let place = Place {
            folder: folder.to_owned(),
            path,
            number,
            is_pinned: false,
        };
        Self::begin(view, connection, Some(place))
    }

    /// Makes the next build, to be renamed once it has caught up.
    pub(crate) fn build(folder: &Path, view: &'static Registered) -> Result<Self, Error> {
        let number = files::next(folder, view)?;
        let path = files::path(folder, view, number, false);
        let connection = connect(&path, true).map_err(open_fault(view))?;
        let place = Place {
            folder: folder.to_owned(),
            path,
            number,
            is_pinned: true,
        };
        let mut store = Self::begin(view, connection, Some(place))?;
        store.deferred = defer_order(&store.connection).map_err(open_fault(view))?;
        Ok(store)
    }

    /// A view in memory.
    pub fn in_memory(view: &'static Registered) -> Result<Self, Error> {
        let connection = Connection::open_in_memory().map_err(open_fault(view))?;
        Self::begin(view, connection, None)
    }

    fn begin(
        view: &'static Registered,
        mut connection: Connection,
        place: Option<Place>,
    ) -> Result<Self, Error> {
        create(&mut connection, view).map_err(open_fault(view))?;
        let mut store = Self {
            view,
            connection,
            place,
            checkpoint: Checkpoint::NONE,
            quarantined: HashSet::new(),
            operations: Operations::default(),
            deferred: Vec::new(),
        };
        store.checkpoint = checkpoint(&store.connection).map_err(open_fault(view))?;
        store.quarantined = quarantined(&store.connection).map_err(open_fault(view))?;
        Ok(store)
    }

    pub fn view(&self) -> &'static Registered {
        self.view
    }
    pub fn checkpoint(&self) -> Checkpoint {
        self.checkpoint
    }
    /// Streams that are quarantined.
    pub fn quarantined(&self) -> usize {
        self.quarantined.len()
    }
    /// Forgets the checkpoint and keeps the rows, as a crash between the two would in a store without transactions.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn rewind(&mut self) {
        let deleted = self.connection.execute("DELETE FROM checkpoint", []);
        deleted.expect("the table is there");
        self.checkpoint = Checkpoint::NONE;
    }

    pub(crate) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Folds commits that follow one another; those that the view already holds are passed over.
    pub fn fold(&mut self, batch: &[Arc<Recorded>]) -> Result<Folded, Error> {
        self.follow_build()?;
        let Some(first) = batch.first() else {
            return Ok(Folded::At(self.checkpoint.position));
        };
        let view = self.view;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(write_fault(view))?;
        if let Some(place) = &self.place
            && !place.is_current(view)?
        {
            // A rebuild took its place while this batch waited for the lock.
            return Ok(Folded::Behind(self.checkpoint.position));
        }
        let found = checkpoint(&transaction).map_err(write_fault(view))?;
        if found != self.checkpoint {
            // Another process went further, and may have quarantined a stream.
            self.quarantined = quarantined(&transaction).map_err(write_fault(view))?;
            self.checkpoint = found;
        }
        if found.position.0 + 1 < first.position.0 {
            return Ok(Folded::Behind(found.position));
        }
        let known = (found.position.0 + 1 - first.position.0) as usize;
        let Some(fresh) = batch.get(known..).filter(|fresh| !fresh.is_empty()) else {
            return Ok(Folded::At(found.position));
        };
        follows(view, found, &fresh[0])?;
        self.operations.clear();
        for recorded in fresh {
            quarantine::apply(view, recorded, &mut self.operations, &mut self.quarantined);
        }
        let last = Checkpoint::of(&fresh[fresh.len() - 1]);
        finish(transaction, view, &self.operations, last).map_err(write_fault(view))?;
        self.checkpoint = last;
        Ok(Folded::At(last.position))
    }

    /// Changes to a build that was completed since.
    fn follow_build(&mut self) -> Result<(), Error> {
        let Some(place) = &self.place else {
            return Ok(());
        };
        if !place.is_current(self.view)? {
            *self = Self::open(&place.folder.clone(), self.view)?;
        }
        Ok(())
    }

    /// Renames a build that has caught up with the live one. False if the live one went further meanwhile.
    pub(crate) fn complete(mut self) -> Result<Result<(), Self>, Error> {
        let view = self.view;
        for statement in std::mem::take(&mut self.deferred) {
            let done = self.connection.execute_batch(&statement);
            done.map_err(write_fault(view))?;
        }
        let Some(place) = &self.place else {
            return Ok(Ok(()));
        };
        let highest = files::highest(&place.folder, view)?;
        let number = highest.as_ref().map_or(place.number, |build| {
            // A live build may have been begun under the same number while no other was complete.
            place.number.max(build.number + 1)
        });
        let live = match highest {
            Some(build) => Some(connect(&build.path, false).map_err(open_fault(view))?),
            None => None,
        };
        // The lock keeps the live one where it is until the new one has taken its place.
        if let Some(live) = &live {
            live.execute_batch("BEGIN IMMEDIATE")
                .map_err(write_fault(view))?;
            if checkpoint(live).map_err(write_fault(view))?.position > self.checkpoint.position {
                return Ok(Err(self));
            }
        }
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(write_fault(view))?;
        let (from, to) = (
            place.path.clone(),
            files::path(&place.folder, view, number, true),
        );
        // Closing removes the write-ahead log, which bears the old name.
        self.connection
            .close()
            .map_err(|(_, source)| Error::Write {
                view: view.name,
                source,
            })?;
        std::fs::rename(&from, &to).map_err(|_| Error::Interfered(view.name))?;
        Ok(Ok(()))
    }
}

fn open_fault(view: &'static Registered) -> impl Fn(rusqlite::Error) -> Error {
    |source| Error::Open {
        view: view.name,
        source,
    }
}

fn write_fault(view: &'static Registered) -> impl Fn(rusqlite::Error) -> Error {
    |source| Error::Write {
        view: view.name,
        source,
    }
}

/// Holds the first commit of a batch against the checkpoint: the log hash must go on from there.
fn follows(view: &Registered, found: Checkpoint, next: &Recorded) -> Result<(), Error> {
    let expected = Digest::chain(found.log_hash, next.position, next.hash);
    match expected == next.log_hash {
        true => Ok(()),
        false => Err(Error::LogDiffers {
            view: view.name,
            position: next.position,
        }),
    }
}
