//! The servers that views are tested on: each test has a place there that nobody else uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mirage_log::Recorded;

use crate::graph::Graph;
use crate::{Db, Neo4j, Neo4jOptions, Projection, Registered, Store, named};

/// A place on the server that all tests share; none where there is no server.
pub(crate) fn neo4j() -> Option<Neo4j> {
    Some(neo4j_at(mirage_servers::neo4j()?.bolt()))
}

pub(crate) fn neo4j_at(bolt: &str) -> Neo4j {
    Neo4j::at(&Neo4jOptions::at(bolt))
        .expect("an address")
        .apart()
}

/// The view that Neo4j keeps.
pub(crate) fn view() -> &'static Registered {
    named(Graph::NAME).expect("a view")
}

/// The graph of a log on a server.
pub(crate) fn given_on(home: &Neo4j, commits: &[Arc<Recorded>]) -> Db {
    let mut store = Store::open(home, view()).expect("a server that answers");
    store.fold(commits).expect("a good batch");
    store.into_db().expect("a server that answers")
}

/// A name that no other test has, on a server that outlives this process.
pub(crate) fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("t{}_{next}", std::process::id())
}
