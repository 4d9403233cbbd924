//! The projection law where nobody is kept from writing the same rows.

use std::sync::{Arc, Barrier};

use mirage_domain::id::Position;
use mirage_log::memory::Memory;

use super::{assert_alike, here, open, there};
use crate::graph::{Among, Graph, Page, Reader};
use crate::testing::history::{Dice, History, made_up};
use crate::testing::made_scan::{MadeScan, workspace};
use crate::testing::stores::{neo4j, view};
use crate::testing::{given, rows};
use crate::{Folded, Home, Projection, Runner};

#[test]
fn whatever_the_batches_it_holds_what_sqlite_holds() {
    let Some(home) = neo4j() else { return };
    let history = made_up(1, 4, 250);
    let (mut dice, mut rest) = (Dice(1), history.commits());
    // A process that stops and starts opens the store again.
    while !rest.is_empty() {
        let (batch, later) = rest.split_at((1 + dice.below(60)).min(rest.len()));
        let last = batch.last().unwrap().position;
        assert_eq!(open(&home).fold(batch).unwrap(), Folded::At(last));
        rest = later;
    }
    assert_alike(&there(&home), &here(&history));
}

#[test]
fn rows_without_their_checkpoint_are_passed_over() {
    let Some(home) = neo4j() else { return };
    let history = made_up(2, 4, 120);
    let mut store = open(&home);
    store.fold(history.commits()).unwrap();
    let whole = there(&home);
    let mut dice = Dice(2);
    for _ in 0..3 {
        let prefix = &history.commits()[..1 + dice.below(history.commits().len())];
        store.rewind();
        store.fold(prefix).unwrap();
        assert!(rows(&there(&home)) == rows(&whole));
    }
    store.fold(history.commits()).unwrap();
    assert_alike(&there(&home), &whole);
}

#[test]
fn several_who_write_the_same_rows_at_one_time_write_them_once() {
    let Some(home) = neo4j() else { return };
    let history = made_up(3, 4, 200);
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        for size in [7, 31, 60] {
            let (home, start, history) = (&home, &start, &history);
            scope.spawn(move || {
                start.wait();
                let mut store = open(home);
                for batch in history.commits().chunks(size) {
                    store.fold(batch).unwrap();
                }
            });
        }
    });
    assert_alike(&there(&home), &here(&history));
}

#[tokio::test]
async fn the_runner_follows_and_rebuilds_it() {
    let Some(home) = neo4j() else { return };
    let history = made_up(7, 3, 150);
    let log = Arc::new(Memory::default());
    let at: Arc<dyn Home> = Arc::new(home.clone());
    let runner = Runner::open_at(log.clone(), [(view(), at)]).unwrap();
    for until in [history.end().0 / 3, history.end().0] {
        history.copy_into(&*log, Position(until)).await;
        runner.fold_to_head().await.unwrap();
    }
    let live = there(&home);
    runner.rebuild(Graph::NAME).await.unwrap();
    assert_alike(&there(&home), &live);
    assert_alike(&live, &here(&history));
}

#[test]
fn a_stream_is_set_aside_as_in_sqlite() {
    let Some(home) = neo4j() else { return };
    let mut history = History::default();
    let mut scan = MadeScan::start(&mut history, 0, &[1, 2]);
    let at = scan.schedule(&mut history, "dns");
    let mut poison = scan.finding("dns", None, 5, 1);
    poison.key = "a\0b".to_owned().into();
    scan.report(&mut history, at, vec![poison]);
    let later = scan.finding("dns", None, 6, 1);
    scan.report(&mut history, at, vec![later]);
    let mut store = open(&home);
    for batch in history.commits().chunks(4) {
        store.fold(batch).unwrap();
    }
    let (own, other) = (home.ask(view()).unwrap(), given::<Graph>(&history));
    let quarantine = own.quarantine(9).unwrap();
    assert_eq!(quarantine, other.quarantine(9).unwrap());
    assert_eq!((quarantine.len(), quarantine[0].skipped), (1, 1));
    assert_eq!(own.quarantined().unwrap(), 1);
    assert_alike(&there(&home), &here(&history));
    // Whoever opens the store knows of it.
    assert_eq!(open(&home).quarantined(), 1);
}

#[test]
fn a_hostile_key_stays_a_value() {
    let Some(home) = neo4j() else { return };
    let hostile = [
        "`}) MATCH (n) DETACH DELETE n //".to_owned(),
        "'\"\\' RETURN $rows; {a: 1} @ Entity@ \u{202e}\u{1f980}".to_owned(),
        "\\u0027 OR 1 = 1 /* ".repeat(512),
    ];
    let mut history = History::default();
    let mut scan = MadeScan::start(&mut history, 0, &[1]);
    let at = scan.schedule(&mut history, "dns");
    let findings: Vec<_> = (0..hostile.len())
        .map(|n| {
            let mut finding = scan.finding("dns", None, 10 + n, n);
            finding.key = hostile[n].clone().into();
            finding
        })
        .collect();
    scan.report(&mut history, at, findings.clone());
    open(&home).fold(history.commits()).unwrap();
    assert_alike(&there(&home), &here(&history));
    let db = home.ask(view()).unwrap();
    let reader = Reader::new(&db, &workspace(0), None).unwrap();
    for (finding, key) in findings.iter().zip(hostile) {
        let node = reader.node(finding.entity, &Among::default()).unwrap();
        assert_eq!(node.unwrap().name.key, Some(key));
    }
    let page = reader.expand(findings[0].entity, &Among::default(), &Page::first(9));
    assert_eq!(page.unwrap().rows, []);
}

#[test]
fn an_end_whose_own_row_never_came_is_joined_but_has_no_name() {
    let Some(home) = neo4j() else { return };
    let mut history = History::default();
    let mut scan = MadeScan::start(&mut history, 0, &[1]);
    let at = scan.schedule(&mut history, "dns");
    let unknown = scan.finding("dns", None, 5, 1);
    let child = scan.finding("dns", Some(&unknown), 6, 2);
    scan.report(&mut history, at, vec![child.clone()]);
    open(&home).fold(history.commits()).unwrap();
    assert_alike(&there(&home), &here(&history));
    let (own, other) = (home.ask(view()).unwrap(), given::<Graph>(&history));
    let told = [&own, &other].map(|db| {
        let reader = Reader::new(db, &workspace(0), None).unwrap();
        let all = Among::default();
        let node = reader.node(unknown.entity, &all).unwrap();
        let around = reader
            .neighbors(child.entity, &all, &Page::first(9))
            .unwrap();
        format!(
            "{node:?} {around:?} {:?}",
            reader.components(&scan.id).unwrap()
        )
    });
    assert_eq!(told[0], told[1]);
}
