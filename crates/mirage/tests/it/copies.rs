//! Copies of a log, by the program: each is the same log or is refused.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::Place;

const SEED: &str = "+44 20 7946 0958";

/// A scan that needs no network: a workspace with its key, evidence, and a few commits.
fn scanned() -> Place {
    let place = Place::empty();
    place
        .run(&["scan", SEED, "--modules", "dns", "-q", "-o", "json"])
        .done();
    place
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a command on another directory than the place's own.
fn on(place: &Place, dir: &Path, words: &[&str]) -> crate::place::Ran {
    let mut command = place.command(&[]);
    let program = command.get_program().to_owned();
    command = std::process::Command::new(program);
    command
        .args(words)
        .arg("--data")
        .arg(dir)
        .env_clear()
        .env("HOME", place.path());
    command.current_dir(place.path()).output().unwrap().into()
}

fn proof(place: &Place, dir: &Path) -> Value {
    let proof = on(place, dir, &["log", "verify", "-o", "json"]).done();
    serde_json::from_str(&proof).unwrap()
}

/// A directory beside the place's data.
fn beside() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy");
    (dir, path)
}

#[test]
fn an_archive_goes_to_a_pipe_or_a_file_and_is_proven() {
    let place = Place::with_findings(100);
    let piped = place.run(&["log", "export"]).done();
    let second = place.run(&["log", "show", "2", "--raw"]).done();
    assert_eq!(piped.lines().nth(2).unwrap(), second);
    let (_keep, file) = beside();
    place.run(&["log", "export", "--out", text(&file)]).done();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), piped);
    let proof = place
        .run(&["log", "verify", "--archive", text(&file), "-o", "jsonl"])
        .objects();
    assert_eq!(
        (&proof[0]["after"], &proof[0]["position"]),
        (&0.into(), &101.into())
    );
    let part = place
        .run(&["log", "export", "--from", "5", "--to", "7"])
        .done();
    assert_eq!(part.lines().count(), 1 + 3 + 1 + 1);
    place
        .run(&["log", "export", "--to", "500"])
        .refused(3, "no_such_position");
}

#[test]
fn an_archive_that_was_cut_short_goes_on_and_another_one_is_not_touched() {
    let place = Place::with_findings(200);
    let (_keep, file) = beside();
    let whole = place.run(&["log", "export"]).done();
    for bytes in [
        0,
        5,
        50,
        1000,
        whole.len() / 2,
        whole.len() - 1,
        whole.len(),
    ] {
        std::fs::write(&file, &whole.as_bytes()[..bytes]).unwrap();
        if bytes > 5 && bytes < whole.len() {
            place
                .run(&["log", "verify", "--archive", text(&file)])
                .refused(6, "archive_cut");
        }
        place.run(&["log", "export", "--out", text(&file)]).done();
        assert!(std::fs::read_to_string(&file).unwrap() == whole, "{bytes}");
    }
    let other = Place::with_findings(3);
    other.tamper("UPDATE commits SET id = id");
    let scanned = scanned();
    scanned
        .run(&["log", "export", "--out", text(&file)])
        .refused(5, "other_log");
    place
        .run(&["log", "export", "--from", "3", "--out", text(&file)])
        .refused(5, "other_log");
    assert!(std::fs::read_to_string(&file).unwrap() == whole);
    std::fs::write(&file, "dear diary\n").unwrap();
    place
        .run(&["log", "export", "--out", text(&file)])
        .refused(2, "archive_foreign");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "dear diary\n");
}

#[test]
fn a_changed_byte_in_an_archive_is_refused_with_its_place() {
    let place = Place::with_findings(100);
    let (_keep, file) = beside();
    let whole = place.run(&["log", "export"]).done();
    std::fs::write(
        &file,
        whole.replacen("host-40.example", "host-41.example", 1),
    )
    .unwrap();
    let err = place
        .run(&["log", "verify", "--archive", text(&file)])
        .refused(6, "archive_damaged");
    assert!(err.contains("position 41"), "{err}");
    let before = std::fs::read(&file).unwrap();
    place
        .run(&["log", "export", "--out", text(&file)])
        .refused(6, "archive_damaged");
    assert!(std::fs::read(&file).unwrap() == before);
}

