//! Builds beside each other: which one is live, and what is left of those that are not.

use super::super::cypher::Cypher;
use super::{assert_alike, here, open, there};
use crate::testing::history::made_up;
use crate::testing::stores::{neo4j, view};
use crate::{Error, Folded, Home, Neo4j, Store, named};

/// Nodes, relationships, constraints and indexes that bear the name of a build.
fn left(home: &Neo4j, number: i64) -> i64 {
    let mark = home.builds(view()).unwrap().mark(number);
    let count = |text: &str| {
        let cypher = Cypher::new(text).with("mark", mark.as_str());
        let counts = home.server.rows(&cypher, "", |record| {
            crate::row::Row::Neo4j(record).get::<_, i64>("count")
        });
        counts.unwrap().into_iter().sum::<i64>()
    };
    count(
        "MATCH (n) WHERE any(label IN labels(n) WHERE label ENDS WITH $mark) RETURN count(n) AS count",
    ) + count("MATCH ()-[c]->() WHERE type(c) ENDS WITH $mark RETURN count(c) AS count")
        + count("SHOW CONSTRAINTS YIELD name WHERE name ENDS WITH $mark RETURN count(*) AS count")
        + count("SHOW INDEXES YIELD name WHERE name ENDS WITH $mark RETURN count(*) AS count")
}

#[test]
fn a_build_that_caught_up_takes_the_place_of_the_live_one() {
    let Some(home) = neo4j() else { return };
    let history = made_up(4, 3, 100);
    let commits = history.commits();
    let half = commits.len() / 2;
    let mut live = open(&home);
    live.fold(&commits[..half]).unwrap();
    let held = home.ask(view()).unwrap();

    let mut next = Store::build(&home, view()).unwrap();
    next.fold(&commits[..half - 1]).unwrap();
    let Err(mut next) = next.complete().unwrap() else {
        panic!("the live one stands further");
    };
    next.fold(commits).unwrap();
    assert!(next.complete().unwrap().is_ok());
    assert_alike(&there(&home), &here(&history));

    // Who wrote the old one goes on with the new one, and who asks it is still answered for a while.
    assert_eq!(
        live.fold(&commits[half..]).unwrap(),
        Folded::At(history.end())
    );
    home.sweep(view()).unwrap();
    assert_eq!(held.position().unwrap().0, half as u64);
    assert!(left(&home, 1) > 0);

    home.sweep_now(view());
    assert_eq!(left(&home, 1), 0);
    assert!(matches!(held.position(), Err(Error::NotBuilt("graph"))));
    assert_alike(&there(&home), &here(&history));
}

#[test]
fn an_abandoned_build_is_swept_and_its_writer_told() {
    let Some(home) = neo4j() else { return };
    let history = made_up(5, 2, 40);
    open(&home).fold(history.commits()).unwrap();
    let mut abandoned = Store::build(&home, view()).unwrap();
    abandoned.fold(history.commits()).unwrap();
    home.sweep(view()).unwrap();
    assert!(left(&home, 2) > 0);
    home.sweep_now(view());
    assert_eq!(left(&home, 2), 0);
    let told = abandoned.fold(history.commits());
    assert!(matches!(told, Err(Error::Interfered("graph"))), "{told:?}");
    assert_eq!(left(&home, 2), 0);
}

#[test]
fn a_view_that_is_discarded_begins_anew() {
    let Some(home) = neo4j() else { return };
    let history = made_up(6, 2, 40);
    let mut store = open(&home);
    store.fold(history.commits()).unwrap();
    home.discard(view()).unwrap();
    assert_eq!(left(&home, 1), 0);
    assert!(matches!(home.ask(view()), Err(Error::NotBuilt("graph"))));
    assert_eq!(
        store.fold(history.commits()).unwrap(),
        Folded::At(history.end())
    );
    assert_alike(&there(&home), &here(&history));
}

#[test]
fn other_views_have_no_place_there() {
    let Some(home) = neo4j() else { return };
    let refused = home.open(named("catalog").unwrap()).err().unwrap();
    assert_eq!(refused.code(), "no_such_view");
}
