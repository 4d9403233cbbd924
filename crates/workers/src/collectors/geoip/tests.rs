//! Look-ups in files that the world's writer makes, whole and broken.

use std::io::Write;

use mirage_world::mmdb;
use serde_json::json;
use tempfile::NamedTempFile;

use super::*;
use crate::collectors::testing::{Given, Tape, given, replay};

fn file(bytes: &[u8]) -> (NamedTempFile, Given) {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let given = given().setting("database", file.path().to_str().unwrap());
    (file, given)
}

fn cities() -> Vec<u8> {
    let berlin = json!({
        "country": { "iso_code": "DE", "names": { "en": "Germany" } },
        "subdivisions": [{ "iso_code": "BE" }],
        "city": { "names": { "en": "Berlin" } },
        "location": { "latitude": 52.52, "longitude": 13.405, "accuracy_radius": 20, "time_zone": "Europe/Berlin" },
    });
    let france = json!({ "country": { "iso_code": "FR" } });
    mmdb::write(
        "Cities",
        &[("192.0.2.0/24", berlin), ("2001:db8::/32", france)],
    )
}

#[tokio::test]
async fn an_address_has_the_place_of_its_block() {
    let (_file, given) = file(&cities());
    let inputs = ["192.0.2.77", "2001:db8::1", "198.51.100.1", "::1"];
    let outcome = given.replay(&Geoip, &inputs, Tape::new()).await;
    outcome
        .attribute("location:de/be/berlin", "latitude", 52.52)
        .attribute("location:de/be/berlin", "accuracy_km", 20)
        .attribute("location:de/be/berlin", "block", "192.0.2.0/24")
        .claims(&[
            "ip:192.0.2.77 located-at location:de/be/berlin",
            "ip:2001:db8::1 located-at location:fr",
        ]);
}

#[tokio::test]
async fn without_a_file_the_module_is_skipped_and_says_so() {
    let outcome = replay(&Geoip, &["192.0.2.1"], Tape::new()).await;
    outcome.remarks("skipped").finds(&[]);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_refused() {
    let given = given().setting("database", "no/such/file");
    let outcome = given.replay(&Geoip, &["192.0.2.1"], Tape::new()).await;
    outcome.fails("refused").finds(&[]);
}

#[tokio::test]
async fn a_file_that_is_none_is_malformed() {
    for bytes in [
        &b""[..],
        b"<html>",
        b"\xab\xcd\xefMaxMind.com",
        &[0xff; 4096],
    ] {
        let (_file, given) = file(bytes);
        let outcome = given.replay(&Geoip, &["192.0.2.1"], Tape::new()).await;
        outcome.fails("malformed").finds(&[]);
    }
}

/// Any outcome but a panic, and no place that the whole file does not have.
fn look_up(bytes: Vec<u8>) {
    let Ok(reader) = open(bytes) else { return };
    for address in ["192.0.2.77", "2001:db8::1", "255.255.255.255", "::"] {
        let Ok(result) = reader.lookup(address.parse().unwrap()) else {
            continue;
        };
        let _ = (result.network(), result.decode::<Record>());
    }
}

#[test]
fn a_truncated_file_and_one_with_any_byte_changed_do_no_harm() {
    let whole = cities();
    for length in 0..whole.len() {
        look_up(whole[..length].to_vec());
    }
    for at in 0..whole.len() {
        for byte in [0x00, 0x20, 0x3f, 0xe0, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            look_up(bytes);
        }
    }
}

#[test]
fn a_record_that_points_at_itself_again_and_again_stops() {
    // An array of 28 pointers to the array itself: control bytes of the format's §"Data Field Format".
    let mut bytes = mmdb::write(
        "Loop",
        &[("192.0.2.0/24", json!("0123456789012345678901234567890"))],
    );
    let record = bytes
        .windows(10)
        .position(|window| window == b"0123456789")
        .unwrap()
        - 2;
    bytes[record..record + 2].copy_from_slice(&[14, 4]);
    for pointer in 0..14 {
        bytes[record + 2 + 2 * pointer..][..2].copy_from_slice(&[0x20, 0]);
    }
    let reader = open(bytes).unwrap();
    let result = reader.lookup("192.0.2.1".parse().unwrap()).unwrap();
    assert!(result.decode::<Record>().is_err());
}
