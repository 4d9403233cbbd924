//! The graph on a real server: what it holds is what SQLite holds, whatever happens on the way.

mod builds;
mod faults;
mod laws;

use crate::graph::Graph;
use crate::testing::history::History;
use crate::testing::stores::view;
use crate::testing::{dumped, given};
use crate::{Home, Neo4j, Store};

fn there(home: &Neo4j) -> String {
    dumped(&home.ask(view()).unwrap())
}

fn here(history: &History) -> String {
    dumped(&given::<Graph>(history))
}

fn open(home: &Neo4j) -> Store {
    Store::open(home, view()).unwrap()
}

/// Says where two dumps part: they are long.
fn assert_alike(one: &str, other: &str) {
    for (one, other) in one.lines().zip(other.lines()) {
        assert_eq!(one, other);
    }
    assert_eq!(one.lines().count(), other.lines().count());
}
