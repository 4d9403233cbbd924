//! A server that is away, or dies in the middle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{assert_alike, here, open, there};
use crate::testing::history::made_up;
use crate::testing::stores::{neo4j_at, view};
use crate::{Home, Neo4j, Neo4jOptions, Store};

/// How long a killed server may take until batches land again.
const BACK: Duration = Duration::from_secs(180);

#[test]
fn killed_while_it_is_written_to_it_ends_up_with_the_same_rows() {
    let Some(server) = mirage_servers::neo4j_alone() else {
        return;
    };
    let home = neo4j_at(server.bolt());
    let history = made_up(9, 4, 400);
    let is_done = AtomicBool::new(false);
    let mut kills = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _done = Done(&is_done);
            let mut store = open(&home);
            for batch in history.commits().chunks(3) {
                fold(&home, &mut store, batch);
            }
        });
        while kills < 3 {
            // Once some more is there, it dies in whatever batch is under way.
            let wanted = history.end().0 * (2 * kills + 1) / 8;
            let stands = || home.ask(view()).and_then(|db| db.position());
            while !is_done.load(Ordering::Relaxed) && !stands().is_ok_and(|at| at.0 >= wanted) {
                std::thread::yield_now();
            }
            server.process().kill();
            server.restart();
            kills += 1;
        }
    });
    assert_alike(&there(&home), &here(&history));
}

/// Tells the killer when there is nobody left to hurt, also after a panic.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// As the runner does: what may be retried is, with the store opened again.
fn fold(home: &Neo4j, store: &mut Store, batch: &[std::sync::Arc<mirage_log::Recorded>]) {
    let until = Instant::now() + BACK;
    loop {
        let folded = store.fold(batch);
        match folded {
            Ok(_) => return,
            Err(error) if error.may_retry() && Instant::now() < until => {}
            Err(error) => panic!("{error:?}"),
        }
        if let Ok(opened) = Store::open(home, view()) {
            *store = opened;
        }
    }
}

#[test]
fn a_server_that_is_away_may_come_back_and_no_secret_is_told() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let options = Neo4jOptions::at(format!("bolt://{address}")).with_user("me", "hush");
    let home = Neo4j::at(&options).unwrap();
    let error = home.ask(view()).err().unwrap();
    assert!(error.may_retry(), "{error:?}");
    assert_eq!(error.code(), "view_unreadable");
    assert!(!format!("{error:?} {options:?}").contains("hush"));
    let error = Neo4j::at(&Neo4jOptions::at("http://me:hush@db"));
    assert!(!format!("{:?}", error.err().unwrap()).contains("hush"));
}
