//! The graph from the command line, offline: one seed is a whole graph.

use serde_json::Value;

use crate::place::Place;

const SEED: &str = "phone:+442079460958";

fn scanned() -> Place {
    let place = Place::empty();
    let seed = "+44 20 7946 0958";
    place.run(&["scan", seed, "--modules", "dns"]).done();
    place
}

fn exported(place: &Place, more: &[&str]) -> Value {
    let words = [&["graph", "export", "--format", "json"], more].concat();
    serde_json::from_str(&place.run(&words).done()).unwrap()
}

#[test]
fn a_seed_alone_is_a_node_a_component_and_a_path_of_no_hops() {
    let place = scanned();
    let tree = place.run(&["graph", "neighbors", SEED]).done();
    assert_eq!(tree, format!("{SEED}\n"));
    let path = ["graph", "path", SEED, SEED, "-o", "jsonl"];
    assert_eq!(place.run(&path).objects()[0]["hops"], 0);
    let parts = place.run(&["graph", "components", "-o", "jsonl"]).objects();
    assert_eq!((parts.len(), &parts[0]["first"]), (1, &SEED.into()));
    let graph = exported(&place, &[]);
    assert_eq!(graph["nodes"][0]["key"], "+442079460958");
    assert_eq!(graph["edges"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_marked_finding_is_out_of_the_graph_and_in_its_past() {
    let place = scanned();
    let found = place.run(&["findings", "-o", "jsonl"]).objects();
    let id = found[0]["finding_id"].as_str().unwrap();
    let mark = ["mark", id, "--false-positive", "--reason", "a film number"];
    let before = exported(&place, &[])["graph"]["position"].to_string();
    place.run(&mark).done();
    let nodes = |more: &[&str]| exported(&place, more)["nodes"].as_array().unwrap().len();
    assert_eq!((nodes(&[]), nodes(&["--at", &before])), (0, 1));
    let gone = place.run(&["graph", "neighbors", SEED]);
    gone.refused(3, "no_such_entity");
}

#[test]
fn a_file_is_written_where_it_is_asked_for() {
    let place = scanned();
    let stdout = place.run(&["graph", "export", "--format", "gexf"]).done();
    let file = place.path().join("graph.gexf");
    let out = file.to_str().unwrap();
    let export = ["graph", "export", "--format", "gexf", "--out", out];
    assert_eq!(place.run(&export).done(), "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), stdout);
    let nowhere = ["graph", "export", "--out", "no/such/folder/graph"];
    let error = place.run(&nowhere).refused(1, "output_failed");
    assert!(error.contains("no/such/folder/graph"), "{error}");
}

#[test]
fn what_cannot_be_asked_is_refused_with_what_to_do() {
    let place = scanned();
    let neighbors = |more: &[&str]| place.run(&[&["graph", "neighbors"], more].concat());
    let error = neighbors(&[SEED, "--relation", "resolve-to"]).refused(2, "usage");
    assert!(error.contains("did you mean `resolves-to`?"), "{error}");
    neighbors(&["domain:nobody.example"]).refused(3, "no_such_entity");
    neighbors(&["ffffffff"]).refused(3, "no_such_entity");
    neighbors(&[SEED, "--at", "999999"]).refused(3, "no_such_position");
    neighbors(&[SEED, "--scan", "nothing"]).refused(3, "no_such_scan");
    let path = ["graph", "path", SEED, SEED, "--max-hops", "13"];
    place.run(&path).refused(2, "usage");
    Place::empty()
        .run(&["graph", "export"])
        .refused(3, "no_log");
}
