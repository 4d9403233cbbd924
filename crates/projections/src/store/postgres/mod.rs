//! Views in PostgreSQL: a build is a schema, and a batch is a transaction.
//!
//! Rows, checkpoint and quarantine move together. A view that is written has one connection. Questions share those of
//! their home: what one asked with waits for the next. Statements are SQLite's own, put into PostgreSQL's words
//! (`text`).
//!
//! **Invariant:** whoever writes holds the build's checkpoint, so processes take turns.
//! **Never:** a question that waits for a batch.

mod build;
mod builds;
mod client;
mod deferred;
mod idle;
mod insert;
mod options;
mod reader;
mod seen;
mod text;
mod tls;
mod value;
mod wall;

use std::sync::Arc;

use tokio_postgres::Config;

use super::{Home, Target};
use crate::{Db, Error, Registered};
use build::Build;
use builds::Builds;
use client::Client;
pub(crate) use client::{fix, is_absent, may_retry};
use idle::Idle;
pub use options::Options;
pub(crate) use reader::Reader;
use tls::Tls;
use wall::Wall;

/// One database of a PostgreSQL server, from 15 on.
#[derive(Clone)]
pub struct Postgres(Arc<Server>);

struct Server {
    config: Config,
    tls: Option<Tls>,
    prefix: String,
    wall: Wall,
    idle: Idle,
}

impl Postgres {
    /// Reads what the options name. The server is met when a view is opened: it may be down now.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let config = options.config()?;
        Ok(Self(Arc::new(Server {
            tls: options.tls(&config)?,
            prefix: options.prefix()?,
            wall: Wall::new(options.reader()?),
            idle: Idle::default(),
            config,
        })))
    }

    fn builds(&self, view: &'static Registered) -> Builds<'_> {
        Builds {
            prefix: &self.0.prefix,
            wall: &self.0.wall,
            view,
        }
    }

    fn connect(&self, view: &'static Registered) -> Result<Client, Error> {
        let connected = Client::connect(&self.0.config, self.0.tls.as_ref());
        connected.map_err(|error| Error::open(view, error))
    }

    /// A connection within the live build, from those that wait or a new one; none if there is no build.
    fn reader(&self, view: &'static Registered) -> Result<Option<Reader>, Error> {
        let enter = |client: &Client| {
            let builds = self.builds(view);
            let live = builds.live(client)?;
            live.map(|build| client.enter(&builds.schema(build)))
                .transpose()
        };
        let open = |error| Error::open(view, error);
        while let Some(client) = self.0.idle.take() {
            match enter(&client) {
                Ok(Some(())) => return Ok(Some(Reader::again(client, self))),
                Ok(None) => return Ok(None),
                // The server may have been started anew since that one asked last.
                Err(error) if client.is_closed() || may_retry(&error) => {}
                Err(error) => return Err(open(error)),
            }
        }
        let client = self.connect(view)?;
        match enter(&client).map_err(open)? {
            Some(()) => Reader::over(client, self, view).map(Some),
            None => Ok(None),
        }
    }

    fn within(
        &self,
        view: &'static Registered,
        act: impl FnOnce(&Client) -> Result<(), tokio_postgres::Error>,
    ) -> Result<(), Error> {
        let client = self.connect(view)?;
        let acted = client
            .run("BEGIN")
            .and_then(|()| act(&client))
            .and_then(|()| client.run("COMMIT"));
        acted.map_err(|error| Error::write(view, error))
    }
}

impl Home for Postgres {
    fn open(&self, view: &'static Registered) -> Result<Box<dyn Target>, Error> {
        Ok(Box::new(Build::open(self.clone(), view)?))
    }

    fn build(&self, view: &'static Registered) -> Result<Box<dyn Target>, Error> {
        Ok(Box::new(Build::next(self.clone(), view)?))
    }

    fn ask(&self, view: &'static Registered) -> Result<Db, Error> {
        match self.reader(view)? {
            Some(reader) => Ok(Db::on_postgres(view, reader)),
            None => Err(Error::NotBuilt(view.name)),
        }
    }

    fn sweep(&self, view: &'static Registered) -> Result<(), Error> {
        self.within(view, |client| self.builds(view).sweep(client))
    }

    fn discard(&self, view: &'static Registered) -> Result<(), Error> {
        self.within(view, |client| self.builds(view).discard(client))
    }
}

#[cfg(test)]
mod tests;
