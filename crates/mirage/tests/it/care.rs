//! `doctor` and `evidence verify`: what is wrong is named, and the safe repairs are made.

use rusqlite::Connection;
use serde_json::Value;

use crate::place::Place;

fn scanned() -> Place {
    let place = Place::empty();
    place
        .run(&[
            "scan",
            "+44 20 7946 0958",
            "--modules",
            "dns",
            "-q",
            "-o",
            "json",
        ])
        .done();
    place
}

/// The line of the doctor about one thing.
fn line(place: &Place, check: &str, words: &[&str]) -> Value {
    let ran = place.run(&[&["doctor", "-o", "jsonl"], words].concat());
    let lines = ran
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let bad = |line: &Value| line["check"] == check && line["verdict"] != "ok";
    lines
        .clone()
        .find(bad)
        .or_else(|| lines.clone().find(|line| line["check"] == check))
        .unwrap()
}

fn verdict(place: &Place, check: &str, words: &[&str]) -> String {
    line(place, check, words)["verdict"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn evidence_that_is_damaged_or_missing_is_named() {
    let place = scanned();
    place.run(&["evidence", "verify"]).done();
    assert_eq!(place.run(&["evidence", "verify", "-o", "jsonl"]).done(), "");
    let small = Connection::open(place.path().join("evidence/small.db")).unwrap();
    let hashes: Vec<String> = small
        .prepare("SELECT lower(hex(digest)) FROM items ORDER BY digest")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    place.run(&["evidence", "verify", &hashes[0]]).done();
    small
        .execute(
            "UPDATE items SET bytes = x'00' WHERE lower(hex(digest)) = ?1",
            [&hashes[0]],
        )
        .unwrap();
    small
        .execute(
            "DELETE FROM items WHERE lower(hex(digest)) = ?1",
            [&hashes[1]],
        )
        .unwrap();
    let ran = place.run(&["evidence", "verify", "-o", "jsonl"]);
    let bad: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        ran.code == 6 && ran.err.contains("evidence_damaged"),
        "{ran:?}"
    );
    let verdict =
        |hash: &String| &bad.iter().find(|bad| bad["evidence"] == **hash).unwrap()["verdict"];
    assert_eq!(
        (verdict(&hashes[0]), verdict(&hashes[1])),
        (&"damaged".into(), &"missing".into())
    );
    place
        .run(&["evidence", "verify", &hashes[0]])
        .refused(6, "evidence_damaged");
    place
        .run(&["evidence", "verify", &hashes[1]])
        .refused(6, "evidence_damaged");
    let nobodys = "0".repeat(64);
    place
        .run(&["evidence", "verify", &nobodys])
        .refused(3, "no_such_evidence");
    let found = line(&place, "evidence", &["--deep"]);
    assert_eq!(found["verdict"], "fail");
    assert!(
        found["detail"].as_str().unwrap().starts_with("2 of"),
        "{found}"
    );
    drop(small);
    std::fs::remove_dir_all(place.path().join("evidence")).unwrap();
    place
        .run(&["evidence", "verify"])
        .failed(6, "evidence_damaged");
}

#[test]
fn a_damaged_commit_is_found_among_the_newest_and_by_a_deep_look_anywhere() {
    let place = Place::with_findings(1200);
    assert_eq!(verdict(&place, "log", &[]), "ok");
    assert_eq!(verdict(&place, "log", &["--deep"]), "ok");
    let sql = |at: u32| {
        format!("UPDATE commits SET bytes = CAST(bytes || x'20' AS BLOB) WHERE position = {at}")
    };
    place.tamper(&sql(5));
    assert_eq!(verdict(&place, "log", &[]), "ok");
    let deep = line(&place, "log", &["--deep"]);
    assert_eq!(deep["verdict"], "fail");
    assert!(
        deep["detail"].as_str().unwrap().contains("position 5"),
        "{deep}"
    );
    place.tamper(&sql(1190));
    assert_eq!(verdict(&place, "log", &[]), "fail");
    assert_eq!(verdict(&place, "log", &["--fix"]), "fail");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_closed_and_a_wrong_one_is_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = scanned();
    let key = place.path().join("keys/default.key");
    let mode = || std::fs::metadata(&key).unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let found = line(&place, "key", &[]);
    assert!(
        found["fix"].as_str().unwrap().starts_with("chmod 600"),
        "{found}"
    );
    assert_eq!(mode(), 0o644);
    assert_eq!(verdict(&place, "key", &["--fix"]), "fixed");
    assert_eq!((mode(), verdict(&place, "key", &[])), (0o600, "ok".into()));
    std::fs::write(&key, [7; 32]).unwrap();
    assert_eq!(verdict(&place, "key", &["--fix"]), "fail");
    assert_eq!(std::fs::read(&key).unwrap(), [7; 32]);
}

#[test]
fn a_view_of_another_log_and_a_damaged_one_are_made_anew() {
    let place = scanned();
    let dump = place.run(&["views", "dump", "catalog"]).done();
    let views = place.path().join("views");
    let catalog = || {
        let files = std::fs::read_dir(&views)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut builds: Vec<_> = files
            .filter(|path| text_of(path).starts_with("catalog") && text_of(path).ends_with(".db"))
            .collect();
        builds.sort();
        builds.pop().unwrap()
    };
    let change = "UPDATE checkpoint SET log_hash = zeroblob(32)";
    Connection::open(catalog())
        .unwrap()
        .execute(change, [])
        .unwrap();
    let found = line(&place, "view", &["--fix"]);
    assert_eq!(
        found["verdict"], "fail",
        "a view that tells of another log is left to a person"
    );
    assert!(
        found["fix"]
            .as_str()
            .unwrap()
            .contains("views rebuild catalog"),
        "{found}"
    );
    place.run(&["views", "rebuild", "catalog"]).done();
    assert_eq!(verdict(&place, "view", &[]), "ok");
    assert_eq!(place.run(&["views", "dump", "catalog"]).done(), dump);
    std::fs::write(
        catalog(),
        "no database at all, but long enough to be looked at".repeat(100),
    )
    .unwrap();
    assert_eq!(verdict(&place, "view", &[]), "fail");
    let mended = line(&place, "view", &["--fix"]);
    assert_eq!(mended["verdict"], "fixed", "{mended}");
    assert_eq!(place.run(&["views", "dump", "catalog"]).done(), dump);
}

fn text_of(path: &std::path::Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn stale_leases_are_given_back_and_a_broken_file_of_leases_goes() {
    let place = scanned();
    let leases = place.path().join("leases.db");
    let insert = "INSERT INTO leases VALUES ('scn_gone', 'process 1 1 elsewhere', 1)";
    Connection::open(&leases)
        .unwrap()
        .execute(insert, [])
        .unwrap();
    assert_eq!(verdict(&place, "leases", &[]), "warn");
    assert_eq!(verdict(&place, "leases", &["--fix"]), "fixed");
    assert_eq!(verdict(&place, "leases", &[]), "ok");
    std::fs::write(&leases, "no database at all".repeat(100)).unwrap();
    assert_eq!(verdict(&place, "leases", &["--fix"]), "fixed");
    assert!(!leases.exists());
}
