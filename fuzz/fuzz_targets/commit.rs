//! The bytes of a commit, as a log gives them out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mirage_log::commit::decode;

fuzz_target!(|bytes: &[u8]| {
    let _ = decode(bytes);
});
