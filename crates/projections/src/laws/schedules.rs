//! Schedules: whatever is killed, rebuilt or deleted on the way, views end in one dump.

use std::sync::Arc;
use std::time::Duration;

use mirage_domain::id::Position;
use mirage_log::contract::noon;
use mirage_log::memory::Memory;

use crate::testing::dumped;
use crate::testing::history::{Dice, History, made_up};
use crate::testing::places::{Place, places};
use crate::{Registered, Runner, Store};

const SCHEDULES: u64 = 200;
/// Of those, how many are lived on a server, too.
const SCHEDULES_EVERYWHERE: u64 = 12;
/// A view that takes longer for its part of a small log has stopped, and says why.
const WAIT: Duration = Duration::from_secs(60);
/// Commits of a log, about.
const STEPS: usize = 50;

/// The dump of each view, folded in one go.
fn expected(views: &'static [Registered], history: &History) -> Vec<String> {
    let fold = |view| {
        let mut store = Store::in_memory(view).unwrap();
        store.fold(history.commits()).unwrap();
        dumped(&store.into_db().unwrap())
    };
    views.iter().map(fold).collect()
}

/// One life of a runner: it follows until it has reached some position, and some turns longer; or it rebuilds.
async fn live(runner: &Runner, views: &[Registered], dice: &mut Dice, head: u64) {
    let view = views[dice.below(views.len())].name;
    if dice.below(4) == 0 {
        let turns = dice.below(60);
        let killed = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        let rebuild = std::pin::pin!(runner.rebuild(view));
        // Dropped on the way, or complete: both are lives.
        futures::future::select(rebuild, std::pin::pin!(killed)).await;
        return;
    }
    let (mark, turns) = (dice.below(head as usize + 1) as u64, dice.below(30));
    let mut position = runner.position(view).unwrap();
    let killed = async {
        position
            .wait_for(|position| position.0 >= mark)
            .await
            .unwrap();
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    match tokio::time::timeout(WAIT, runner.run(killed)).await {
        Ok(ended) => ended.unwrap(),
        Err(_) => panic!("a view stands still: {:?}", runner.inspect(noon()).await),
    }
}

/// A runtime of its own, as a process has: dropped, it waits for the statement at hand and for nothing else.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

fn schedule(place: &Place, seed: u64) {
    let history = made_up(5_000 + seed, 3, STEPS);
    let (views, log) = (place.views(), Arc::new(Memory::default()));
    let mut dice = Dice(seed);
    let mut head = 0;
    while head < history.end().0 {
        head = (head + 1 + dice.below(30) as u64).min(history.end().0);
        runtime().block_on(async {
            history.copy_into(&*log, Position(head)).await;
            live(&place.runner(log.clone()), views, &mut dice, head).await;
        });
        if dice.below(12) == 0 {
            place.wipe();
        }
    }
    runtime().block_on(async {
        let (runner, expected) = (place.runner(log), expected(views, &history));
        all_say(&runner, views, &expected, seed).await;
    });
}

/// Each view, live and rebuilt, has the dump that is expected of it, and nothing is set aside.
async fn all_say(runner: &Runner, views: &[Registered], expected: &[String], seed: u64) {
    runner.fold_to_head().await.unwrap();
    for (view, expected) in views.iter().zip(expected) {
        let db = runner.db(view.name).unwrap();
        assert!(db.quarantine(1).unwrap().is_empty(), "seed {seed}");
        assert!(dumped(&db) == *expected, "{} live, seed {seed}", view.name);
        runner.rebuild(view.name).await.unwrap();
        let rebuilt = dumped(&runner.db(view.name).unwrap());
        assert!(rebuilt == *expected, "{} rebuilt, seed {seed}", view.name);
    }
}

#[test]
fn two_hundred_schedules_of_kills_batches_and_rebuilds_end_in_one_dump() {
    for seed in 0..SCHEDULES {
        let places = match seed < SCHEDULES_EVERYWHERE {
            true => places(),
            false => vec![Place::Folder(tempfile::tempdir().unwrap())],
        };
        places.iter().for_each(|place| schedule(place, seed));
    }
}
