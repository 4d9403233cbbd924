//! A view opened for writing: commits become rows, and the checkpoint moves with them.
//!
//! A [`Store`] is the same for every view and every place: it passes over what is there already, holds the log against
//! the checkpoint, applies, and sets aside what cannot be applied. Where the rows go is a [`Target`]; where the builds
//! of a view lie, and how one is opened, is a [`Home`]: a folder of SQLite files, or a server.
//!
//! To add a home: its folder here, the two traits, a [`crate::Db`] that asks it.
//!
//! **Invariant:** the checkpoint names the last commit whose rows stand in the store, with its hash and the log hash.
//! **Invariant:** a batch begins by taking the view for itself and reads the checkpoint again: processes take turns.

pub mod meilisearch;
pub(crate) mod neo4j;
pub(crate) mod postgres;
mod quarantine;
mod remote;
pub(crate) mod sqlite;
mod write_behind;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mirage_domain::id::{Digest, Position};
use mirage_log::Recorded;

use crate::operations::Operations;
use crate::{Db, Error, Registered};
use write_behind::WriteBehind;

/// How long an old build or an abandoned one stays, for those who still read or write it.
pub(crate) const LINGER: Duration = Duration::from_secs(60);

/// Tables of every view beside its own, where a store keeps tables.
const FRAME: &str = "
    CREATE TABLE checkpoint (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        position INTEGER NOT NULL,
        log_hash BLOB NOT NULL,
        hash BLOB NOT NULL
    );
    CREATE TABLE quarantine (stream TEXT PRIMARY KEY, cursor INTEGER NOT NULL, error TEXT NOT NULL);
    CREATE TABLE skipped (stream TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (stream, position));
";

/// The last commit that a view holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    pub position: Position,
    /// Log hash up to there.
    pub log_hash: Digest,
    /// SHA-256 of that commit.
    pub hash: Digest,
}

impl Checkpoint {
    pub const NONE: Self = Self {
        position: Position(0),
        log_hash: Digest::EMPTY,
        hash: Digest::EMPTY,
    };

    fn of(recorded: &Recorded) -> Self {
        Self {
            position: recorded.position,
            log_hash: recorded.log_hash,
            hash: recorded.hash,
        }
    }
}

/// What came of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folded {
    /// The view stands here now, by this batch or by another process's.
    At(Position),
    /// The view stands before the batch: it is another build now. Read the log from here.
    Behind(Position),
}

/// What came of completing a build.
pub enum Completed {
    Done,
    /// The live view went further meanwhile: fold on, and try again.
    Behind(Box<dyn Target>),
}

