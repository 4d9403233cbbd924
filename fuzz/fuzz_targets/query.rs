//! A query of the search, as a person types it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mirage_projections::search::Query;

fuzz_target!(|text: &str| {
    let _ = Query::parse(text);
});
