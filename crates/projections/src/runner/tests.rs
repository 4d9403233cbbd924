//! The runner against logs in memory and on disk: kills, rebuilds, alarms, poison, turns.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use mirage_domain::entity::Kind;
use mirage_domain::id::{Digest, StreamId};
use mirage_domain::scan;
use mirage_log::commit::encode;
use mirage_log::contract::{commit_of, noon};
use mirage_log::memory::Memory;
use mirage_log::sqlite::Sqlite;
use mirage_log::{EncodedCommit, Recorded};
use tempfile::TempDir;

use super::*;
use crate::catalog::{Catalog, FindingFilter, Page, Reader};
use crate::store::sqlite::files;
use crate::testing::history::{Dice, History, made_up};
use crate::testing::made_scan::{MadeScan, workspace};
use crate::testing::places::places;
use crate::testing::{dumped, given_commits};
use crate::{Folded, Operations, Projection, registered};

const WAIT: Duration = Duration::from_secs(60);

async fn held(history: &History) -> Arc<Memory> {
    let log = Arc::new(Memory::default());
    history.copy_into(&*log, history.end()).await;
    log
}

/// The live view says what a catalog folded from the first commits does.
#[track_caller]
fn assert_folded(runner: &Runner, history: &History, until: Position) {
    let commits = &history.commits()[..until.0 as usize];
    let expected = dumped(&given_commits::<Catalog>(commits));
    assert!(dump_of(runner) == expected, "the dumps differ");
}

fn dump_of(runner: &Runner) -> String {
    dumped(&runner.db("catalog").unwrap())
}

#[tokio::test]
async fn folding_to_the_head_gives_what_the_log_says() {
    for place in places() {
        let history = made_up(1, 3, 300);
        let runner = place.runner(held(&history).await);
        runner.fold_to_head().await.unwrap();
        assert_folded(&runner, &history, history.end());
        let status = &runner.status(noon()).await.unwrap()[0];
        assert_eq!(
            (status.position, status.lag, status.age_s),
            (history.end(), 0, 0)
        );
    }
}