/// Where the builds of views lie. Every call blocks.
pub trait Home: Send + Sync {
    /// Opens the highest complete build of a view, or makes the first.
    fn open(&self, view: &'static Registered) -> Result<Box<dyn Target>, Error>;

    /// Makes the next build, to be completed once it has caught up.
    fn build(&self, view: &'static Registered) -> Result<Box<dyn Target>, Error>;

    /// Opens the highest complete build for asking.
    fn ask(&self, view: &'static Registered) -> Result<Db, Error>;

    /// Deletes builds that nobody needs any more.
    fn sweep(&self, view: &'static Registered) -> Result<(), Error>;

    /// Deletes the complete builds of a view that is of no use.
    fn discard(&self, view: &'static Registered) -> Result<(), Error>;
}

/// Where the rows of one build go. Every call blocks.
pub trait Target: Send {
    /// Takes the view for one batch, changing to a build that was completed since, and answers its checkpoint.
    fn begin(&mut self) -> Result<Checkpoint, Error>;

    /// Streams that are set aside.
    fn quarantined(&mut self) -> Result<HashSet<String>, Error>;

    /// Writes what was begun: rows that are absent, and the checkpoint with them or after them. Of the rows nobody needs
    /// any afterwards: their memory may be taken.
    fn finish(&mut self, operations: &mut Operations, last: Checkpoint) -> Result<(), Error>;

    /// Lets go of what was begun.
    fn abandon(&mut self);

    /// Puts a build that has caught up in the place of the live one.
    fn complete(self: Box<Self>) -> Result<Completed, Error>;

    /// The same rows for asking.
    fn into_db(self: Box<Self>) -> Result<Db, Error>;
}

/// See the module's doc.
pub struct Store {
    view: &'static Registered,
    target: Box<dyn Target>,
    /// As this process last saw it.
    checkpoint: Checkpoint,
    quarantined: HashSet<String>,
    operations: Operations,
}

impl Store {
    /// A view in memory.
    pub fn in_memory(view: &'static Registered) -> Result<Self, Error> {
        Self::on(view, Box::new(sqlite::File::in_memory(view)?))
    }

    /// The highest complete build of a view, or the first.
    pub(crate) fn open(home: &dyn Home, view: &'static Registered) -> Result<Self, Error> {
        Self::on(view, home.open(view)?)
    }

    /// The next build, to be completed once it has caught up.
    pub(crate) fn build(home: &dyn Home, view: &'static Registered) -> Result<Self, Error> {
        Self::on(view, home.build(view)?)
    }

    fn on(view: &'static Registered, mut target: Box<dyn Target>) -> Result<Self, Error> {
        let checkpoint = target.begin()?;
        let quarantined = target.quarantined();
        target.abandon();
        Ok(Self {
            view,
            target,
            checkpoint,
            quarantined: quarantined?,
            operations: Operations::default(),
        })
    }

    /// The same build, whose rows are written while those of the next batch are made.
    pub(crate) fn written_behind(self) -> Result<Self, Error> {
        let target = Box::new(WriteBehind::new(self.view, self.target)?);
        Ok(Self { target, ..self })
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

    /// The view for asking.
    pub fn into_db(self) -> Result<Db, Error> {
        self.target.into_db()
    }

    /// Forgets the checkpoint and keeps the rows, as a crash between the two would in a store without transactions.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn rewind(&mut self) {
        self.target.begin().expect("a store that answers");
        let rewound = self
            .target
            .finish(&mut Operations::default(), Checkpoint::NONE);
        rewound.expect("a store that answers");
        self.checkpoint = Checkpoint::NONE;
    }

    /// Folds commits that follow one another; those that the view already holds are passed over.
    pub fn fold(&mut self, batch: &[Arc<Recorded>]) -> Result<Folded, Error> {
        let Some(first) = batch.first() else {
            return Ok(Folded::At(self.checkpoint.position));
        };
        let found = self.target.begin()?;
        let folded = self.fold_from(found, first.position, batch);
        if !matches!(folded, Ok(Some(_))) {
            self.target.abandon();
        }
        let last = match folded? {
            Some(last) => last,
            None if found.position.0 + 1 < first.position.0 => {
                return Ok(Folded::Behind(found.position));
            }
            None => found.position,
        };
        Ok(Folded::At(last))
    }

    /// Where the view stands after the batch; none where there is nothing to write.
    fn fold_from(
        &mut self,
        found: Checkpoint,
        first: Position,
        batch: &[Arc<Recorded>],
    ) -> Result<Option<Position>, Error> {
        if found != self.checkpoint {
            // Another process went further, and may have quarantined a stream.
            self.quarantined = self.target.quarantined()?;
            self.checkpoint = found;
        }
        let known = (found.position.0 + 1).checked_sub(first.0);
        let fresh = known.and_then(|known| batch.get(known as usize..));
        let Some([next, .., last] | [next @ last]) = fresh else {
            return Ok(None);
        };
        follows(self.view, found, next)?;
        self.operations.clear();
        for recorded in fresh.unwrap_or_default() {
            let (view, operations) = (self.view, &mut self.operations);
            quarantine::apply(view, recorded, operations, &mut self.quarantined);
        }
        let last = Checkpoint::of(last);
        self.target.finish(&mut self.operations, last)?;
        self.checkpoint = last;
        Ok(Some(last.position))
    }

    /// Puts a build that has caught up in the place of the live one; gives itself back if that one went further.
    pub(crate) fn complete(self) -> Result<Result<(), Self>, Error> {
        Ok(match self.target.complete()? {
            Completed::Done => Ok(()),
            Completed::Behind(target) => Err(Self { target, ..self }),
        })
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
