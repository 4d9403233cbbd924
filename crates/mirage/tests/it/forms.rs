//! The output forms, alike for every listing.

use crate::place::Place;

#[test]
fn each_form_says_the_same() {
    let place = Place::with_findings(2);
    let run = |words: &[&str]| place.run(&[&["log", "tail"], words].concat()).done();
    let fields = ["--fields", "cursor,kind"];
    assert_eq!(
        run(&fields),
        "CURSOR  KIND\n1.1     log.created\n2.1     task.found\n3.1     task.found\n"
    );
    let csv = run(&[&fields[..], &["-o", "csv"]].concat());
    assert_eq!(
        csv,
        "cursor,kind\r\n1.1,log.created\r\n2.1,task.found\r\n3.1,task.found\r\n"
    );
    let jsonl = run(&[&fields[..], &["-o", "jsonl"]].concat());
    assert_eq!(
        jsonl.lines().next(),
        Some(r#"{"cursor":"1.1","kind":"log.created"}"#)
    );
    let json: serde_json::Value =
        serde_json::from_str(&run(&[&fields[..], &["-o", "json"]].concat())).unwrap();
    assert_eq!(
        (&json["as_of"], json["items"].as_array().unwrap().len()),
        (&3.into(), 3)
    );
    assert_eq!(run(&["-o", "key"]), "1.1\n2.1\n3.1\n");
}

#[test]
fn the_order_of_the_fields_is_the_one_asked_for() {
    let place = Place::with_findings(0);
    let csv = place
        .run(&["log", "tail", "-o", "csv", "--fields", "kind,cursor"])
        .done();
    assert_eq!(csv, "kind,cursor\r\nlog.created,1.1\r\n");
    let err = place
        .run(&["log", "tail", "--fields", "kidn"])
        .refused(2, "usage");
    assert!(err.contains("did you mean `kind`?"), "{err}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let place = Place::with_findings(50);
    for form in ["table", "json", "jsonl", "csv", "key"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.command(&["log", "tail", "-n", "51", "-f", "-o", form]);
        let ended = command.stdout(writer).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(
            (ended.status.code(), told.as_str()),
            (Some(0), ""),
            "{form}"
        );
    }
}

#[test]
fn colour_is_for_terminals_unless_it_is_forced() {
    let place = Place::with_findings(0);
    let run = |env: &[(&str, &str)], words: &[&str]| {
        let mut command = place.command(&[&["log", "tail"], words].concat());
        command.envs(env.iter().copied());
        String::from_utf8(command.output().unwrap().stdout)
            .unwrap()
            .contains('\u{1b}')
    };
    assert!(!run(&[], &[]));
    assert!(run(&[("CLICOLOR_FORCE", "1")], &[]));
    assert!(!run(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[]));
    assert!(run(&[("NO_COLOR", "1")], &["--color", "always"]));
    assert!(!run(&[("CLICOLOR_FORCE", "1")], &["--color", "never"]));
}

#[test]
fn an_error_in_json_is_the_problem_document() {
    let ran = Place::empty().run(&["log", "tail", "-o", "json"]);
    let document: serde_json::Value = serde_json::from_str(&ran.err).unwrap();
    assert_eq!((ran.code, &document["code"]), (3, &"no_log".into()));
    for member in ["type", "title", "detail", "hint"] {
        assert!(document[member].is_string(), "{document}");
    }
}
