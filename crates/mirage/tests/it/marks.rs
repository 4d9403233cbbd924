//! Marks from the command line: what falls, what comes back, and that the past does not change.

use serde_json::Value;

use crate::place::Place;

fn scanned() -> (Place, String) {
    let place = Place::empty();
    place
        .run(&["scan", "+44 20 7946 0958", "--modules", "dns"])
        .done();
    let found = place.run(&["findings", "-o", "jsonl"]).objects();
    let id = found[0]["finding_id"].as_str().unwrap().to_owned();
    (place, id)
}

fn keys(place: &Place, more: &[&str]) -> usize {
    let words = [&["findings", "-o", "key"], more].concat();
    place.run(&words).done().lines().count()
}

fn position(answer: String) -> String {
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["position"].to_string()
}

#[test]
fn a_false_positive_is_in_no_list_until_it_is_unmarked_and_the_past_keeps_it() {
    let (place, id) = scanned();
    let mark = [
        "mark",
        &id[..10],
        "--false-positive",
        "--reason",
        "a film number",
        "-o",
        "json",
    ];
    let marked = position(place.run(&mark).done());
    let before = (marked.parse::<u64>().unwrap() - 1).to_string();
    assert_eq!(keys(&place, &[]), 0);
    assert_eq!(keys(&place, &["--at", &before]), 1);
    assert_eq!(place.run(&["entities", "-o", "key"]).done(), "");
    let marks = place.run(&["marks", "-o", "jsonl"]).objects();
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0]["verdict"], "false-positive");
    assert_eq!(marks[0]["reason"], "a film number");
    assert_eq!(marks[0]["kind"], "phone");
    let cleared = position(place.run(&["unmark", &id, "-o", "json"]).done());
    assert_eq!(
        (keys(&place, &[]), keys(&place, &["--at", &marked])),
        (1, 0)
    );
    place.run(&mark).done();
    assert_eq!(
        (keys(&place, &[]), keys(&place, &["--at", &cleared])),
        (0, 1)
    );
}

#[test]
fn every_answer_names_the_position_that_it_was_made_at() {
    let (place, id) = scanned();
    for words in [
        &["findings"][..],
        &["entities"],
        &["entities", "phone:+442079460958"],
        &["marks"],
        &["scans"],
        &["scans", "get", "@last"],
        &["search", "442"],
        &["graph", "components"],
        &["why", &id],
    ] {
        for form in ["table", "json", "jsonl", "csv", "key"] {
            let at = ["--at", "now", "-o", form];
            let at = if words[0] == "why" { &at[..2] } else { &at };
            let read = place.run(&[words, at].concat());
            assert!(read.err.contains("as of position "), "{words:?}: {read:?}");
            let quiet = place.run(&[words, at, &["-q"]].concat());
            assert_eq!(quiet.err, "", "{words:?}");
        }
    }
}

#[test]
fn a_mark_that_changes_nothing_writes_nothing() {
    let (place, id) = scanned();
    let mark = ["mark", &id, "--confirmed", "-o", "json"];
    let first = position(place.run(&mark).done());
    assert_eq!(position(place.run(&mark).done()), first);
    assert_eq!(keys(&place, &[]), 1, "a confirmed finding stands");
}

#[test]
fn the_next_scan_of_the_same_seeds_tells_of_earlier_marks() {
    let (place, id) = scanned();
    place
        .run(&["mark", &id, "--false-positive", "--reason", "a film number"])
        .done();
    let again = place.run(&["scan", "+44 20 7946 0958", "--modules", "dns"]);
    assert_eq!(again.code, 0, "{again:?}");
    let told = again.err.lines().find(|line| line.contains("was marked"));
    assert!(
        told.is_some_and(|line| line.ends_with("a film number")),
        "{again:?}"
    );
    assert_eq!(
        keys(&place, &[]),
        1,
        "and it stands until somebody says so again"
    );
}

#[test]
fn bad_marks_are_refused_with_what_to_do() {
    let (place, id) = scanned();
    place.run(&["mark", &id]).refused(2, "usage");
    place
        .run(&["mark", &id, "--false-positive"])
        .refused(2, "usage");
    place
        .run(&["mark", &id, "--false-positive", "--reason", " "])
        .refused(2, "usage");
    place
        .run(&["mark", "ffff", "--confirmed"])
        .refused(3, "no_such_finding");
    let error = place.run(&["unmark", &id]).refused(5, "not_marked");
    assert!(error.contains("mirage marks"), "{error}");
}
