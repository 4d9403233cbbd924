//! The search view on a server: the answers, dumps and restarts of the SQLite view, and faults on the way.

use std::sync::Arc;
use std::time::Duration;

use mirage_domain::id::{Cursor, Position, ScanId};
use mirage_log::Recorded;
use mirage_log::memory::Memory;

use super::standin::{Fault, KEY, Standin};
use super::*;
use crate::search::{Page, Query, Reader};
use crate::testing::history::{Dice, made_up};
use crate::testing::made_scan::workspace;
use crate::testing::{dumped, given};
use crate::{Folded, Operations, Runner, Store, registered};

static VIEWS: &[Registered] = &[registered::<Search>()];

fn view() -> &'static Registered {
    &VIEWS[0]
}

fn options(standin: &Standin) -> Options {
    Options {
        patience: Duration::from_millis(200),
        request_max: Duration::from_millis(400),
        task_max: Duration::from_millis(400),
        ..Options::new(standin.url(), Some(KEY.to_owned()))
    }
}

fn home(standin: &Standin) -> Meilisearch {
    Meilisearch::new(options(standin)).unwrap()
}

fn fold(home: &Meilisearch, commits: &[Arc<Recorded>]) -> Store {
    let mut store = Store::open(home, view()).unwrap();
    store.fold(commits).unwrap();
    store
}

/// A server, empty or with a view of a log.
fn served(commits: &[Arc<Recorded>]) -> (Standin, Meilisearch) {
    let standin = Standin::start();
    let home = home(&standin);
    fold(&home, commits);
    (standin, home)
}

fn asked(home: &Meilisearch) -> String {
    dumped(&home.ask(view()).unwrap())
}

#[test]
fn a_view_on_the_server_has_the_dump_of_one_in_a_file() {
    let history = made_up(3, 4, 250);
    let standin = Standin::start();
    let home = home(&standin);
    let mut store = Store::open(&home, view()).unwrap();
    for batch in history.commits().chunks(37) {
        store.fold(batch).unwrap();
    }
    assert!(asked(&home) == dumped(&given::<Search>(&history)));
}

/// Queries that random logs answer.
const ASKED: [&str; 12] = [
    "example",
    "host-1",
    "192.0.2",
    "host -salt",
    "kind:ip",
    "exam module:dns",
    "salt*",
    "ho* -\"host 3\"",
    "\"host 5\" example",
    "-example",
    "!!",
    "o",
];

fn every(
    db: &Db,
    workspace_at: usize,
    at: Option<Position>,
    text: &str,
    limit: u32,
) -> Vec<crate::search::Hit> {
    let reader = Reader::new(db, &workspace(workspace_at), at).unwrap();
    let query = Query::parse(text).unwrap();
    let filter = query.filter(|scan| scan.parse::<ScanId>()).unwrap();
    let (mut hits, mut page) = (Vec::new(), Page::first(limit));
    loop {
        let found = reader.search(&query, &filter, &page).unwrap();
        hits.extend(found.hits);
        match found.next {
            Some(after) => page = page.after(after),
            None => return hits,
        }
    }
}

#[test]
fn answers_are_those_of_the_view_in_a_file_now_and_as_of_then() {
    for seed in 0..3 {
        let history = made_up(seed, 4, 220);
        let (_standin, home) = served(history.commits());
        let on_server = home.ask(view()).unwrap();
        let in_file = given::<Search>(&history);
        let mut dice = Dice(seed);
        for text in ASKED {
            let at = Some(Position(1 + dice.below(history.commits().len()) as u64));
            let (n, limit) = (dice.below(2), [2, 50][dice.below(2)]);
            for at in [None, at] {
                let expected = every(&in_file, n, at, text, limit);
                assert_eq!(
                    every(&on_server, n, at, text, limit),
                    expected,
                    "{text} {at:?}"
                );
            }
        }
    }
}

#[test]
fn what_has_fallen_is_not_found() {
    let history = made_up(5, 2, 120);
    let (_standin, home) = served(history.commits());
    let db = home.ask(view()).unwrap();
    let before = every(&db, 0, None, "host", 50);
    db.exclude(&[before[0].finding_id]).unwrap();
    let after = every(&db, 0, None, "host", 50);
    assert_eq!(after.len() + 1, before.len());
    assert!(
        after
            .iter()
            .all(|hit| hit.finding_id != before[0].finding_id)
    );
}

