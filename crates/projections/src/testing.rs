//! How projections are tested: given a log, then a view; and the law that each of them obeys.

pub mod history;
pub mod made_scan;
#[cfg(test)]
pub(crate) mod places;
#[cfg(test)]
pub(crate) mod stores;

use std::collections::BTreeSet;
use std::sync::Arc;

use mirage_log::Recorded;

use crate::{Db, Folded, Operations, Projection, Registered, Store, dump, registered};
use history::{Dice, History, made_up};

/// Logs that the law is held against.
const SEEDS: u64 = 6;
/// Commits of each, about.
const STEPS: usize = 250;
/// Beginnings of each log that are applied again.
const PREFIXES: usize = 4;

/// A view of a log, ready to be asked.
pub fn given<P: Projection>(history: &History) -> Db {
    given_commits::<P>(history.commits())
}

/// A view of the first commits of a log.
pub fn given_commits<P: Projection>(commits: &[Arc<Recorded>]) -> Db {
    let db = given_in_memory::<P>(commits);
    #[cfg(test)]
    let db = {
        let view = db.view();
        places::beside(db, view, commits)
    };
    db
}

/// The same in SQLite alone, where many are asked.
pub(crate) fn given_in_memory<P: Projection>(commits: &[Arc<Recorded>]) -> Db {
    let mut store = Store::in_memory(leaked::<P>()).expect("memory");
    store.fold(commits).expect("a good batch");
    store.into_db().expect("a table in memory")
}

/// Registrations live as long as the program; a test makes few.
fn leaked<P: Projection>() -> &'static Registered {
    Box::leak(Box::new(registered::<P>()))
}

/// The canonical dump of a view.
pub fn dumped(db: &Db) -> String {
    let mut bytes = Vec::new();
    dump(db, &mut bytes).expect("memory takes it");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

/// Opens an empty store.
type Open = Box<dyn Fn() -> Store>;

/// Holds a projection against the law: whatever the batches, restarts and repetitions, one log gives one dump.
pub fn obeys_projection_law<P: Projection>() {
    for seed in 0..SEEDS {
        let history = made_up(seed, 4, STEPS);
        let commits = history.commits();
        let whole = dumped(&given_commits::<P>(commits));
        assert!(
            whole.lines().count() > 1,
            "{} keeps nothing of a scan",
            P::NAME
        );
        for open in openers(leaked::<P>(), seed) {
            let mut dice = Dice(seed);
            let single = in_batches(open(), commits, || 1);
            assert!(dumped(&single) == whole, "commit by commit, seed {seed}");
            let uneven = in_batches(open(), commits, || 1 + dice.below(40));
            assert!(dumped(&uneven) == whole, "in uneven batches, seed {seed}");
            prefixes_change_nothing::<P>(&open, commits, &whole, &mut dice);
        }
        commits
            .iter()
            .for_each(|recorded| applies_alike::<P>(recorded));
    }
}

/// The stores that obey: memory, and where one is there a server, for few of the logs.
fn openers(view: &'static Registered, seed: u64) -> Vec<Open> {
    let memory: Open = Box::new(move || Store::in_memory(view).expect("memory"));
    #[cfg(test)]
    if seed < 2 && places::has_postgres(view) && places::postgres().is_some() {
        let server = move || {
            let home = places::postgres().expect("it was there");
            Store::open(&home, view).expect("a server that answers")
        };
        return vec![memory, Box::new(server)];
    }
    let _ = seed;
    vec![memory]
}

fn in_batches(mut store: Store, commits: &[Arc<Recorded>], mut size: impl FnMut() -> usize) -> Db {
    let mut rest = commits;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(size().min(rest.len()));
        let last = batch.last().expect("a batch holds a commit").position;
        assert_eq!(store.fold(batch).expect("a good batch"), Folded::At(last));
        rest = later;
    }
    store.into_db().expect("a store that answers")
}

/// The rows of a dump: all of it but the checkpoint.
pub(crate) fn rows(dump: &str) -> BTreeSet<&str> {
    let is_row = |line: &&str| !line.ends_with("\"table\":\"checkpoint\"}");
    dump.lines().filter(is_row).collect()
}

/// As a store without transactions would after a crash between rows and checkpoint: prefixes come again, and nothing
/// changes. And whatever stands after a prefix still stands at the end: no row is updated.
fn prefixes_change_nothing<P: Projection>(
    open: &Open,
    commits: &[Arc<Recorded>],
    whole: &str,
    dice: &mut Dice,
) {
    for _ in 0..PREFIXES {
        let prefix = &commits[..1 + dice.below(commits.len())];
        let mut store = open();
        store.fold(commits).expect("a good batch");
        store.rewind();
        store.fold(prefix).expect("a good batch");
        let end = prefix.len();
        let again = dumped(&store.into_db().expect("a store that answers"));
        assert!(
            rows(&again) == rows(whole),
            "the first {end} commits applied twice"
        );
        let then = dumped(&given_in_memory::<P>(prefix));
        assert!(
            rows(&then).is_subset(&rows(whole)),
            "a row of the first {end} commits is updated later"
        );
    }
}

fn applies_alike<P: Projection>(recorded: &Recorded) {
    let (mut first, mut second) = (Operations::default(), Operations::default());
    let fits = |result: Result<(), crate::Error>| result.map_err(|error| error.to_string());
    assert_eq!(
        fits(P::apply(recorded, &mut first)),
        fits(P::apply(recorded, &mut second))
    );
    assert_eq!(first, second, "{} says one thing of a commit", P::NAME);
}
