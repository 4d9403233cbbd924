//! A server that is away, or dies in the middle.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use mirage_log::Recorded;

use super::{assert_alike, here, open, there};
use crate::testing::history::made_up;
use crate::testing::stores::{neo4j_at, view};
use crate::{Home, Neo4j, Neo4jOptions, Store};

/// How long a killed server may take until batches land again.
const BACK: Duration = Duration::from_secs(180);
/// Between two tries, unless the server is known to be back.
const PAUSE: Duration = Duration::from_secs(1);

#[test]
fn killed_while_it_is_written_to_it_ends_up_with_the_same_rows() {
    let Some(server) = mirage_servers::neo4j_alone() else {
        return;
    };
    let home = neo4j_at(server.bolt());
    let history = made_up(9, 4, 300);
    let batches: Vec<_> = history.commits().chunks(10).collect();
    let (begins, begun) = mpsc::channel();
    let (returns, back) = mpsc::channel();
    std::thread::scope(|scope| {
        let (home, batches) = (&home, &batches);
        scope.spawn(move || {
            let mut store = open(home);
            for batch in batches {
                // Nobody listens after the last kill.
                let _ = begins.send(());
                fold(home, &mut store, batch, &back);
            }
        });
        for _ in 0..2 {
            // It dies in whatever the batch after a third of them is doing.
            begun.iter().take(batches.len() / 3).for_each(drop);
            server.process().kill();
            server.restart();
            let _ = returns.send(());
        }
    });
    assert_alike(&there(&home), &here(&history));
}

/// As the runner does: what may be retried is, with the store opened again.
fn fold(home: &Neo4j, store: &mut Store, batch: &[Arc<Recorded>], back: &Receiver<()>) {
    let until = Instant::now() + BACK;
    loop {
        match store.fold(batch) {
            Ok(_) => return,
            Err(error) if error.may_retry() && Instant::now() < until => {}
            Err(error) => panic!("{error:?}"),
        }
        let _ = back.recv_timeout(PAUSE);
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
