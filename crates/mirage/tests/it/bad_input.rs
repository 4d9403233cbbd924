//! Bad input: one clear error each, its documented exit code, and nothing written.

use crate::place::Place;

#[test]
fn reading_where_there_is_no_log_makes_none() {
    let place = Place::empty();
    for words in [
        &["scans"][..],
        &["scans", "get"],
        &["scans", "pause", "@last"],
        &["scans", "resume", "@last"],
        &["scans", "rerun", "@last"],
        &["findings"],
        &["search", "example"],
        &["entities"],
        &["entities", "domain:example.com"],
        &["watch", "@last"],
        &["why", "abcd"],
        &["views"],
        &["views", "rebuild", "catalog"],
        &["evidence", "get", EVIDENCE],
        &["log", "tail"],
        &["log", "verify"],
        &["log", "show", "1"],
    ] {
        place.run(words).refused(3, "no_log");
        assert!(place.files().is_empty(), "{words:?}: {:?}", place.files());
    }
}

const EVIDENCE: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn a_scan_that_is_not_valid_writes_nothing() {
    let place = Place::empty();
    for (words, code) in [
        (&["scan"][..], "bad_seed"),
        (&["scan", "alice"], "bad_seed"),
        (&["scan", "domian:example.com"], "bad_seed"),
        (&["scan", "--seed", "example.com"], "bad_seed"),
        (&["scan", "--seed", "ip:example.com"], "bad_seed"),
        (&["scan", "a.example", "--profile", "activ"], "usage"),
        (
            &["scan", "a.example", "--profile", "active"],
            "consent_missing",
        ),
        (
            &["scan", "a.example", "--modules", "dnss"],
            "unknown_module",
        ),
        (
            &["scan", "a.example", "--exclude", "nobody"],
            "unknown_module",
        ),
        (
            &["scan", "a.example", "--scope", "*.a.example"],
            "bad_scope",
        ),
        (
            &["scan", "a.example", "--set", "nobody.key=1"],
            "unknown_setting",
        ),
        (&["scan", "a.example", "--set", "key"], "bad_setting"),
        (&["scan", "a.example", "--depth", "65"], "usage"),
        (&["scan", "a.example", "--max-requests", "many"], "usage"),
        (&["scan", "a.example", "--max-time", "soon"], "usage"),
        (&["scan", "a.example", "--rate", "-1"], "usage"),
        (&["scan", "a.example", "--ports", "http"], "usage"),
        (&["scan", "a.example", "--resolver", "192.0.2.53"], "usage"),
        (
            &["scan", "a.example", "--allow-private", "10.0.0.0"],
            "usage",
        ),
        (&["scan", "a.example", "--name", ""], "usage"),
        (&["scan", "a.example", "--timeout", "soon"], "usage"),
        (&["scan", "a.example", "--workspace", "a.b"], "bad_id"),
        (&["scan", "a.example", "--colour", "never"], "usage"),
    ] {
        let ran = place.run(words);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{words:?}: {ran:?}");
        ran.failed(2, code);
        assert!(place.files().is_empty(), "{words:?}: {:?}", place.files());
    }
}

#[test]
fn ids_and_times_that_fit_nothing_are_told() {
    let place = Place::with_findings(3);
    for (words, exit, code) in [
        (&["scans", "get", "scn_zzzz"][..], 3, "no_such_scan"),
        (&["findings"], 3, "no_such_scan"),
        (&["findings", "--all", "--since", "tomorrow"], 2, "bad_time"),
        (&["findings", "--all", "--at", "2026-13-01"], 2, "bad_time"),
        (&["findings", "--all", "--kind", "domian"], 2, "usage"),
        (
            &["findings", "--all", "--module", "dnss"],
            2,
            "unknown_module",
        ),
        (
            &["findings", "--all", "--min-confidence", "101"],
            2,
            "usage",
        ),
        (&["findings", "@last", "--all"], 2, "usage"),
        (&["entities", "domian:example.com"], 2, "usage"),
        (&["entities", "ip:example.com"], 2, "bad_id"),
        (&["entities", "domain:nowhere.example"], 3, "no_such_entity"),
        (
            &["why", "00000000000000000000000000000000"],
            3,
            "no_such_finding",
        ),
        (&["why", "not-an-id"], 3, "no_such_finding"),
        (&["evidence", "get", "abc"], 2, "bad_id"),
        (&["evidence", "get", EVIDENCE], 3, "no_such_evidence"),
        (&["modules", "info", "nobody"], 3, "no_such_module"),
        (&["config", "explain", "colour"], 3, "no_such_key"),
        (&["watch", "scn_zzzz"], 3, "no_such_scan"),
    ] {
        place.run(words).refused(exit, code);
    }
}

#[test]
fn an_ambiguous_id_lists_its_candidates() {
    let place = Place::with_findings(40);
    // Of forty hexadecimal ids two begin alike.
    let ids = place.run(&["findings", "--all", "-o", "jsonl"]).objects();
    let first = |id: &serde_json::Value| id["finding_id"].as_str().unwrap()[..1].to_owned();
    let mut firsts: Vec<String> = ids.iter().map(first).collect();
    firsts.sort();
    let twice = firsts.windows(2).find(|pair| pair[0] == pair[1]).unwrap();
    let err = place.run(&["why", &twice[0]]).refused(2, "ambiguous_id");
    assert!(err.contains("fits "), "{err}");
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
