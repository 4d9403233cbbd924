//! One build of a view, opened for writing: a batch is a transaction that holds its checkpoint.

use std::collections::HashSet;

use mirage_domain::id::{Digest, Position};
use tokio_postgres::{Error as Fault, Row};

use super::client::{Client, Commit, is_absent};
use super::deferred::Deferred;
use super::reader::Reader;
use super::seen::Seen;
use super::{Postgres, insert};
use crate::operations::Operations;
use crate::store::{Checkpoint, Completed, Target};
use crate::{Db, Error, Registered};

/// See the module's doc.
pub(super) struct Build {
    view: &'static Registered,
    home: Postgres,
    client: Client,
    number: i64,
    /// A rebuild at work stays on its own build.
    is_pinned: bool,
    /// None where all is in order.
    deferred: Option<Deferred>,
    /// Tables in which keys come twice.
    repeating: HashSet<&'static str>,
    /// Of a rebuild.
    seen: Seen,
    is_begun: bool,
    /// The last batch, on its way while a rebuild makes the rows of the next one.
    commit: Option<Commit>,
}

/// Whoever writes takes this first. It keeps no reader waiting.
const LOCK: &str = "LOCK TABLE checkpoint IN EXCLUSIVE MODE";

const CHECKPOINT: &str = "SELECT position, log_hash, hash FROM checkpoint WHERE id = 1";

const MOVE: &str = "INSERT INTO checkpoint (id, position, log_hash, hash) VALUES (1, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
    position = excluded.position, log_hash = excluded.log_hash, hash = excluded.hash";

impl Build {
    /// The highest complete build, or the first.
    pub(super) fn open(home: Postgres, view: &'static Registered) -> Result<Self, Error> {
        let client = home.connect(view)?;
        let number = open(&home, view, &client).map_err(|error| Error::open(view, error))?;
        Ok(Self::of(view, home, client, number))
    }

    /// The next build.
    pub(super) fn next(home: Postgres, view: &'static Registered) -> Result<Self, Error> {
        let client = home.connect(view)?;
        let made = next(&home, view, &client);
        let (number, deferred) = made.map_err(|error| Error::open(view, error))?;
        Ok(Self {
            is_pinned: true,
            deferred,
            ..Self::of(view, home, client, number)
        })
    }

    fn of(view: &'static Registered, home: Postgres, client: Client, number: i64) -> Self {
        Self {
            view,
            home,
            client,
            number,
            is_pinned: false,
            deferred: None,
            repeating: HashSet::new(),
            seen: Seen::default(),
            is_begun: false,
            commit: None,
        }
    }

    fn write<T>(&self, done: Result<T, Fault>) -> Result<T, Error> {
        done.map_err(|error| Error::write(self.view, error))
    }

    /// Goes on with a new connection where the last one was lost.
    fn reconnect(&mut self) -> Result<(), Error> {
        if self.client.is_closed() {
            self.client = self.home.connect(self.view)?;
            let schema = self.home.builds(self.view).schema(self.number);
            self.write(self.client.enter(&schema))?;
        }
        Ok(())
    }

    /// Begins a transaction that holds the build; none if it is not the one to use any more.
    fn hold(&self) -> Result<Option<Checkpoint>, Fault> {
        match self.client.run(&format!("BEGIN; {LOCK}")) {
            Err(error) if is_absent(&error) => return Ok(None),
            held => held?,
        }
        // A rebuild may have taken its place while this batch waited for the lock.
        if !self.is_pinned && self.home.builds(self.view).live(&self.client)? != Some(self.number) {
            return Ok(None);
        }
        checkpoint(&self.client).map(Some)
    }

    /// Opens the build to use instead of this one.
    fn change(&mut self) -> Result<(), Error> {
        self.abandon();
        let opened = open(&self.home, self.view, &self.client);
        let number = self.write(opened)?;
        if self.is_pinned || number == self.number {
            // Not all of its tables are there, or the rebuild's own build is not.
            return Err(Error::Interfered(self.view.name));
        }
        self.number = number;
        Ok(())
    }

    fn finished(&mut self, operations: &Operations, last: Checkpoint) -> Result<(), Fault> {
        let position = last.position.0 as i64;
        let (log_hash, hash) = (&last.log_hash.0[..], &last.hash.0[..]);
        self.client.execute(MOVE, &[&position, &log_hash, &hash])?;
        if self.is_pinned {
            let builds = self.home.builds(self.view);
            builds.touch(&self.client, self.number)?;
        }
        let mut copies = Vec::new();
        let in_order = operations.tables().filter(|rows| {
            let deferred = self.deferred.as_ref();
            let key = deferred.and_then(|deferred| deferred.key(rows.table.name));
            copies.extend(key.map(|key| insert::keyless(rows, key, &mut self.seen)));
            key.is_none()
        });
        insert::execute(&self.client, in_order, &mut self.repeating)?;
        if self.deferred.is_some() {
            self.commit = Some(self.client.commit_later(copies, self.view.settle)?);
            return Ok(());
        }
        if !self.view.settle.is_empty() {
            self.client.run(self.view.settle)?;
        }
        self.client.run("COMMIT")
    }

    /// Waits for the last batch of a rebuild.
    fn committed(&mut self) -> Result<(), Error> {
        let commit = self.commit.take();
        let committed = self.write(commit.map_or(Ok(()), Commit::wait));
        if committed.is_err() {
            self.seen.forget();
            self.client.roll_back();
        }
        committed
    }