#[test]
fn a_backup_is_restored_to_the_same_log_views_and_evidence() {
    let place = scanned();
    let (_keep, backup) = beside();
    place.run(&["log", "backup", text(&backup)]).done();
    let again = place
        .run(&["log", "backup", text(&backup), "-o", "jsonl"])
        .objects();
    assert_eq!(
        (&again[0]["commits"], &again[0]["evidence"]),
        (&0.into(), &0.into())
    );
    let (_also, to) = beside();
    on(&place, &to, &["log", "restore", text(&backup)]).done();
    on(&place, &to, &["log", "restore", text(&backup)]).done();
    assert_eq!(proof(&place, &to), proof(&place, place.path()));
    let dump = ["views", "dump", "catalog"];
    assert_eq!(on(&place, &to, &dump).done(), place.run(&dump).done());
    on(&place, &to, &["evidence", "verify"]).done();
    let archive = ["log", "export"];
    assert_eq!(on(&place, &to, &archive).done(), place.run(&archive).done());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for dir in [&backup, &to] {
            let key = std::fs::metadata(dir.join("keys/default.key")).unwrap();
            assert_eq!(key.permissions().mode() & 0o777, 0o600);
        }
    }
    // The restored directory is one to work in.
    on(
        &place,
        &to,
        &["scan", SEED, "--modules", "dns", "-q", "-o", "json"],
    )
    .done();
    on(&place, &to, &["log", "restore", text(&backup)]).done();
}

#[test]
fn evidence_that_was_lost_before_a_copy_is_missed_at_its_end() {
    let place = scanned();
    rusqlite::Connection::open(place.path().join("evidence/small.db"))
        .unwrap()
        .execute(
            "DELETE FROM items WHERE digest = (SELECT min(digest) FROM items)",
            [],
        )
        .unwrap();
    for words in [&["log", "backup"][..], &["replay", "--into"]] {
        let (_keep, copy) = beside();
        let ran = place.run(&[words, &[text(&copy)]].concat());
        assert!(
            ran.code == 6
                && ran
                    .err
                    .contains("1 items that the log cites were not there"),
            "{ran:?}"
        );
        // All else is there.
        assert_eq!(proof(&place, &copy), proof(&place, place.path()));
    }
}

#[test]
fn nothing_is_written_among_the_files_of_the_data_directory() {
    let place = scanned();
    let log = place.path().join("log.db");
    let before = std::fs::read(&log).unwrap();
    for words in [
        &["export", "--format", "csv", "--out"][..],
        &["graph", "export", "--format", "json", "--out"],
        &["log", "export", "--out"],
    ] {
        place
            .run(&[words, &[text(&log)]].concat())
            .refused(2, "usage");
    }
    assert!(std::fs::read(&log).unwrap() == before);
}

#[test]
fn another_log_a_foreign_folder_and_an_unfinished_backup_are_refused() {
    let (place, other) = (scanned(), scanned());
    let (_keep, backup) = beside();
    place.run(&["log", "backup", text(&backup)]).done();
    let files = other.files();
    let before = proof(&other, other.path());
    other
        .run(&["log", "restore", text(&backup)])
        .refused(5, "other_log");
    other
        .run(&["log", "backup", text(&backup)])
        .refused(5, "other_log");
    assert_eq!(
        (proof(&other, other.path()), other.files()),
        (before, files)
    );
    let (_also, to) = beside();
    std::fs::create_dir_all(&to).unwrap();
    std::fs::write(to.join("letter.txt"), "dear").unwrap();
    place
        .run(&["log", "backup", text(&to)])
        .refused(2, "folder_foreign");
    on(&place, &to, &["log", "restore", text(&backup)]).refused(2, "folder_foreign");
    std::fs::remove_file(backup.join("backup.json")).unwrap();
    std::fs::remove_file(to.join("letter.txt")).unwrap();
    on(&place, &to, &["log", "restore", text(&backup)]).refused(6, "backup_unfinished");
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 0);
    place
        .run(&["log", "backup", text(place.path())])
        .refused(2, "usage");
}

