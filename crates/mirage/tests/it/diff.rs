//! Differences from the command line: two scans, and one scan at two moments.

use crate::place::Place;

fn scanned(place: &Place, seeds: &[&str]) -> String {
    let words = [&["scan", "--modules", "dns", "-o", "json"], seeds].concat();
    let summary: serde_json::Value = serde_json::from_str(&place.run(&words).done()).unwrap();
    summary["scan_id"].as_str().unwrap().to_owned()
}

#[test]
fn two_scans_are_compared_by_what_they_know() {
    let place = Place::empty();
    let first = scanned(&place, &["+44 20 7946 0958", "+44 20 7946 0959"]);
    let second = scanned(&place, &["+44 20 7946 0958", "+44 20 7946 0960"]);
    let told = place
        .run(&["diff", &first, &second, "-o", "jsonl"])
        .objects();
    let mut told: Vec<_> = told
        .iter()
        .map(|one| format!("{} {}", one["change"], one["key"]))
        .collect();
    told.sort();
    assert_eq!(
        told,
        [r#""gone" "+442079460959""#, r#""new" "+442079460960""#]
    );
    let same = place.run(&["diff", &first, &first, "--exit-code"]);
    assert_eq!((same.code, same.out.as_str()), (0, ""));
    let other = place.run(&["diff", &first, &second, "--exit-code"]);
    assert_eq!(other.code, 1);
}

#[test]
fn one_scan_is_compared_with_its_own_past() {
    let place = Place::empty();
    scanned(&place, &["+44 20 7946 0958"]);
    let told = place
        .run(&["diff", "@last", "--at", "0..", "-o", "jsonl"])
        .objects();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["change"], "new");
    place
        .run(&["diff", "@last", "--at", "..now", "-o", "key"])
        .done();
}

#[test]
fn a_comparison_of_nothing_says_how_to_ask() {
    let place = Place::empty();
    scanned(&place, &["+44 20 7946 0958"]);
    let error = place.run(&["diff", "@last"]).refused(2, "usage");
    assert!(error.contains("--at P..Q"), "{error}");
    place
        .run(&["diff", "@last", "--at", "7"])
        .refused(2, "usage");
    place
        .run(&["diff", "@last", "@last", "--at", "1..2"])
        .refused(2, "usage");
    place
        .run(&["diff", "@last", "nothing"])
        .refused(3, "no_such_scan");
}