#[tokio::test]
async fn an_empty_log_is_caught_up_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let runner = Runner::open(dir.path(), Arc::new(Memory::default())).unwrap();
    runner.fold_to_head().await.unwrap();
    assert_eq!(
        runner.db("catalog").unwrap().position().unwrap(),
        Position(0)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_runner_follows_and_a_reader_waits_for_its_position() {
    for place in places() {
        let history = made_up(2, 2, 120);
        let log = Arc::new(Memory::default());
        let runner = Arc::new(place.runner(log.clone()));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn({
            let runner = runner.clone();
            async move { runner.run(stopped.map(|_| ())).await }
        });
        for at in 1..=history.end().0 {
            history.copy_into(&*log, Position(at)).await;
            if at % 20 == 0 {
                let reached = runner
                    .catch_up("catalog", Position(at), WAIT)
                    .await
                    .unwrap();
                assert_eq!(reached, Position(at));
            }
        }
        runner
            .catch_up("catalog", history.end(), WAIT)
            .await
            .unwrap();
        let ahead = runner
            .catch_up("catalog", Position(history.end().0 + 1), Duration::ZERO)
            .await;
        assert!(matches!(ahead, Err(Error::Lagging { position, .. }) if position == history.end()));
        stop.send(()).unwrap();
        running.await.unwrap().unwrap();
        assert_folded(&runner, &history, history.end());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runner_that_is_killed_anywhere_goes_on_where_it_was() {
    for place in places() {
        let history = made_up(3, 3, 300);
        let log = Arc::new(Memory::default());
        let mut dice = Dice(3);
        let mut at = 0;
        while at < history.end().0 {
            at = (at + 1 + dice.below(40) as u64).min(history.end().0);
            history.copy_into(&*log, Position(at)).await;
            let runner = place.runner(log.clone());
            // Dropped some turns of the scheduler after a position somewhere was reached: before, within or after a batch.
            let (mark, turns) = (dice.below(at as usize + 1) as u64, dice.below(30));
            let mut position = runner.position("catalog").unwrap();
            let killed = async {
                let reached = position.wait_for(|position| position.0 >= mark);
                reached.await.unwrap();
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            };
            runner.run(killed).await.unwrap();
        }
        let runner = place.runner(log);
        runner.fold_to_head().await.unwrap();
        assert_folded(&runner, &history, history.end());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runners_of_several_processes_take_turns() {
    for place in places() {
        let history = made_up(4, 3, 300);
        let log = held(&history).await;
        let runners: Vec<Runner> = (0..4).map(|_| place.runner(log.clone())).collect();
        for done in join_all(runners.iter().map(Runner::fold_to_head)).await {
            done.unwrap();
        }
        assert_folded(&runners[0], &history, history.end());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_takes_the_place_of_the_live_view_and_says_the_same() {
    let history = made_up(5, 3, 300);
    let half = Position(history.end().0 / 2);
    let (dir, log) = (tempfile::tempdir().unwrap(), Arc::new(Memory::default()));
    history.copy_into(&*log, half).await;
    let live = Runner::open(dir.path(), log.clone()).unwrap();
    live.fold_to_head().await.unwrap();
    let before = dump_of(&live);
    // Some row goes wrong: only a rebuild mends it.
    let folder = files::folder(dir.path());
    let build = files::highest(&folder, &ALL[0]).unwrap().unwrap();
    let broken = rusqlite::Connection::open(&build.path).unwrap();
    broken.execute("DELETE FROM findings", []).unwrap();
    assert_ne!(dump_of(&live), before);
    let other = Runner::open(dir.path(), log.clone()).unwrap();
    assert_eq!(other.rebuild("catalog").await.unwrap(), half);
    assert_eq!(files::highest(&folder, &ALL[0]).unwrap().unwrap().number, 2);
    assert!(dump_of(&live) == before);
    history.copy_into(&*log, history.end()).await;
    live.fold_to_head().await.unwrap();
    assert_folded(&live, &history, history.end());
    Runner::open(dir.path(), log).unwrap();
    let left: Vec<u64> = files::builds(&folder, &ALL[0])
        .unwrap()
        .iter()
        .map(|build| build.number)
        .collect();
    assert_eq!(left, [2], "the next open deletes the old build");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_rebuilt_while_it_is_followed() {
    for place in places() {
        let history = made_up(6, 3, 300);
        let log = Arc::new(Memory::default());
        let runner = place.runner(log.clone());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let work = async {
            for at in (1..=history.end().0).step_by(7) {
                history.copy_into(&*log, Position(at)).await;
                if at % 3 == 0 {
                    runner.rebuild("catalog").await.unwrap();
                }
            }
            history.copy_into(&*log, history.end()).await;
            runner
                .catch_up("catalog", history.end(), WAIT)
                .await
                .unwrap();
            stop.send(()).unwrap();
        };
        let (ran, ()) = tokio::join!(runner.run(stopped.map(|_| ())), work);
        ran.unwrap();
        runner.fold_to_head().await.unwrap();
        assert_folded(&runner, &history, history.end());
    }
}

#[tokio::test]
async fn a_rebuilt_view_has_every_row_and_index_of_the_live_one() {
    let history = made_up(3, 2, 100);
    let dir = tempfile::tempdir().unwrap();
    let runner = Runner::open(dir.path(), held(&history).await).unwrap();
    runner.fold_to_head().await.unwrap();
    let indexes = |view: &str| {
        let sql =
            "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name";
        let db = runner.db(view).unwrap();
        db.rows(sql, &[], |row| row.get::<_, String>(0)).unwrap()
    };
    for view in ALL {
        let live = indexes(view.name);
        assert!(!live.is_empty(), "{} has no index", view.name);
        runner.rebuild(view.name).await.unwrap();
        assert_eq!(indexes(view.name), live, "{}", view.name);
    }
}

#[tokio::test]
async fn deleted_views_are_made_again() {
    for place in places() {
        let history = made_up(7, 2, 100);
        let runner = place.runner(held(&history).await);
        runner.fold_to_head().await.unwrap();
        place.wipe();
        assert!(matches!(
            runner.db("catalog"),
            Err(Error::NotBuilt("catalog"))
        ));
        runner.fold_to_head().await.unwrap();
        assert_folded(&runner, &history, history.end());
    }
}

async fn alarm(history: &History, then: &History) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let runner = Runner::open(dir.path(), held(history).await).unwrap();
    runner.fold_to_head().await.unwrap();
    let before = dump_of(&runner);
    let runner = Runner::open(dir.path(), held(then).await).unwrap();
    let error = runner.run(std::future::pending()).await.unwrap_err();
    assert!(error.is_alarm(), "{error}");
    assert!(dump_of(&runner) == before, "nothing is folded or rebuilt");
    let status = runner.status(noon()).await.unwrap();
    assert!(status[0].stopped.is_some());
    error
}

#[tokio::test]
async fn a_log_behind_the_checkpoint_is_an_alarm() {
    let (longer, shorter) = (made_up(7, 3, 90), made_up(7, 3, 60));
    assert!(longer.end() > shorter.end());
    let error = alarm(&longer, &shorter).await;
    assert!(matches!(error, Error::LogBehind { .. }), "{error}");
}

#[tokio::test]
async fn another_log_under_a_view_is_an_alarm() {
    let error = alarm(&made_up(8, 2, 60), &made_up(9, 2, 90)).await;
    assert!(matches!(error, Error::LogDiffers { .. }), "{error}");
}

#[tokio::test]
async fn a_view_that_is_no_use_is_rebuilt_when_it_is_asked_for() {
    for place in places() {
        let (longer, log) = (
            held(&made_up(7, 3, 90)).await,
            held(&made_up(7, 3, 60)).await,
        );
        let runner = place.runner(longer);
        runner.fold_to_head().await.unwrap();
        let shorter = place.runner(log.clone());
        let (name, looked) = shorter.inspect(noon()).await.swap_remove(0);
        assert!(looked.unwrap_err().is_alarm());
        let position = shorter.rebuild(name).await.unwrap();
        assert_eq!(position, log.head().await.unwrap().position);
        let (_, looked) = shorter.inspect(noon()).await.swap_remove(0);
        assert_eq!(looked.unwrap().lag, 0);
    }
}

/// A commit whose event a later program wrote.
fn newer() -> EncodedCommit {
    let stream = StreamId::scan(
        &workspace(0),
        &MadeScan::start(&mut History::default(), 9, &[1]).id,
    );
    let event = scan::Event::from(scan::Archived {}).into();
    let encoded = encode(&commit_of(stream, None, vec![event])).unwrap();
    let text = String::from_utf8(encoded.bytes.to_vec()).unwrap();
    let text = text.replace("scan.archived", "scan.exploded");
    EncodedCommit {
        hash: Digest::of(text.as_bytes()),
        bytes: text.into_bytes().into(),
        ..encoded
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_this_program_does_not_know_stops_the_view_before_it() {
    let history = made_up(10, 2, 60);
    let (dir, logs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = Arc::new(Sqlite::open(logs.path()).unwrap());
    history.copy_into(&*log, history.end()).await;
    log.append(newer(), None).await.unwrap();
    let runner = Runner::open(dir.path(), log.clone()).unwrap();
    let error = runner.run(std::future::pending()).await.unwrap_err();
    assert!(error.to_string().ends_with("upgrade this node"), "{error}");
    let position = runner.db("catalog").unwrap().position().unwrap();
    assert!(position <= history.end());
    assert_folded(&runner, &history, position);
    let stopped = runner
        .catch_up("catalog", Position(history.end().0 + 1), Duration::ZERO)
        .await;
    assert!(matches!(stopped, Err(Error::Stopped { .. })));
    assert!(matches!(
        runner.rebuild("catalog").await,
        Err(Error::Newer { .. })
    ));
}

#[tokio::test]
async fn a_stream_that_cannot_be_applied_is_set_aside_and_the_others_flow() {
    let mut history = History::default();
    let mut scan = MadeScan::start(&mut history, 0, &[1]);
    let (poisoned, healthy) = (
        scan.schedule(&mut history, "dns"),
        scan.schedule(&mut history, "http"),
    );
    let seed = scan.finding("seed", None, 1, 0);
    let mut poison = scan.finding("dns", Some(&seed), 5, 1);
    (poison.kind, poison.key) = (Kind::Text, "a\0b".to_owned().into());
    let good = scan.finding("dns", Some(&seed), 6, 1);
    let bad_at = scan.report(&mut history, poisoned, vec![good.clone(), poison]);
    scan.report(&mut history, poisoned, vec![good]);
    let fine = scan.finding("http", Some(&seed), 7, 1);
    scan.report(&mut history, healthy, vec![fine]);
    for place in places() {
        let runner = place.runner(held(&history).await);
        runner.fold_to_head().await.unwrap();
        let db = runner.db("catalog").unwrap();
        let reader = Reader::new(&db, &workspace(0), None).unwrap();
        let found = reader
            .findings(&FindingFilter::default(), &Page::first(9))
            .unwrap()
            .rows;
        let modules: Vec<&str> = found
            .iter()
            .map(|finding| finding.module.as_str())
            .collect();
        assert_eq!(modules, ["seed", "http"]);
        assert_eq!(runner.status(noon()).await.unwrap()[0].quarantined, 1);
        let quarantined = db.quarantine(10).unwrap();
        assert_eq!(quarantined.len(), 1);
        assert_eq!(
            (quarantined[0].cursor.position, quarantined[0].cursor.index),
            (bad_at, 2)
        );
        assert_eq!(
            (quarantined[0].skipped, quarantined[0].error.contains("NUL")),
            (1, true)
        );
        // Retrying is a rebuild, and says the same while the code is the same.
        let before = dump_of(&runner);
        runner.rebuild("catalog").await.unwrap();
        assert!(dump_of(&runner) == before);
    }
}

static IS_MENDED: AtomicBool = AtomicBool::new(false);

struct Fragile;

impl Projection for Fragile {
    const NAME: &'static str = "fragile";
    const VERSION: u32 = 1;
    const SCHEMA: &'static str = "CREATE TABLE seen (position INTEGER PRIMARY KEY)";

    fn apply(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error> {
        static SEEN: crate::Table = crate::Table {
            name: "seen",
            columns: &["position"],
        };
        let is_plan = recorded.commit.stream.category.as_str() == "plan";
        assert!(
            !is_plan || IS_MENDED.load(Ordering::SeqCst),
            "no plan is expected"
        );
        operations.insert(&SEEN, [recorded.position.0.into()]);
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_in_apply_is_quarantined_and_mended_by_a_rebuild() {
    static VIEWS: &[Registered] = &[registered::<Catalog>(), registered::<Fragile>()];
    let history = made_up(11, 2, 60);
    let dir: TempDir = tempfile::tempdir().unwrap();
    let runner = Runner::open_views(dir.path(), held(&history).await, VIEWS).unwrap();
    runner.fold_to_head().await.unwrap();
    let status = runner.status(noon()).await.unwrap();
    let seen: Vec<_> = status
        .iter()
        .map(|status| (status.view, status.quarantined, status.position))
        .collect();
    assert_eq!(
        seen,
        [("catalog", 0, history.end()), ("fragile", 2, history.end())]
    );
    IS_MENDED.store(true, Ordering::SeqCst);
    runner.rebuild("fragile").await.unwrap();
    assert_eq!(runner.status(noon()).await.unwrap()[1].quarantined, 0);
}

#[test]
fn views_near_one_another_read_the_log_together() {
    static VIEWS: &[Registered] = &[registered::<Catalog>(), registered::<Fragile>()];
    let home: Arc<dyn Home> = Arc::new(Folder::of(Path::new("nowhere")));
    let store = |at: usize, history: &History, view: &'static Registered| {
        let mut store = Store::in_memory(view).unwrap();
        store.fold(&history.commits()[..at]).unwrap();
        (Arc::new(Progress::new(view, home.clone())), store)
    };
    let history = made_up(12, 1, 30);
    let near = vec![
        store(20, &history, &VIEWS[0]),
        store(5, &history, &VIEWS[0]),
    ];
    assert_eq!(near_one_another(near).len(), 1);
}

#[test]
fn a_build_does_not_take_the_place_of_a_view_that_was_begun_meanwhile() {
    let history = made_up(5, 2, 80);
    let (first, rest) = history.commits().split_at(40);
    for place in places() {
        let home = place.home();
        let view = crate::named("catalog").unwrap();
        let mut build = Store::build(&*home, view).unwrap();
        let mut live = Store::open(&*home, view).unwrap();
        live.fold(first).unwrap();
        build.fold(first).unwrap();
        let behind = build.complete().unwrap().err();
        assert_eq!(behind.map(|build| build.checkpoint()), None);
        // The one that is in use changes over, and no file is pulled from under it.
        assert_eq!(live.fold(rest).unwrap(), Folded::At(history.end()));
        // And it is the new one that is asked, even after the old one has gone.
        let expected = dumped(&given_commits::<Catalog>(history.commits()));
        assert!(dumped(&home.ask(view).unwrap()) == expected);
        assert!(dumped(&live.into_db().unwrap()) == expected);
    }
}
