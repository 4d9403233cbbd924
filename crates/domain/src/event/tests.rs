//! Every version of every event ever written decodes for ever: golden files in `schemas/events/`.
#![expect(
    clippy::disallowed_methods,
    reason = "golden files are read by tests, never by the crate"
)]

use std::path::PathBuf;

use super::*;

fn schemas() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas/events")
}

fn golden(kind: &str, version: u32) -> Box<RawValue> {
    let path = schemas().join(format!("{kind}.v{version}.json"));
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|_| panic!("{} is missing: write one example by hand", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn compact(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text)
        .unwrap()
        .to_string()
}

#[test]
fn every_kind_and_version_has_a_golden_file_that_decodes() {
    for (kind, newest) in Event::kinds() {
        for version in 1..=newest {
            let event = Event::read(kind, version, &golden(kind, version)).unwrap();
            assert_eq!((event.kind(), event.version()), (kind, newest));
        }
    }
}

#[test]
fn the_newest_golden_file_is_what_is_written() {
    for (kind, newest) in Event::kinds() {
        let golden = golden(kind, newest);
        let event = Event::read(kind, newest, &golden).unwrap();
        assert_eq!(
            compact(event.data().unwrap().get()),
            compact(golden.get()),
            "{kind}"
        );
    }
}

#[test]
fn no_golden_file_is_of_an_unknown_kind() {
    let known: Vec<String> = Event::kinds().map(|(kind, _)| kind.to_owned()).collect();
    for entry in std::fs::read_dir(schemas()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let kind = name.rsplit_once(".v").map(|(kind, _)| kind.to_owned());
        assert!(kind.is_some_and(|kind| known.contains(&kind)), "{name}");
    }
}

#[test]
fn what_proves_who_somebody_is_is_told_to_nobody() {
    for kind in ["user.password_set", "user.totp_set"] {
        let event = Event::read(kind, 1, &golden(kind, 1)).unwrap();
        let told: serde_json::Value =
            serde_json::from_str(event.told().data().unwrap().get()).unwrap();
        let members = told.as_object().unwrap();
        assert!(members.values().all(serde_json::Value::is_null), "{told}");
    }
    let secret = |text: &str| text.contains("whsec_") || text.contains("https://");
    for kind in ["created", "changed", "secret_rotated"] {
        let kind = format!("subscription.{kind}");
        let event = Event::read(&kind, 1, &golden(&kind, 1)).unwrap();
        assert!(secret(event.data().unwrap().get()), "{kind}");
        let told = event.told().data().unwrap();
        assert!(!secret(told.get()), "{told}");
    }
    let other = Event::read("user.created", 1, &golden("user.created", 1)).unwrap();
    assert_eq!(*other.told(), other);
}

#[test]
fn kinds_are_unique_and_unknown_ones_say_upgrade() {
    let kinds: std::collections::BTreeSet<_> = Event::kinds().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.len(), Event::kinds().count());
    let data = RawValue::from_string("{}".into()).unwrap();
    for (kind, version) in [
        ("scan.exploded", 1),
        ("scan.started", 2),
        ("log.time_corrected", 1),
    ] {
        let error = Event::read(kind, version, &data).unwrap_err();
        assert!(error.to_string().ends_with("upgrade this node"), "{error}");
    }
}
