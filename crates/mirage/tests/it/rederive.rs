//! Deriving anew, without a network: imports, and what a rederivation must not become.

use serde_json::Value;

use crate::place::Place;

const NMAP: &str = r#"<?xml version="1.0"?>
<nmaprun scanner="nmap" args="nmap" start="1700000000" version="7.94" xmloutputversion="1.05">
<host starttime="1700000000" endtime="1700000001"><status state="up" reason="echo-reply" reason_ttl="0"/>
<address addr="192.0.2.7" addrtype="ipv4"/>
<ports><port protocol="tcp" portid="22"><state state="open" reason="syn-ack" reason_ttl="0"/>
<service name="ssh" method="table" conf="3"/></port></ports></host>
<runstats><finished time="1700000001" elapsed="1" exit="success"/><hosts up="1" down="0" total="1"/></runstats>
</nmaprun>"#;

#[test]
fn an_import_derives_the_same_from_the_file_that_was_kept() {
    let place = Place::empty();
    let file = place.path().join("scan.xml");
    std::fs::write(&file, NMAP).unwrap();
    let file = file.to_str().unwrap();
    place.run(&["import", "--format", "nmap", file]).done();
    let again = place.run(&["rederive", "@last", "-o", "jsonl", "--exit-code"]);
    assert_eq!(again.done(), "", "nothing differs");
}

#[test]
fn an_import_is_not_run_again_as_a_scan_of_the_world() {
    let place = Place::empty();
    let file = place.path().join("scan.xml");
    std::fs::write(&file, NMAP).unwrap();
    let file = file.to_str().unwrap();
    place.run(&["import", "--format", "nmap", file]).done();
    let answer = place.run(&["scans", "rerun", "@last"]).refused(2, "usage");
    assert!(answer.contains("mirage rederive scn_"), "{answer}");
    assert_eq!(place.run(&["scans", "-o", "jsonl"]).objects().len(), 1);
}

#[test]
fn a_rederivation_is_not_scanned_anew_since_it_has_no_limits() {
    let place = Place::empty();
    let scan = ["scan", "+44 20 7946 0958", "--modules", "dns", "-o", "json"];
    let scan: Value = serde_json::from_str(&place.run(&scan).done()).unwrap();
    place.run(&["rederive", "@last"]).done();
    let answer = place.run(&["scans", "rerun", "@last"]).refused(2, "usage");
    let of = scan["scan_id"].as_str().unwrap();
    assert!(
        answer.contains(&format!("mirage rederive {of}")),
        "{answer}"
    );
}

#[test]
fn what_was_marked_away_is_told_where_it_is_derived_again() {
    let place = Place::empty();
    let file = place.path().join("scan.xml");
    std::fs::write(&file, NMAP).unwrap();
    let file = file.to_str().unwrap();
    place.run(&["import", "--format", "nmap", file]).done();
    let found = place.run(&["findings", "--kind", "service", "-o", "jsonl"]);
    let id = found.objects()[0]["finding_id"]
        .as_str()
        .unwrap()
        .to_owned();
    place
        .run(&["mark", &id, "--false-positive", "--reason", "a honeypot"])
        .done();
    let again = place.run(&["rederive", "@last"]);
    assert_eq!(again.code, 0, "{again:?}");
    let told = again.err.lines().find(|line| line.contains("was marked"));
    assert!(
        told.is_some_and(|line| line.ends_with("a honeypot")),
        "{again:?}"
    );
}
