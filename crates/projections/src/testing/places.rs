//! Every store that is there: what one answers, the others must answer as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mirage_log::{EventLog, Recorded};
use tempfile::TempDir;

use crate::store::postgres::Options;
use crate::{ALL, Db, Folder, Home, Postgres, Registered, Runner, Store, Value};

/// A place for views in PostgreSQL that nobody else uses; none where there is no server.
pub(crate) fn postgres() -> Option<Postgres> {
    thread_local! {
        // One database a test, for as long as its thread lives.
        static DATABASE: Option<mirage_servers::Postgres> = mirage_servers::postgres();
    }
    DATABASE.with(|database| database.as_ref().map(|database| at(&database.url())))
}

/// A place of its own on a server.
pub(crate) fn at(url: &str) -> Postgres {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let options = Options {
        url: url.to_owned(),
        prefix: format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        ..Options::default()
    };
    Postgres::new(&options).expect("a URL")
}

/// Whether a view has other stores than SQLite.
pub(crate) fn has_postgres(view: &Registered) -> bool {
    view.name == "catalog"
}

/// Where views lie together.
pub(crate) enum Place {
    Folder(TempDir),
    Postgres(Postgres),
}

/// Every place that is there, empty.
pub(crate) fn places() -> Vec<Place> {
    let folder = Place::Folder(tempfile::tempdir().expect("a folder"));
    let server = postgres().map(Place::Postgres);
    [folder].into_iter().chain(server).collect()
}

impl Place {
    pub(crate) fn views(&self) -> &'static [Registered] {
        match self {
            Self::Folder(_) => ALL,
            // The catalog comes first.
            Self::Postgres(_) => &ALL[..1],
        }
    }

    pub(crate) fn home(&self) -> Arc<dyn Home> {
        match self {
            Self::Folder(dir) => Arc::new(Folder::of(dir.path())),
            Self::Postgres(home) => Arc::new(home.clone()),
        }
    }

    pub(crate) fn runner(&self, log: Arc<dyn EventLog>) -> Runner {
        let views = self.views().iter().map(|view| (view, self.home()));
        Runner::open_at(log, views).expect("a place that answers")
    }

    /// Views are disposable: somebody cleans up.
    pub(crate) fn wipe(&self) {
        match self {
            // Absent where a life ended before a view was made.
            Self::Folder(dir) => drop(std::fs::remove_dir_all(dir.path().join("views"))),
            Self::Postgres(home) => {
                let views = self.views().iter();
                views.for_each(|view| home.discard(view).expect("a server that answers"));
            }
        }
    }
}

/// The view, and beside it the same one in PostgreSQL: from now on each answer is asked of both.
pub(crate) fn beside(mut db: Db, view: &'static Registered, commits: &[Arc<Recorded>]) -> Db {
    if let Some(home) = has_postgres(view).then(postgres).flatten() {
        let mut store = Store::open(&home, view).expect("a server that answers");
        store.fold(commits).expect("a good batch");
        db.beside = Some(Box::new(store.into_db().expect("a server that answers")));
    }
    db
}

/// Asks two stores one question; the rows of a list come in one order.
pub(crate) fn answer_alike(one: &Db, other: &Db, sql: &str, values: &[Value]) {
    let is_sorted = sql.contains("ORDER BY");
    let [one, other] = [one, other].map(|db| {
        let mut rows = told(db, sql, values);
        if !is_sorted {
            rows.sort();
        }
        rows
    });
    assert!(one == other, "{sql}\n{values:?}\n{one:#?}\n{other:#?}");
}

fn told(db: &Db, sql: &str, values: &[Value]) -> Vec<String> {
    let mut rows = Vec::new();
    let asked = db.each_alone(sql, values, |row| {
        let columns = row.columns().into_iter().enumerate();
        // What an expression without a name is called is each store's own.
        let name = |name: &str| name.split('(').next().unwrap_or_default().to_owned();
        let row = columns.map(|(at, column)| format!("{}: {:?}", name(column), row.get_ref(at)));
        rows.push(row.collect::<Vec<_>>().join(", "));
        Ok(())
    });
    match asked {
        Ok(()) => rows,
        Err(error) => panic!("{sql}\n{values:?}\n{error:?}"),
    }
}