    /// Makes up for what was deferred.
    fn settle(&self, deferred: &Deferred) -> Result<(), Fault> {
        let builds = self.home.builds(self.view);
        self.client.run("BEGIN")?;
        // Locks the build's row until all is done, so that nobody takes it for abandoned.
        builds.touch(&self.client, self.number)?;
        deferred.make_up(&self.client)?;
        for table in tables(&self.client)? {
            self.client.run(&format!("ANALYZE \"{}\"", table.0))?;
        }
        builds.touch(&self.client, self.number)?;
        self.client.run("COMMIT")
    }

    /// Puts this build in the place of the live one; false if that one went further.
    fn replace(&self) -> Result<bool, Fault> {
        let (builds, client) = (self.home.builds(self.view), &self.client);
        client.run("BEGIN")?;
        builds.lock(client)?;
        let own = checkpoint(client)?;
        let mut number = self.number;
        if let Some(live) = builds.live(client)? {
            let schema = builds.schema(live);
            client.run(&LOCK.replace("checkpoint", &format!("\"{schema}\".checkpoint")))?;
            let position = format!("SELECT position FROM \"{schema}\".checkpoint");
            let rows = client.rows(&position, &[])?;
            if rows
                .first()
                .is_some_and(|row| row.get::<_, i64>(0) > own.position.0 as i64)
            {
                return Ok(false);
            }
            // A live build may have been begun while this one was at work and no other was complete.
            number = number.max(live + 1);
        }
        builds.complete(client, self.number, number)?;
        client.run("COMMIT")?;
        Ok(true)
    }
}

fn open(home: &Postgres, view: &'static Registered, client: &Client) -> Result<i64, Fault> {
    let builds = home.builds(view);
    in_turn(home, view, client, || match builds.live(client)? {
        Some(number) => {
            client.enter(&builds.schema(number))?;
            // It may be of a program, or of a configuration, that knew another wall.
            builds.raise(client, number)?;
            Ok(number)
        }
        None => builds.make(client, true).map(|(number, _)| number),
    })
}

fn next(
    home: &Postgres,
    view: &'static Registered,
    client: &Client,
) -> Result<(i64, Option<Deferred>), Fault> {
    in_turn(home, view, client, || home.builds(view).make(client, false))
}

/// One transaction under the lock of builds.
fn in_turn<T>(
    home: &Postgres,
    view: &'static Registered,
    client: &Client,
    act: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    client.run("BEGIN")?;
    let done = home.builds(view).lock(client).and_then(|()| act());
    match done {
        Ok(done) => client.run("COMMIT").map(|()| done),
        Err(error) => {
            client.roll_back();
            Err(error)
        }
    }
}

pub(super) fn checkpoint(client: &Client) -> Result<Checkpoint, Fault> {
    let digest = |row: &Row, at| {
        let bytes: &[u8] = row.get(at);
        Digest(bytes.try_into().unwrap_or_default())
    };
    let rows = client.rows(CHECKPOINT, &[])?;
    Ok(rows.first().map_or(Checkpoint::NONE, |row| Checkpoint {
        position: Position(row.get::<_, i64>(0) as u64),
        log_hash: digest(row, 1),
        hash: digest(row, 2),
    }))
}

/// Tables of the schema by name, each with the columns of its primary key.
pub(super) fn tables(client: &Client) -> Result<Vec<(String, Vec<String>)>, Fault> {
    let keys = "SELECT c.relname::text, a.attname::text
        FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary,
            unnest(i.indkey) WITH ORDINALITY AS k (number, place)
            JOIN pg_attribute a ON a.attnum = k.number
        WHERE c.relnamespace = current_schema()::regnamespace AND a.attrelid = c.oid
        ORDER BY c.relname::text COLLATE \"C\", k.place";
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for row in client.rows(keys, &[])? {
        let (table, key): (String, String) = (row.get(0), row.get(1));
        match tables.last_mut() {
            Some((last, keys)) if *last == table => keys.push(key),
            _ => tables.push((table, vec![key])),
        }
    }
    Ok(tables)
}

impl Target for Build {
    fn begin(&mut self) -> Result<Checkpoint, Error> {
        self.committed()?;
        self.reconnect()?;
        loop {
            self.is_begun = true;
            match self.hold() {
                Ok(Some(checkpoint)) => return Ok(checkpoint),
                Ok(None) => self.change()?,
                Err(error) => {
                    self.abandon();
                    return Err(Error::write(self.view, error));
                }
            }
        }
    }

    fn quarantined(&mut self) -> Result<HashSet<String>, Error> {
        let rows = self.write(self.client.rows("SELECT stream FROM quarantine", &[]))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    fn finish(&mut self, operations: &mut Operations, last: Checkpoint) -> Result<(), Error> {
        let finished = self.finished(operations, last);
        self.write(finished)?;
        self.is_begun = false;
        Ok(())
    }

    fn abandon(&mut self) {
        if std::mem::take(&mut self.is_begun) {
            self.seen.forget();
            self.client.roll_back();
        }
    }

    fn complete(mut self: Box<Self>) -> Result<Completed, Error> {
        self.committed()?;
        self.reconnect()?;
        if let Some(deferred) = &self.deferred {
            self.write(self.settle(deferred))?;
            self.deferred = None;
        }
        let replaced = self.replace();
        match self.write(replaced)? {
            true => Ok(Completed::Done),
            false => {
                self.client.roll_back();
                Ok(Completed::Behind(self))
            }
        }
    }

    fn into_db(mut self: Box<Self>) -> Result<Db, Error> {
        self.committed()?;
        let reader = Reader::over(self.client, &self.home, self.view)?;
        Ok(Db::on_postgres(self.view, reader))
    }
}
