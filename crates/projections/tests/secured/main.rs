//! Servers of views that want credentials and TLS: each way, each refusal, no secret told.

#![expect(clippy::unwrap_used, reason = "all of it is tests")]

mod meilisearch;
mod neo4j;
mod postgres;

use mirage_projections::{ALL, Cause, Error, Home, Registered};
use mirage_servers::whole;

const SECRET: &str = "correct-horse-9";
const WRONG: &str = "wrong-battery-9";

fn view(name: &str) -> &'static Registered {
    let mut all = ALL.iter();
    all.find(|view| view.name == name).expect("a view")
}

/// An error that names all of these, and none of the secrets.
fn says(error: &Error, words: &[&str]) {
    let said = whole(error);
    for word in words {
        assert!(said.contains(word), "`{word}` is missing: {said}");
    }
    assert!(!said.contains(SECRET) && !said.contains(WRONG), "{said}");
}

/// Not opened, and told what to do about it.
fn refused(home: &dyn Home, name: &str, words: &[&str]) {
    let Err(error) = home.open(view(name)) else {
        panic!("it was opened; wanted {words:?}");
    };
    says(&error, words);
    let is_advised = matches!(
        error,
        Error::Open {
            source: Cause::Access { .. },
            ..
        }
    );
    assert!(is_advised, "{error:?}");
}
