//! Views on a real server: one dump, kills, sweeping, connections that are used again or lost.

use std::sync::Arc;

use futures::FutureExt;
use mirage_domain::id::{FindingId, Position};
use mirage_log::contract::noon;
use mirage_log::memory::Memory;

use super::*;
use crate::catalog::Catalog;
use crate::testing::history::{Dice, History, made_up};
use crate::testing::made_scan::MadeScan;
use crate::testing::places::{at, postgres};
use crate::testing::{dumped, given_in_memory};
use crate::{ALL, Runner, Store};

const WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// The catalog comes first.
fn view() -> &'static Registered {
    &ALL[0]
}

fn fold(store: &mut Store, history: &History, dice: &mut Dice) {
    let mut rest = history.commits();
    while !rest.is_empty() {
        let (batch, later) = rest.split_at((1 + dice.below(90)).min(rest.len()));
        store.fold(batch).unwrap();
        rest = later;
    }
}

#[test]
fn one_log_gives_one_dump_live_and_rebuilt() {
    let Some(home) = postgres() else { return };
    for seed in 20..23 {
        let history = made_up(seed, 4, 300);
        let expected = dumped(&given_in_memory::<Catalog>(history.commits()));
        home.discard(view()).unwrap();
        let mut live = Store::open(&home, view()).unwrap();
        fold(&mut live, &history, &mut Dice(seed));
        assert!(
            dumped(&home.ask(view()).unwrap()) == expected,
            "live, seed {seed}"
        );
        let mut build = Store::build(&home, view()).unwrap();
        fold(&mut build, &history, &mut Dice(seed + 1));
        assert!(build.complete().unwrap().is_ok());
        assert!(
            dumped(&home.ask(view()).unwrap()) == expected,
            "rebuilt, seed {seed}"
        );
    }
}

#[test]
fn rows_that_a_rebuild_is_told_again_are_kept_once() {
    let Some(home) = postgres() else { return };
    let history = made_up(24, 4, 200);
    let expected = dumped(&given_in_memory::<Catalog>(history.commits()));
    let mut build = Store::build(&home, view()).unwrap();
    fold(&mut build, &history, &mut Dice(24));
    build.rewind();
    fold(&mut build, &history, &mut Dice(25));
    assert!(build.complete().unwrap().is_ok());
    assert!(dumped(&home.ask(view()).unwrap()) == expected);
}

