//! Views as SQLite files: rows, checkpoint and quarantine, one transaction a batch.
//!
//! WAL with `synchronous=NORMAL`: a power cut may take the last batches, rows and checkpoint together, and they are
//! folded again. Only the log must not forget; a view that waits for the disk would pay for nothing.

pub(crate) mod files;
mod insert;
mod tables;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{Checkpoint, Completed, Home, Target};
use crate::operations::Operations;
use crate::{Db, Error, Registered};
pub(crate) use tables::{checkpoint, tables};
use tables::{connect, create, defer_order, finish, put_in_order, quarantined, without_log};

/// The folder of views in a data directory.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn of(data: &Path) -> Self {
        Self(files::folder(data))
    }

    fn make(&self) -> Result<(), Error> {
        std::fs::create_dir_all(&self.0).map_err(|source| Error::Folder {
            path: self.0.clone(),
            source,
        })
    }
}

impl Home for Folder {
    fn open(&self, view: &'static Registered) -> Result<Box<dyn Target>, Error> {
        self.make()?;
        Ok(Box::new(File::open(&self.0, view)?))
    }

    fn build(&self, view: &'static Registered) -> Result<Box<dyn Target>, Error> {
        self.make()?;
        Ok(Box::new(File::build(&self.0, view)?))
    }

    fn ask(&self, view: &'static Registered) -> Result<Db, Error> {
        // A build may be replaced between the look and the opening; the next look sees the new one.
        let open = || match files::highest(&self.0, view)? {
            Some(build) => Db::open_file(&build.path, view),
            None => Err(Error::NotBuilt(view.name)),
        };
        open().or_else(|_| open())
    }

    fn sweep(&self, view: &'static Registered) -> Result<(), Error> {
        files::sweep(&self.0, view)
    }

    fn discard(&self, view: &'static Registered) -> Result<(), Error> {
        let builds = files::builds(&self.0, view)?.into_iter();
        builds
            .filter(|build| build.is_complete)
            .for_each(|build| files::delete(&build.path));
        Ok(())
    }
}

/// One build of a view.
pub(crate) struct File {
    view: &'static Registered,
    connection: Connection,
    /// None for a view in memory.
    place: Option<Place>,
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

impl File {
    fn open(folder: &Path, view: &'static Registered) -> Result<Self, Error> {
        let (number, path, may_create) = match files::highest(folder, view)? {
            Some(build) => (build.number, build.path, false),
            None => {
                // Not the number of a build at work: it would take the place of a file that is in use.
                let number = files::next(folder, view)?;
                (number, files::path(folder, view, number, true), true)
            }
        };
        let connection = connect(&path, may_create).map_err(|error| Error::open(view, error))?;
        let place = Place {
            folder: folder.to_owned(),
            path,
            number,
            is_pinned: false,
        };
        Self::with_tables(view, connection, Some(place))
    }

    fn build(folder: &Path, view: &'static Registered) -> Result<Self, Error> {
        let number = files::next(folder, view)?;
        let path = files::path(folder, view, number, false);
        let connection = connect(&path, true).map_err(|error| Error::open(view, error))?;
        let place = Place {
            folder: folder.to_owned(),
            path,
            number,
            is_pinned: true,
        };
        let mut file = Self::with_tables(view, connection, Some(place))?;
        let open = |error| Error::open(view, error);
        file.deferred = defer_order(&file.connection, view).map_err(open)?;
        without_log(&file.connection).map_err(open)?;
        Ok(file)
    }

    pub(crate) fn in_memory(view: &'static Registered) -> Result<Self, Error> {
        let connection = Connection::open_in_memory().map_err(|error| Error::open(view, error))?;
        Self::with_tables(view, connection, None)
    }

    fn with_tables(
        view: &'static Registered,
        mut connection: Connection,
        place: Option<Place>,
    ) -> Result<Self, Error> {
        create(&mut connection, view).map_err(|error| Error::open(view, error))?;
        Ok(Self {
            view,
            connection,
            place,
            deferred: Vec::new(),
        })
    }

    fn is_current(&self) -> Result<bool, Error> {
        match &self.place {
            Some(place) => place.is_current(self.view),
            None => Ok(true),
        }
    }

    fn run(&self, sql: &str) -> Result<(), Error> {
        let ran = self.connection.execute_batch(sql);
        ran.map_err(|error| Error::write(self.view, error))
    }
}

impl Target for File {
    fn begin(&mut self) -> Result<Checkpoint, Error> {
        loop {
            if let Some(place) = &self.place
                && !place.is_current(self.view)?
            {
                *self = Self::open(&place.folder.clone(), self.view)?;
            }
            self.run("BEGIN IMMEDIATE")?;
            // A rebuild may have taken its place while this batch waited for the lock.
            match self.is_current() {
                Ok(true) => break,
                Ok(false) => self.abandon(),
                Err(error) => {
                    self.abandon();
                    return Err(error);
                }
            }
        }
        checkpoint(&self.connection).map_err(|error| {
            self.abandon();
            Error::write(self.view, error)
        })
    }

    fn quarantined(&mut self) -> Result<HashSet<String>, Error> {
        quarantined(&self.connection).map_err(|error| Error::write(self.view, error))
    }

    fn finish(&mut self, operations: &mut Operations, last: Checkpoint) -> Result<(), Error> {
        let finished = finish(&self.connection, self.view, operations, last);
        finished.map_err(|error| Error::write(self.view, error))
    }

    fn abandon(&mut self) {
        if !self.connection.is_autocommit() {
            // What cannot be rolled back ends with the connection.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    /// Renames the build, under the lock of the live one, so that it stays where it is until the new one has taken its
    /// place.
    fn complete(mut self: Box<Self>) -> Result<Completed, Error> {
        let view = self.view;
        let deferred = std::mem::take(&mut self.deferred);
        put_in_order(&self.connection, &deferred).map_err(|error| Error::write(view, error))?;
        let Some(place) = &self.place else {
            return Ok(Completed::Done);
        };
        let highest = files::highest(&place.folder, view)?;
        let number = highest.as_ref().map_or(place.number, |build| {
            // A live build may have been begun under the same number while no other was complete.
            place.number.max(build.number + 1)
        });
        let write = |error| Error::write(view, error);
        let live = match highest {
            Some(build) => {
                Some(connect(&build.path, false).map_err(|error| Error::open(view, error))?)
            }
            None => None,
        };
        if let Some(live) = &live {
            live.execute_batch("BEGIN IMMEDIATE").map_err(write)?;
            let own = checkpoint(&self.connection).map_err(write)?.position;
            if checkpoint(live).map_err(write)?.position > own {
                return Ok(Completed::Behind(self));
            }
        }
        let to = files::path(&place.folder, view, number, true);
        let from = place.path.clone();
        let close = |connection: Connection| connection.close().map_err(|(_, error)| write(error));
        close(self.connection)?;
        // Opened once more, it has the write-ahead log that its readers want; closing removes it, for it bears the old
        // name.
        close(connect(&from, false).map_err(write)?)?;
        files::sync(&from)
            .and_then(|()| std::fs::rename(&from, &to))
            .map_err(|_| Error::Interfered(view.name))?;
        Ok(Completed::Done)
    }

    fn into_db(self: Box<Self>) -> Result<Db, Error> {
        Db::on_sqlite(self.view, self.connection)
    }
}
