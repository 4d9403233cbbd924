//! Scans from the command line, offline: a seed that no module can be asked about is a whole scan.

use std::process::Stdio;

use serde_json::Value;

use crate::place::{Place, Ran};

/// Runs without a packet: nothing consumes a phone number.
const SEED: &str = "+44 20 7946 0958";
const KEY: &str = "+442079460958";

fn scanned() -> (Place, Value) {
    let place = Place::empty();
    let summary = place
        .run(&["scan", SEED, "--modules", "dns", "-o", "json"])
        .done();
    (place, serde_json::from_str(&summary).unwrap())
}

#[test]
fn a_scan_ends_with_its_summary_and_is_there_to_be_asked_about() {
    let (place, summary) = scanned();
    assert_eq!(
        (&summary["state"], &summary["findings"]),
        (&"completed".into(), &1.into())
    );
    assert_eq!(summary["kinds"]["phone"], 1);
    let id = summary["scan_id"].as_str().unwrap();
    let scans = place.run(&["scans", "-o", "jsonl"]).objects();
    assert_eq!(
        (scans.len(), &scans[0]["scan_id"], &scans[0]["state"]),
        (1, &id.into(), &"finished".into())
    );
    let got = place.run(&["scans", "get", &id[..10], "-o", "json"]).done();
    assert_eq!(
        serde_json::from_str::<Value>(&got).unwrap()["outcome"],
        "completed"
    );
}

#[test]
fn findings_have_the_promised_fields_and_explain_themselves() {
    let (place, _) = scanned();
    let findings = place.run(&["findings", "-o", "jsonl"]).objects();
    let names: Vec<&String> = findings[0].as_object().unwrap().keys().collect();
    let mut promised = [
        "finding_id",
        "scan_id",
        "task_id",
        "module",
        "kind",
        "key",
        "attributes",
        "relation",
        "direction",
        "parent_id",
        "in_scope",
        "confidence",
        "observed_at",
        "recorded_at",
        "position",
        "evidence",
    ];
    promised.sort_unstable();
    assert_eq!(names, promised.iter().collect::<Vec<_>>());
    assert_eq!(
        (&findings[0]["parent_id"], &findings[0]["key"]),
        (&Value::Null, &KEY.into())
    );
    let id = findings[0]["finding_id"].as_str().unwrap();
    assert!(
        place
            .run(&["why", &id[..8]])
            .done()
            .starts_with(&format!("phone {KEY}\n"))
    );
    assert!(
        place
            .run(&["why", &format!("phone:{KEY}"), "--dot"])
            .done()
            .starts_with("digraph")
    );
    let evidence = findings[0]["evidence"][0].as_str().unwrap();
    let bytes = place.run(&["evidence", "get", evidence]).done();
    assert_eq!(
        mirage_domain::id::Digest::of(bytes.as_bytes()).to_string(),
        evidence
    );
    assert_eq!(
        place.run(&["findings", "-o", "key"]).done(),
        format!("{KEY}\n")
    );
    assert_eq!(
        place.run(&["entities", "-o", "key"]).done(),
        format!("{KEY}\n")
    );
}

#[test]
fn the_past_is_as_it_was() {
    let (place, _) = scanned();
    let before = place
        .run(&["findings", "--all", "--at", "2", "-o", "json"])
        .done();
    let before: Value = serde_json::from_str(&before).unwrap();
    assert_eq!(
        (&before["as_of"], &before["items"]),
        (&2.into(), &Value::Array(Vec::new()))
    );
    assert_eq!(
        place
            .run(&["findings", "--all", "--at", "-1h", "-o", "jsonl"])
            .done(),
        ""
    );
    place
        .run(&["findings", "--at", "999999"])
        .refused(3, "no_such_position");
}

#[test]
fn the_same_key_is_the_same_scan_and_another_request_under_it_is_refused() {
    let place = Place::empty();
    let scan = |words: &[&str]| {
        place.run(
            &[
                &[
                    "scan",
                    SEED,
                    "--modules",
                    "dns",
                    "--idempotency-key",
                    "k",
                    "-o",
                    "key",
                ],
                words,
            ]
            .concat(),
        )
    };
    let first = scan(&[]).done();
    assert_eq!(scan(&[]).done(), first);
    let ran = scan(&["--depth", "1"]);
    assert_eq!(ran.code, 5, "{ran:?}");
    assert_eq!(place.run(&["scans", "-o", "key"]).done(), first);
}

#[test]
fn a_scan_of_the_same_seeds_says_what_is_new() {
    let (place, _) = scanned();
    let again = place
        .run(&["scan", SEED, "--modules", "dns", "-o", "json"])
        .done();
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap()["new"], 0);
}

