//! A file of nmap, checked as `mirage import` checks it.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use mirage_domain::id::Digest;
use mirage_workers::collectors::import::IMPORTERS;

fuzz_target!(|bytes: &[u8]| {
    let importer = IMPORTERS.iter().find(|own| own.name() == "nmap");
    let importer = importer.expect("an importer of that name");
    // A refusal is an answer; what must not be is a panic, or no end.
    let _ = importer.check(&mut Cursor::new(bytes), Digest::of(bytes));
});