#[test]
fn a_damaged_backup_is_refused_with_its_place() {
    let place = scanned();
    let ((_keep, backup), (_also, to)) = (beside(), beside());
    place.run(&["log", "backup", text(&backup)]).done();
    let database = |name: &str| rusqlite::Connection::open(backup.join(name)).unwrap();
    let sql = "UPDATE items SET bytes = CAST(bytes || x'00' AS BLOB)";
    database("evidence/small.db").execute(sql, []).unwrap();
    let err = on(&place, &to, &["log", "restore", text(&backup)]).refused(6, "evidence_damaged");
    assert!(err.contains("damaged: its bytes"), "{err}");
    assert!(!to.join("log.db").exists());
    // Without the evidence the log can be had all the same, and it is said.
    on(
        &place,
        &to,
        &["log", "restore", text(&backup), "--skip-damaged"],
    )
    .failed(6, "evidence_damaged");
    assert_eq!(proof(&place, &to), proof(&place, place.path()));
    on(&place, &to, &["evidence", "verify"]).failed(6, "evidence_damaged");
    let sql = "UPDATE commits SET bytes = CAST(replace(CAST(bytes AS TEXT), 'dns', 'dnt') AS BLOB) WHERE position = 3";
    database("log.db").execute(sql, []).unwrap();
    let (_third, to) = beside();
    let err = on(&place, &to, &["log", "restore", text(&backup)]).refused(6, "log_damaged");
    assert!(err.contains("position 3"), "{err}");
    assert!(!to.join("log.db").exists());
}

#[test]
fn a_lost_log_comes_back_and_the_head_that_goes_back_is_said() {
    let place = scanned();
    let (_keep, backup) = beside();
    place.run(&["log", "backup", text(&backup)]).done();
    place
        .run(&[
            "scan",
            "+44 20 7946 0959",
            "--modules",
            "dns",
            "-q",
            "-o",
            "json",
        ])
        .done();
    for file in ["log.db", "log.db-wal", "log.db-shm"] {
        let _ = std::fs::remove_file(place.path().join(file));
    }
    place.run(&["scans"]).failed(6, "log_damaged");
    let ran = place.run(&["log", "restore", text(&backup), "-o", "jsonl"]);
    assert!(
        ran.err.contains("the head goes back from position"),
        "{ran:?}"
    );
    let restored = &ran.objects()[0];
    assert!(restored["set_back_from"].as_u64() > restored["position"].as_u64());
    assert_eq!(place.run(&["scans", "-o", "jsonl"]).objects().len(), 1);
    assert_eq!(proof(&place, place.path()), proof(&place, &backup));
}

#[test]
fn a_scan_is_replayed_to_a_pipe_at_once_and_the_log_into_a_fresh_directory() {
    let place = scanned();
    let watched = place.run(&["watch", "@last"]).done();
    assert_eq!(place.run(&["replay", "@last"]).done(), watched);
    assert_eq!(place.run(&["replay", "@last", "--step"]).done(), watched);
    assert_eq!(
        place.run(&["replay", "@last", "--speed", "1"]).done(),
        watched
    );
    let end = proof(&place, place.path())["position"].as_u64().unwrap();
    let (from, to) = ((end - 1).to_string(), end.to_string());
    let last = place
        .run(&["replay", "@last", "--from", &from, "--to", &to])
        .objects();
    assert_eq!(last.last().unwrap()["kind"], "scan.finished");
    place
        .run(&["replay", "@last", "--from", "9999"])
        .refused(3, "no_such_position");
    place.run(&["replay"]).refused(2, "usage");
    let ((_keep, into), (_also, part)) = (beside(), beside());
    place
        .run(&["replay", "@last", "--into", text(&into)])
        .refused(2, "usage");
    place
        .run(&["replay", "--into", text(&part), "--to", "4"])
        .done();
    assert_eq!(proof(&place, &part)["position"], 4);
    for _ in 0..2 {
        place.run(&["replay", "--into", text(&into)]).done();
        assert_eq!(proof(&place, &into), proof(&place, place.path()));
    }
    let dump = ["views", "dump", "catalog"];
    assert_eq!(on(&place, &into, &dump).done(), place.run(&dump).done());
    let other = scanned();
    other
        .run(&["replay", "--into", text(&into)])
        .refused(5, "other_log");
}

#[test]
fn a_log_comes_back_from_an_archive_and_misses_the_key_that_is_not_there() {
    let place = scanned();
    let ((_keep, file), (_also, to)) = (beside(), beside());
    place.run(&["log", "export", "--out", text(&file)]).done();
    let ran = on(&place, &to, &["log", "restore", text(&file)]);
    assert!(ran.err.contains("key of workspace default"), "{ran:?}");
    ran.done();
    assert_eq!(proof(&place, &to), proof(&place, place.path()));
    let doctor = on(&place, &to, &["doctor", "-o", "jsonl"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    place
        .run(&[
            "log",
            "export",
            "--from",
            "3",
            "--out",
            text(&to.join("part")),
        ])
        .done();
    let (_third, to_other) = beside();
    on(
        &place,
        &to_other,
        &["log", "restore", text(&to.join("part"))],
    )
    .refused(5, "other_log");
}
