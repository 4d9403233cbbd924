//! Faults on the way to a server: what passes, what stops a batch, and what is shown.

use std::sync::Arc;
use std::time::Duration;

use mirage_domain::id::Position;
use mirage_log::memory::Memory;

use super::contract::every;
use super::fragile::{FRAGILE, Fragile};
use super::{asked, fold, home, options, served, view};
use crate::search::{Reader, Search};
use crate::store::meilisearch::standin::{Fault, Standin};
use crate::store::meilisearch::{self, Meilisearch, Options};
use crate::testing::history::{Dice, made_up};
use crate::testing::made_scan::workspace;
use crate::testing::{dumped, given};
use crate::{Cause, Error, Home, Operations, Projection, Runner, Store};

/// Writes to the catalogue of builds.
const CHECKPOINTS: &str = "PUT /indexes/mirage_builds/documents";
const DOCUMENTS: &str = "POST /indexes/mirage_search_2_1/documents?";
const TASKS: &str = "GET /tasks/";

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
    let reader = Reader::new(&db, &workspace(0), None).unwrap();
    let before = every(&reader, "host", 5);
    standin.cut();
    assert_eq!(every(&reader, "host", 5), before);
}

#[test]
fn no_error_and_no_debug_output_shows_key_or_address() {
    let options = Options::new("http://user:pass@host", Some("a-secret".into()));
    assert!(!format!("{options:?}").contains("a-secret"));
    let refused = Meilisearch::new(options).unwrap_err();
    assert!(matches!(refused, meilisearch::Fault::Address));
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
            source: Cause::Meilisearch(meilisearch::Fault::Old { .. }),
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
        Err(meilisearch::Fault::Prefix(_))
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

/// What a batch says that meets these faults wherever it goes.
fn fault_of(begin: &str, faults: &[Fault]) -> Error {
    let history = made_up(10, 2, 60);
    let (standin, home) = served(&history.commits()[..10]);
    let mut store = Store::open(&home, view()).unwrap();
    standin.script(begin, faults);
    store.fold(&history.commits()[10..]).unwrap_err()
}

fn cause(error: &Error) -> &meilisearch::Fault {
    let Error::Write { source, .. } = error else {
        panic!("{error:?}");
    };
    match source {
        Cause::Meilisearch(fault) => fault,
        // What a setting can mend comes with advice.
        Cause::Access { source, .. } => match &**source {
            Cause::Meilisearch(fault) => fault,
            other => panic!("{other:?}"),
        },
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
            meilisearch::Fault::TaskFailed {
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
    assert!(matches!(cause(&error), meilisearch::Fault::TaskCanceled(_)) && error.may_retry());
    let error = fault_of(DOCUMENTS, &[Fault::TaskEndless]);
    assert!(matches!(cause(&error), meilisearch::Fault::TaskLate { .. }) && error.may_retry());
    let error = fault_of(DOCUMENTS, &[Fault::Status(413, "payload_too_large")]);
    assert!(
        matches!(
            cause(&error),
            meilisearch::Fault::Refused { status: 413, .. }
        ) && !error.may_retry()
    );
    let error = fault_of(DOCUMENTS, &[Fault::Status(403, "no code, <html>")]);
    let code = "answered 403 with code `unknown`";
    assert!(cause(&error).to_string().contains(code), "{error:?}");
    let silence = [Fault::Silence; 8];
    let error = fault_of(DOCUMENTS, &silence);
    assert!(matches!(cause(&error), meilisearch::Fault::Unreachable(_)) && error.may_retry());
}

#[test]
fn streams_that_are_set_aside_are_the_same_after_a_batch_that_was_cut() {
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

#[test]
fn a_page_that_lacks_documents_is_no_answer() {
    let history = made_up(18, 2, 60);
    let (standin, home) = served(history.commits());
    let db = home.ask(view()).unwrap();
    let pages = "POST /indexes/mirage_search_2_1/documents/fetch";
    standin.script(pages, &[Fault::Fewer]);
    let error = crate::dump(&db, &mut Vec::new()).unwrap_err();
    let shown = format!("{error:?}");
    assert!(shown.contains("Partial") && error.may_retry(), "{shown}");
}

#[test]
fn a_batch_that_ends_late_takes_no_checkpoint_back() {
    let history = made_up(17, 2, 80);
    let (_standin, home) = served(&history.commits()[..20]);
    let mut late = home.open(view()).unwrap();
    let before = late.begin().unwrap();
    fold(&home, &history.commits()[20..]);
    late.finish(&mut Operations::default(), before).unwrap();
    assert!(asked(&home) == dumped(&given::<Search>(&history)));
}

/// A runtime of its own, as a process has: dropped, it waits for the request at hand and for nothing else.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// Follows for some turns. A life that ends by a fault is one, too.
async fn live(log: Arc<Memory>, at: Arc<dyn Home>, turns: usize) {
    let runner = Runner::open_at(log, [(view(), at)]).unwrap();
    let killed = async {
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    };
    runner.run(killed).await.ok();
}

#[test]
fn kills_within_batches_and_a_server_that_stumbles_end_in_the_dump_of_a_file() {
    let history = made_up(16, 3, 250);
    let (standin, log) = (Standin::start(), Arc::new(Memory::default()));
    let at: Arc<dyn Home> = Arc::new(home(&standin));
    let (mut dice, mut until) = (Dice(16), 0);
    while until < history.end().0 {
        until = (until + 1 + dice.below(40) as u64).min(history.end().0);
        let stumbles = [Fault::Reset, Fault::TaskCanceled, Fault::Unheard];
        let place = [CHECKPOINTS, DOCUMENTS][dice.below(2)];
        standin.script(place, &[stumbles[dice.below(3)]]);
        runtime().block_on(async {
            history.copy_into(&*log, Position(until)).await;
            live(log.clone(), at.clone(), dice.below(2_000)).await;
        });
    }
    standin.state().script_cleared();
    let runner = Runner::open_at(log, [(view(), at)]).unwrap();
    runtime().block_on(runner.fold_to_head()).unwrap();
    let live = dumped(&runner.db(Search::NAME).unwrap());
    assert!(live == dumped(&given::<Search>(&history)));
}
