//! The search view on a server: one contract on the stand-in and on a real one, and faults.

mod contract;
mod faults;
mod fragile;

use std::sync::Arc;
use std::time::Duration;

use mirage_log::Recorded;
use mirage_log::memory::Memory;

use super::standin::{KEY, Standin};
use super::*;
use crate::testing::history::made_up;
use crate::testing::{dumped, given};
use crate::{Runner, Store, registered};

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

/// A stand-in with a view of a log.
fn served(commits: &[Arc<Recorded>]) -> (Standin, Meilisearch) {
    let standin = Standin::start();
    let home = home(&standin);
    fold(&home, commits);
    (standin, home)
}

fn asked(home: &Meilisearch) -> String {
    dumped(&home.ask(view()).unwrap())
}

/// A real server; each test has a prefix of its own.
fn on(server: &mirage_servers::Meilisearch, prefix: &str) -> Meilisearch {
    let options = Options {
        prefix: prefix.chars().take(64).collect(),
        ..Options::new(server.url(), Some(server.master_key().to_owned()))
    };
    Meilisearch::new(options).unwrap()
}

macro_rules! holds {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            let standin = Standin::start();
            contract::$name(&home(&standin));
        })+

        #[test]
        fn a_real_server_holds_the_contract() {
            let Some(server) = mirage_servers::meilisearch() else {
                return;
            };
            $(contract::$name(&on(&server, stringify!($name)));)+
        }
    };
}

holds!(
    a_view_on_the_server_has_the_dump_of_one_in_a_file,
    answers_are_those_of_the_view_in_a_file_now_and_as_of_then,
    a_walk_that_is_cut_goes_on_where_it_was,
    words_parts_and_scripts_are_found_as_in_a_file,
    a_word_that_is_nearly_there_is_told_apart_from_hits,
    what_has_fallen_is_not_found,
    a_workspace_finds_nothing_of_another,
    a_build_that_was_completed_meanwhile_is_gone_over_to,
    streams_that_are_set_aside_are_those_of_the_view_in_a_file,
);

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