#[test]
fn facets_are_those_of_the_view_in_a_file() {
    let history = made_up(6, 4, 250);
    let (_standin, home) = served(history.commits());
    let (on_server, in_file) = (home.ask(view()).unwrap(), given::<Search>(&history));
    for text in ASKED {
        let query = Query::parse(text).unwrap();
        let filter = query.filter(|scan| scan.parse::<ScanId>()).unwrap();
        let facets = |db: &Db| {
            let reader = Reader::new(db, &workspace(0), None).unwrap();
            reader.facets(&query, &filter).unwrap()
        };
        assert_eq!(facets(&on_server), facets(&in_file), "{text}");
    }
}

#[test]
fn a_word_that_is_nearly_there_is_told_apart_from_hits() {
    let history = made_up(7, 2, 120);
    let (_standin, home) = served(history.commits());
    let db = home.ask(view()).unwrap();
    let reader = Reader::new(&db, &workspace(0), None).unwrap();
    let query = Query::parse("exomple").unwrap();
    let filter = query.filter(|scan| scan.parse::<ScanId>()).unwrap();
    let found = reader.search(&query, &filter, &Page::first(5)).unwrap();
    assert!(found.hits.is_empty());
    let near = reader.near(&query, &filter, 5).unwrap();
    assert!(!near.is_empty());
    assert!(
        near.iter()
            .all(|hit| hit.key.as_ref().unwrap().contains("example"))
    );
    let in_file = given::<Search>(&history);
    let reader = Reader::new(&in_file, &workspace(0), None).unwrap();
    assert_eq!(reader.near(&query, &filter, 5).unwrap(), []);
}

#[test]
fn a_batch_without_its_checkpoint_is_not_seen_and_comes_again() {
    let history = made_up(8, 3, 200);
    let (first, second) = history.commits().split_at(history.commits().len() / 2);
    let (standin, home) = served(first);
    let before = asked(&home);
    standin.script(CHECKPOINTS, &[Fault::TaskFails("internal", "internal")]);
    let mut store = Store::open(&home, view()).unwrap();
    assert!(store.fold(second).is_err());
    assert!(
        asked(&home) == before,
        "a batch without a checkpoint is seen"
    );
    store = Store::open(&home, view()).unwrap();
    assert_eq!(store.checkpoint().position, first.last().unwrap().position);
    store.fold(second).unwrap();
    assert!(asked(&home) == dumped(&given::<Search>(&history)));
}

/// Writes to the catalogue of builds.
const CHECKPOINTS: &str = "PUT /indexes/mirage_builds/documents";
const DOCUMENTS: &str = "POST /indexes/mirage_search_2_1/documents?";
const TASKS: &str = "GET /tasks/";

#[test]
fn what_passes_is_asked_again() {
    let history = made_up(9, 2, 100);
    let expected = dumped(&given::<Search>(&history));
    let passing = [
        Fault::Status(500, "internal"),
        Fault::Status(503, "too_many_search_requests"),
        Fault::Status(429, "unknown"),
        Fault::Status(408, "unknown"),
        Fault::Html,
        Fault::Reset,
        Fault::Half,
        Fault::Unheard,
    ];
    for fault in passing {
        let standin = Standin::start();
        for place in [
            CHECKPOINTS,
            DOCUMENTS,
            TASKS,
            "GET /version",
            "POST /indexes",
        ] {
            standin.script(place, &[fault, fault]);
        }
        let home = home(&standin);
        fold(&home, history.commits());
        assert!(asked(&home) == expected, "{fault:?}");
        let left = standin.state().script_left();
        assert_eq!(left, 0, "{fault:?}");
    }
}

/// What a batch says that meets these faults wherever it goes.
fn fault_of(begin: &str, faults: &[Fault]) -> Error {
    let history = made_up(10, 2, 60);
    let (standin, home) = served(&history.commits()[..10]);
    let mut store = Store::open(&home, view()).unwrap();
    standin.script(begin, faults);
    store.fold(&history.commits()[10..]).unwrap_err()
}