#[test]
fn a_text_with_a_nul_is_kept_alike() {
    let Some(home) = postgres() else { return };
    let mut history = History::default();
    let mut scan = MadeScan::start(&mut history, 0, &[1]);
    let at = scan.schedule(&mut history, "dns");
    let seed = scan.finding("seed", None, 1, 0);
    let mut finding = scan.finding("dns", Some(&seed), 5, 1);
    finding.scope.rule = "a\0b".into();
    scan.report(&mut history, at, vec![finding]);
    let expected = dumped(&given_in_memory::<Catalog>(history.commits()));
    assert!(expected.contains("a\u{fffd}b"));
    let mut store = Store::open(&home, view()).unwrap();
    store.fold(history.commits()).unwrap();
    assert!(dumped(&store.into_db().unwrap()) == expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_waits_for_a_server_that_was_killed_and_catches_up() {
    let Some(server) = mirage_servers::postgres_alone() else {
        return;
    };
    let home = at(&server.url());
    let (history, log) = (made_up(31, 4, 600), Arc::new(Memory::default()));
    let views: [(_, Arc<dyn Home>); 1] = [(view(), Arc::new(home.clone()))];
    let runner = Runner::open_at(log.clone(), views).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let work = async {
        let mut dice = Dice(31);
        for round in 1..=3 {
            let (before, until) = (
                runner.position(view().name).unwrap(),
                history.end().0 * round / 4,
            );
            let before = *before.borrow();
            history.copy_into(&*log, Position(until)).await;
            // Somewhere within what was just appended.
            let mark = before.0 + dice.below((until - before.0) as usize) as u64;
            runner
                .catch_up(view().name, Position(mark), WAIT)
                .await
                .unwrap();
            server.process().kill();
            let mut end = until + 5;
            history.copy_into(&*log, Position(end)).await;
            let waits = |told: &[crate::Status]| told[0].waits.is_some();
            while !runner.status(noon()).await.is_ok_and(|told| waits(&told)) {
                // What serves a connection outlives the killed server until it next waits, and may still write this.
                if runner.position(view().name).unwrap().borrow().0 == end {
                    end += 1;
                    history.copy_into(&*log, Position(end)).await;
                }
                tokio::task::yield_now().await;
            }
            server.restart();
        }
        history.copy_into(&*log, history.end()).await;
        runner
            .catch_up(view().name, history.end(), WAIT)
            .await
            .unwrap();
        stop.send(()).unwrap();
    };
    let (ran, ()) = tokio::join!(runner.run(stopped.map(|_| ())), work);
    ran.unwrap();
    assert_eq!(runner.status(noon()).await.unwrap()[0].waits, None);
    let expected = dumped(&given_in_memory::<Catalog>(history.commits()));
    assert!(dumped(&runner.db(view().name).unwrap()) == expected);
}

#[test]
fn builds_that_nobody_needs_go_after_a_minute() {
    let Some(home) = postgres() else { return };
    drop(Store::open(&home, view()).unwrap());
    let replaced = Store::build(&home, view()).unwrap();
    assert!(replaced.complete().unwrap().is_ok());
    let (_at_work, _abandoned) = (
        Store::build(&home, view()).unwrap(),
        Store::build(&home, view()).unwrap(),
    );
    let client = home.connect(view()).unwrap();
    let numbers = || {
        let sql = format!(
            "SELECT build FROM \"{}\".builds ORDER BY build",
            home.0.prefix
        );
        let rows = client.rows(&sql, &[]).unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>()
    };
    home.sweep(view()).unwrap();
    assert_eq!(numbers(), [1, 2, 3, 4], "somebody may still be reading");
    let age = "touched_at = touched_at - interval '61 seconds' WHERE build <> 3";
    client
        .run(&format!("UPDATE \"{}\".builds SET {age}", home.0.prefix))
        .unwrap();
    home.sweep(view()).unwrap();
    assert_eq!(numbers(), [2, 3]);
    let gone = home.builds(view()).schema(1);
    let rows = client
        .rows("SELECT to_regnamespace(?::text) IS NULL", &[&gone])
        .unwrap();
    assert!(rows[0].get::<_, bool>(0));
}

fn backend(db: &Db) -> Result<i64, Error> {
    let pid = db.row("SELECT pg_backend_pid()", &[], |row| row.get(0))?;
    Ok(pid.unwrap())
}

fn end(home: &Postgres, backend: i64) {
    let client = home.connect(view()).unwrap();
    client
        .run(&format!("SELECT pg_terminate_backend({backend}, 10000)"))
        .unwrap();
}

#[test]
fn a_question_uses_the_connection_of_the_last_one_or_a_new_one_where_that_is_lost() {
    let Some(home) = postgres() else { return };
    assert!(matches!(home.ask(view()), Err(Error::NotBuilt(_))));
    drop(Store::open(&home, view()).unwrap());
    let db = home.ask(view()).unwrap();
    let first = backend(&db).unwrap();
    db.exclude(&[FindingId([7; 16])]).unwrap();
    let fallen = |db: &Db| {
        db.row("SELECT count(*) FROM fallen", &[], |row| {
            row.get::<_, i64>(0)
        })
    };
    assert_eq!(fallen(&db).unwrap(), Some(1));
    drop(db);
    let db = home.ask(view()).unwrap();
    assert_eq!(backend(&db).unwrap(), first);
    assert_eq!(
        fallen(&db).unwrap(),
        Some(0),
        "what one left out is not left out for the next"
    );
    end(&home, first);
    let lost = backend(&db).unwrap_err();
    assert!(lost.may_retry(), "{lost:?}");
    drop(db);
    let second = backend(&home.ask(view()).unwrap()).unwrap();
    assert_ne!(second, first);
    end(&home, second);
    assert_ne!(backend(&home.ask(view()).unwrap()).unwrap(), second);
}

#[test]
fn a_question_to_a_build_that_is_gone_is_to_be_asked_again() {
    let Some(home) = postgres() else { return };
    drop(Store::open(&home, view()).unwrap());
    let db = home.ask(view()).unwrap();
    home.discard(view()).unwrap();
    let error = db.position().unwrap_err();
    assert!(error.may_retry(), "{error:?}");
}

#[test]
fn nothing_is_written_by_a_question() {
    let Some(home) = postgres() else { return };
    drop(Store::open(&home, view()).unwrap());
    let db = home.ask(view()).unwrap();
    let written = db.row("DELETE FROM findings RETURNING cursor", &[], |row| {
        row.get::<_, i64>(0)
    });
    assert!(!written.unwrap_err().may_retry());
}