#[test]
fn a_plan_starts_nothing() {
    let place = Place::empty();
    let plan = place
        .run(&[
            "scan",
            "example.com",
            "--plan",
            "--profile",
            "active",
            "-o",
            "key",
        ])
        .done();
    assert!(plan.lines().any(|module| module == "dns"), "{plan}");
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[test]
fn what_is_left_is_mentioned_and_resumed_and_what_is_over_is_archived() {
    let place = Place::empty();
    let left = place
        .run(&["scan", SEED, "--modules", "dns", "--no-wait", "-o", "key"])
        .done();
    let left = left.trim();
    let scans = place.run(&["scans", "-o", "jsonl"]).objects();
    assert_eq!(scans[0]["state"], "interrupted");
    let other = place.run(&["scan", "+44 20 7946 0959", "--modules", "dns"]);
    assert!(
        other.err.contains(&format!("scan {left} is interrupted")),
        "{other:?}"
    );
    place
        .run(&["scans", "archive", left])
        .refused(5, "scan_not_over");
    place.run(&["scans", "pause", left]).done();
    place.run(&["scans", "resume", left]).done();
    place.run(&["scans", "stop", left]).refused(5, "scan_over");
    place.run(&["scans", "archive", left]).done();
    assert_eq!(place.run(&["scans", "-o", "jsonl"]).objects().len(), 1);
    assert_eq!(
        place
            .run(&["scans", "--archived", "-o", "jsonl"])
            .objects()
            .len(),
        2
    );
    place.run(&["scans", "unarchive", left]).done();
    let rerun = place.run(&["scans", "rerun", left, "-o", "json"]).done();
    assert_eq!(serde_json::from_str::<Value>(&rerun).unwrap()["new"], 0);
}

#[test]
fn stopping_a_scan_that_nobody_runs_ends_it() {
    let place = Place::empty();
    let left = place
        .run(&["scan", SEED, "--modules", "dns", "--no-wait", "-o", "key"])
        .done();
    place.run(&["scans", "stop", left.trim()]).done();
    let got = place.run(&["scans", "get", "@last", "-o", "json"]).done();
    assert_eq!(
        serde_json::from_str::<Value>(&got).unwrap()["outcome"],
        "stopped"
    );
}

#[test]
fn a_watch_gives_the_events_and_resumes_after_a_position() {
    let (place, summary) = scanned();
    let events = place.run(&["watch", "@last"]).objects();
    assert_eq!(events[0]["kind"], "scan.requested");
    assert_eq!(events.last().unwrap()["kind"], "scan.finished");
    let last = (summary["position"].as_u64().unwrap() - 1).to_string();
    let rest = place.run(&["watch", "@last", "--since", &last]).objects();
    assert_eq!((rest.len(), &rest[0]["kind"]), (1, &"scan.finished".into()));
}

#[test]
fn views_are_listed_rebuilt_and_dumped_the_same() {
    let (place, _) = scanned();
    let views = place.run(&["views", "-o", "jsonl"]).objects();
    assert_eq!(
        (&views[0]["view"], &views[0]["lag"]),
        (&"catalog".into(), &0.into())
    );
    let dump = place.run(&["views", "dump", "catalog"]).done();
    place.run(&["views", "rebuild", "catalog"]).done();
    assert_eq!(place.run(&["views", "dump", "catalog"]).done(), dump);
    place
        .run(&["views", "dump", "catalogue"])
        .refused(3, "no_such_view");
}

#[test]
fn the_doctor_finds_what_is_wrong_and_how_to_mend_it() {
    let (place, _) = scanned();
    let all = place.run(&["doctor", "-o", "jsonl"]).objects();
    assert!(all.iter().all(|line| line["verdict"] != "fail"), "{all:?}");
    let key = place.path().join("keys").join("default.key");
    std::fs::rename(&key, place.path().join("elsewhere")).unwrap();
    let ran = place.run(&["doctor", "-o", "jsonl"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let line = ran
        .out
        .lines()
        .find(|line| line.contains("\"key\""))
        .unwrap();
    assert!(
        line.contains("\"fail\"") && line.contains("backup"),
        "{line}"
    );
    place
        .run(&["scan", SEED, "--modules", "dns"])
        .failed(1, "id_key_missing");
}

#[test]
fn seeds_come_from_stdin_too() {
    let place = Place::empty();
    std::fs::write(
        place.path().join("seeds"),
        format!("# ours\n{SEED}\n+44 20 7946 0959\n"),
    )
    .unwrap();
    let mut command = place.command(&["scan", "-", "--modules", "dns", "-o", "json"]);
    command.stdin(std::fs::File::open(place.path().join("seeds")).unwrap());
    let summary = Ran::from(command.stdout(Stdio::piped()).output().unwrap()).done();
    assert_eq!(
        serde_json::from_str::<Value>(&summary).unwrap()["findings"],
        2
    );
}

#[test]
fn nothing_found_is_told_by_the_exit_code_when_asked() {
    let place = Place::empty();
    let ran = place.run(&["scan", SEED, "--modules", "dns", "--exit-code"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(
        place.run(&["findings", "--kind", "ip", "--exit-code"]).code,
        1
    );
    assert_eq!(place.run(&["findings", "--exit-code"]).code, 0);
}