fn cause(error: &Error) -> &fault::Fault {
    match error {
        Error::Write {
            source: crate::Cause::Meilisearch(fault),
            ..
        } => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_does_not_pass_stops_the_batch_and_says_why() {
    let error = fault_of(
        DOCUMENTS,
        &[Fault::TaskFails(
            "max_fields_limit_exceeded",
            "invalid_request",
        )],
    );
    assert!(
        matches!(
            cause(&error),
            fault::Fault::TaskFailed {
                is_server: false,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(!error.may_retry());
    let error = fault_of(
        DOCUMENTS,
        &[Fault::TaskFails("no_space_left_on_device", "system")],
    );
    assert!(error.may_retry(), "{error:?}");
    let error = fault_of(DOCUMENTS, &[Fault::TaskCanceled]);
    assert!(matches!(cause(&error), fault::Fault::TaskCanceled(_)) && error.may_retry());
    let error = fault_of(DOCUMENTS, &[Fault::TaskEndless]);
    assert!(matches!(cause(&error), fault::Fault::TaskLate { .. }) && error.may_retry());
    let error = fault_of(DOCUMENTS, &[Fault::Status(413, "payload_too_large")]);
    assert!(
        matches!(cause(&error), fault::Fault::Refused { status: 413, .. }) && !error.may_retry()
    );
    let error = fault_of(DOCUMENTS, &[Fault::Status(403, "no code, <html>")]);
    let code = "answered 403 with code `unknown`";
    assert!(cause(&error).to_string().contains(code), "{error:?}");
    let silence = [Fault::Silence; 8];
    let error = fault_of(DOCUMENTS, &silence);
    assert!(matches!(cause(&error), fault::Fault::Unreachable(_)) && error.may_retry());
}

#[test]
fn a_server_that_is_down_is_waited_for_and_named() {
    let url = Standin::start().url();
    let home = Meilisearch::new(Options {
        patience: Duration::from_millis(50),
        ..Options::new(url, None)
    });
    let home = home.unwrap();
    home.sweep(view()).unwrap();
    let error = Store::open(&home, view()).err().unwrap();
    assert!(
        error.may_retry() && matches!(error, Error::Open { .. }),
        "{error:?}"
    );
    assert!(home.ask(view()).err().unwrap().may_retry());
}

#[test]
fn a_connection_that_was_cut_is_made_again_for_a_question() {
    let history = made_up(11, 2, 60);
    let (standin, home) = served(history.commits());
    let db = home.ask(view()).unwrap();
    let before = every(&db, 0, None, "host", 5);
    standin.cut();
    assert_eq!(every(&db, 0, None, "host", 5), before);
}

#[test]
fn no_error_and_no_debug_output_shows_key_or_address() {
    let options = Options::new("http://user:pass@host", Some("a-secret".into()));
    assert!(!format!("{options:?}").contains("a-secret"));
    let refused = Meilisearch::new(options).unwrap_err();
    assert!(matches!(refused, fault::Fault::Address));
    let standin = Standin::start();
    let options = Options {
        patience: Duration::ZERO,
        ..Options::new(standin.url(), Some("a-secret".into()))
    };
    let home = Meilisearch::new(options).unwrap();
    let error = Store::open(&home, view()).err().unwrap();
    let shown = format!("{error:?} {home:?}");
    assert!(shown.contains("invalid_api_key"), "{shown}");
    assert!(
        !shown.contains("a-secret") && !shown.contains("what was sent"),
        "{shown}"
    );
}

#[test]
fn an_old_server_and_another_view_are_refused() {
    let standin = Standin::start();
    standin.state().version = "1.9.3";
    let error = Store::open(&home(&standin), view()).err().unwrap();
    assert!(matches!(
        error,
        Error::Open {
            source: crate::Cause::Meilisearch(fault::Fault::Old { .. }),
            ..
        }
    ));
    let graph = crate::named("graph").unwrap();
    assert!(Store::open(&home(&standin), graph).is_err());
    let prefix = Options {
        prefix: "a/b".into(),
        ..options(&standin)
    };
    assert!(matches!(
        Meilisearch::new(prefix),
        Err(fault::Fault::Prefix(_))
    ));
}

#[test]
fn settings_are_put_only_where_they_differ() {
    let history = made_up(12, 2, 40);
    let (standin, home) = served(history.commits());
    let puts = || {
        let state = standin.state();
        state
            .requests
            .iter()
            .filter(|request| request.starts_with("PATCH"))
            .count()
    };
    assert_eq!(puts(), 1);
    Store::open(&home, view()).unwrap();
    assert_eq!(puts(), 1);
    let index = "mirage_search_2_1";
    standin.state().indexes.get_mut(index).unwrap().settings["sortableAttributes"] =
        serde_json::json!([]);
    Store::open(&home, view()).unwrap();
    assert_eq!(puts(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rebuilt_equals_live_and_takes_its_place() {
    let history = made_up(13, 3, 200);
    let standin = Standin::start();
    let home = home(&standin);
    let log = Arc::new(Memory::default());
    history.copy_into(&*log, history.end()).await;
    let at: Arc<dyn Home> = Arc::new(home.clone());
    let runner = Runner::open_at(log, [(view(), at)]).unwrap();
    runner.fold_to_head().await.unwrap();
    let live = dumped(&runner.db(Search::NAME).unwrap());
    assert!(live == dumped(&given::<Search>(&history)));
    assert_eq!(runner.rebuild(Search::NAME).await.unwrap(), history.end());
    assert!(dumped(&runner.db(Search::NAME).unwrap()) == live);
    let names = || {
        let state = standin.state();
        state.indexes.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        names(),
        ["mirage_builds", "mirage_search_2_1", "mirage_search_2_2"]
    );
    tokio::task::spawn_blocking(move || home.sweep(view()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(names(), ["mirage_builds", "mirage_search_2_2"]);
    assert!(dumped(&runner.db(Search::NAME).unwrap()) == live);
}

#[test]
fn a_build_that_was_completed_meanwhile_is_gone_over_to() {
    let history = made_up(14, 2, 120);
    let commits = history.commits();
    let (_standin, home) = served(&commits[..50]);
    let mut live = Store::open(&home, view()).unwrap();
    let mut next = Store::build(&home, view()).unwrap();
    next.fold(&commits[..30]).unwrap();
    let mut next = next.complete().unwrap().err().unwrap();
    next.fold(&commits[30..50]).unwrap();
    assert!(next.complete().unwrap().is_ok());
    let end = Folded::At(history.end());
    assert_eq!(live.fold(&commits[50..]).unwrap(), end);
    assert!(asked(&home) == dumped(&given::<Search>(&history)));
}

/// The search view, which some commits are too much for.
struct Fragile;

impl Projection for Fragile {
    const NAME: &'static str = Search::NAME;
    const VERSION: u32 = Search::VERSION;
    const SCHEMA: &'static str = Search::SCHEMA;
    const SETTLE: &'static str = Search::SETTLE;

    fn apply(recorded: &Recorded, operations: &mut Operations) -> Result<(), Error> {
        let cursor = Cursor {
            position: recorded.position,
            index: 1,
        };
        match recorded.position.0 % 31 {
            0 => Err(Error::unfit(cursor, "a commit of tests")),
            _ => Search::apply(recorded, operations),
        }
    }
}

#[test]
fn streams_that_are_set_aside_are_the_same_after_a_batch_that_was_cut() {
    static FRAGILE: &[Registered] = &[registered::<Fragile>()];
    let view = &FRAGILE[0];
    let history = made_up(15, 3, 200);
    let (first, second) = history.commits().split_at(40);
    let in_file = given::<Fragile>(&history);
    let standin = Standin::start();
    let home = home(&standin);
    let mut store = Store::open(&home, view).unwrap();
    store.fold(first).unwrap();
    standin.script(CHECKPOINTS, &[Fault::TaskCanceled]);
    store.fold(second).unwrap_err();
    let db = home.ask(view).unwrap();
    assert_eq!(
        db.quarantined().unwrap(),
        1,
        "those of the batch are not seen"
    );
    let mut store = Store::open(&home, view).unwrap();
    store.fold(second).unwrap();
    let db = home.ask(view).unwrap();
    assert!(dumped(&db) == dumped(&in_file));
    let aside = db.quarantine(100).unwrap();
    assert_eq!(aside, in_file.quarantine(100).unwrap());
    assert!(aside.iter().any(|stream| stream.skipped > 0));
    assert_eq!(db.quarantined().unwrap(), aside.len() as u64);
}
