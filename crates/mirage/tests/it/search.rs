//! Searching from the command line.

use crate::place::Place;

/// Runs without a packet: nothing consumes a phone number.
fn scanned() -> Place {
    let place = Place::empty();
    for seed in ["+44 20 7946 0958", "+44 20 7946 0100"] {
        place.run(&["scan", seed, "--modules", "dns"]).done();
    }
    place
}

#[test]
fn a_finding_is_found_in_every_form_and_as_of_then() {
    let place = scanned();
    let hits = place.run(&["search", "46095", "-o", "jsonl"]).objects();
    assert_eq!(hits.len(), 1, "{hits:?}");
    assert_eq!(
        (&hits[0]["key"], &hits[0]["kind"], &hits[0]["module"]),
        (&"+442079460958".into(), &"phone".into(), &"seed".into())
    );
    let id = hits[0]["finding_id"].as_str().unwrap();
    assert_eq!(
        place.run(&["findings", "--all", "-o", "jsonl"]).objects()[0]["finding_id"],
        id
    );
    let keys = place.run(&["search", "442079", "-o", "key"]).done();
    assert_eq!(keys, "+442079460100\n+442079460958\n");
    let json = place.run(&["search", "442079", "-o", "json"]).done();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["items"].as_array().unwrap().len(), 2);
    let position = hits[0]["position"].to_string();
    let then = ["search", "442079", "-o", "key", "--at", &position];
    assert_eq!(place.run(&then).done(), "+442079460958\n");
    let table = place.run(&["search", "442079", "--limit", "1"]);
    assert!(table.err.contains("1 findings"), "{table:?}");
    assert!(table.err.contains("there are more: --limit"), "{table:?}");
    assert!(table.done().starts_with("FINDING ID"));
}

#[test]
fn a_false_positive_is_found_in_the_past_only() {
    let place = scanned();
    let hits = place.run(&["search", "46095", "-o", "jsonl"]).objects();
    let id = hits[0]["finding_id"].as_str().unwrap();
    let mark = [
        "mark",
        id,
        "--false-positive",
        "--reason",
        "parked",
        "-o",
        "json",
    ];
    let mark: serde_json::Value = serde_json::from_str(&place.run(&mark).done()).unwrap();
    assert_eq!(place.run(&["search", "46095", "--exit-code"]).code, 1);
    let facets = ["search", "46095", "--facets", "--exit-code"];
    assert_eq!(place.run(&facets).code, 1);
    let before = (mark["position"].as_u64().unwrap() - 1).to_string();
    let then = ["search", "46095", "-o", "jsonl", "--at", &before];
    assert_eq!(place.run(&then).objects(), hits);
    place.run(&["unmark", id]).done();
    assert_eq!(
        place.run(&["search", "46095", "-o", "jsonl"]).objects(),
        hits
    );
}

#[test]
fn flags_and_filters_of_the_query_say_the_same() {
    let place = scanned();
    let count = |words: &[&str]| {
        let words = [&["search"], words, &["-o", "jsonl"]].concat();
        place.run(&words).objects().len()
    };
    assert_eq!(count(&["kind:phone"]), 2);
    assert_eq!(count(&["kind:phone", "scan:@last"]), 1);
    assert_eq!(count(&["4420", "--scan", "@last"]), 1);
    assert_eq!(count(&["4420", "--kind", "ip"]), 0);
    assert_eq!(count(&["4420", "--kind", "ip", "kind:phone"]), 2);
    assert_eq!(count(&["4420", "--module", "seed"]), 2);
    assert_eq!(count(&["4420", "module:dns"]), 0);
    assert_eq!(count(&["4420 -46095"]), 1);
    let csv = place
        .run(&["search", "4420", "--facets", "-o", "csv"])
        .done();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "facet,name,findings,is_at_least",
            "kind,phone,2,no",
            "module,seed,2,no"
        ]
    );
    assert_eq!(lines.len(), 5);
}

#[test]
fn nothing_found_is_said_by_the_exit_code_if_asked() {
    let place = scanned();
    assert_eq!(place.run(&["search", "nothing"]).code, 0);
    assert_eq!(place.run(&["search", "nothing", "--exit-code"]).code, 1);
    assert_eq!(place.run(&["search", "4420", "--exit-code"]).code, 0);
}

#[test]
fn a_query_that_cannot_be_asked_says_what_to_write() {
    let place = scanned();
    let long = "a".repeat(10_000);
    for (words, hint) in [
        (&["search"][..], "<QUERY>"),
        (&["search", ""], "write a word"),
        (&["search", "\"open"], "close the quote"),
        (&["search", "kind:phon"], "did you mean `phone`?"),
        (&["search", "kind:"], "without a space"),
        (&["search", &long], "ask for less at once"),
        (&["search", "x", "--limit", "0"], "--help"),
    ] {
        let err = place.run(words).refused(2, "usage");
        assert!(err.contains(hint), "{err}");
    }
    place
        .run(&["search", "module:dnss"])
        .refused(2, "unknown_module");
    place
        .run(&["search", "x", "--scan", "scn_nothing"])
        .refused(3, "no_such_scan");
    for text in [
        "' OR 1=1 --",
        "NEAR(a b)",
        "{marks}:x",
        "^*",
        "(((",
        "a\u{1b}b",
    ] {
        place.run(&["search", text]).done();
    }
}
