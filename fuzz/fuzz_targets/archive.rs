//! An archive of a log, read to its end as `mirage log restore` reads it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mirage_log::archive::{Reader, resumable};

fuzz_target!(|bytes: &[u8]| {
    let _ = resumable(bytes);
    if let Ok(archive) = Reader::open(bytes) {
        for archived in archive.flatten() {
            let _ = archived.recorded();
        }
    }
});
