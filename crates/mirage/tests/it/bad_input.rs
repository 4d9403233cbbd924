//! Bad input: one clear error each, its documented exit code, and nothing written.

use crate::place::Place;

#[test]
fn reading_where_there_is_no_log_makes_none() {
    let place = Place::empty();
    for words in [
        &["log", "tail"][..],
        &["log", "verify"],
        &["log", "show", "1"],
    ] {
        place.run(words).refused(3, "no_log");
        assert!(place.files().is_empty(), "{words:?}: {:?}", place.files());
    }
}

#[test]
fn words_that_mean_nothing_are_usage_errors() {
    let place = Place::with_findings(0);
    for (words, code) in [
        (&["lgo"][..], "usage"),
        (&["log", "tail", "--folow"], "usage"),
        (&["log", "tail", "-o", "xml"], "usage"),
        (&["log", "show", "first"], "bad_id"),
    ] {
        place.run(words).refused(2, code);
    }
    place
        .run(&["log", "show", "7"])
        .refused(3, "no_such_position");
}

#[test]
fn a_file_that_is_no_log_of_ours_is_left_alone() {
    let place = Place::empty();
    let path = place.path().join("log.db");
    std::fs::write(
        &path,
        "not a database, but long enough to be read as one".repeat(40),
    )
    .unwrap();
    let before = std::fs::read(&path).unwrap();
    place.run(&["log", "tail"]).refused(1, "log_foreign");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_log_of_a_newer_version_says_upgrade() {
    let place = Place::with_findings(0);
    place.tamper("PRAGMA user_version = 2");
    let err = place.run(&["log", "tail"]).refused(1, "log_newer");
    assert!(err.contains("upgrade"), "{err}");
}

#[test]
fn a_path_that_cannot_be_opened_is_said() {
    let place = Place::empty();
    std::fs::write(place.path().join("file"), "").unwrap();
    let below = place.path().join("file").join("below");
    let mut command = place.command(&[]);
    let output = command
        .args(["log", "tail", "--data"])
        .arg(&below)
        .output()
        .unwrap();
    crate::place::Ran::from(output).refused(9, "log_unopenable");
}
