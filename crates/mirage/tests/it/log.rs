//! `mirage log`: the tail, one commit, and the proof, with damage of two sorts.

use crate::place::Place;

#[test]
fn the_tail_is_the_last_commits() {
    let place = Place::with_findings(15);
    let rows = place
        .run(&["log", "tail", "-n", "3", "-o", "jsonl"])
        .objects();
    let cursors: Vec<&str> = rows
        .iter()
        .map(|row| row["cursor"].as_str().unwrap())
        .collect();
    assert_eq!(cursors, ["14.1", "15.1", "16.1"]);
    assert_eq!(rows[2]["kind"], "task.found");
    assert_eq!(rows[2]["data"]["key"], "host-15.example.com");
}

#[test]
fn a_commit_is_shown_with_its_hashes_and_its_raw_bytes() {
    let place = Place::with_findings(1);
    let shown: serde_json::Value =
        serde_json::from_str(&place.run(&["log", "show", "2", "-o", "json"]).done()).unwrap();
    let raw = place.run(&["log", "show", "2", "--raw"]).done();
    assert_eq!(
        mirage_domain::id::Digest::of(raw.as_bytes()).to_string(),
        shown["hash"]
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&raw).unwrap(),
        shown["commit"]
    );
    let table = place.run(&["log", "show", "2.1"]).done();
    assert!(table.contains("host-1.example.com"), "{table}");
}

#[test]
fn a_clean_log_verifies_and_a_changed_byte_names_its_position() {
    let place = Place::with_findings(5);
    let proof = place.run(&["log", "verify", "-o", "json"]).done();
    let proof: serde_json::Value = serde_json::from_str(&proof).unwrap();
    assert_eq!(
        (&proof["position"], &proof["streams"]),
        (&6.into(), &6.into())
    );
    place.tamper(
        "UPDATE commits SET bytes = CAST(replace(CAST(bytes AS TEXT), 'host-3', 'host-9') AS BLOB)",
    );
    let err = place.run(&["log", "verify"]).refused(6, "log_damaged");
    assert!(err.contains("position 4"), "{err}");
}

#[test]
fn a_log_put_back_from_an_older_copy_is_refused() {
    let place = Place::with_findings(3);
    let older = std::fs::read(place.path().join("log.db")).unwrap();
    let anchor = r#"{"log_id":"ffffffff-ffff-ffff-ffff-ffffffffffff","position":99,"log_hash":""#;
    std::fs::write(
        place.path().join("head"),
        format!("{anchor}{}\"}}", "0".repeat(64)),
    )
    .unwrap();
    std::fs::write(place.path().join("log.db"), older).unwrap();
    place.run(&["log", "tail"]).refused(6, "log_damaged");
}
