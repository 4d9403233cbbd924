//! A cluster of one server: its live nodes are listed, and `doctor` looks at it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use mirage_servers::{Nats, NatsOptions, nats, nats_with};
use serde_json::Value;

use crate::place::Place;

/// A place whose log lies on the server.
fn place(nats: &Nats) -> Place {
    let place = Place::empty();
    let toml = format!(
        "[log]\nservers = [\"{}\"]\nmonitors = [\"{}\"]\nmax_bytes = 67108864\n",
        nats.url(),
        nats.monitor(0)
    );
    std::fs::write(place.path().join("mirage.toml"), toml).unwrap();
    place
}

/// A node in a process of its own, killed when dropped.
struct Serving(Child);

impl Serving {
    /// Runs until it says where it listens.
    fn begin(place: &Place, roles: &str) -> Self {
        let mut command = place.command(&["serve", "--role", roles, "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let listens = said.any(|line| line.unwrap().contains("/readyz"));
        assert!(listens, "{:?}", child.wait());
        // Who no longer listens must not stop the one that speaks.
        std::thread::spawn(move || said.for_each(drop));
        Self(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn checks(place: &Place) -> Vec<Value> {
    let ran = place.run(&["doctor", "-o", "jsonl"]);
    let lines = ran.out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn check<'c>(checks: &'c [Value], name: &str) -> &'c Value {
    let found = checks.iter().find(|check| check["check"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {checks:?}"))
}

#[test]
fn nodes_that_serve_are_listed_with_their_roles_and_gone_ones_are_not() {
    let Some(nats) = nats(1) else { return };
    let place = place(&nats);
    assert_eq!(place.run(&["nodes", "-o", "jsonl"]).objects(), [""; 0]);
    let worker = Serving::begin(&place, "collect,project");
    let nodes = place.run(&["nodes", "-o", "jsonl"]).objects();
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    assert_eq!(nodes[0]["roles"], serde_json::json!(["collect", "project"]));
    assert_eq!(
        (&nodes[0]["tasks"], &nodes[0]["tasks_max"]),
        (&0.into(), &32.into())
    );
    assert_eq!(
        (&nodes[0]["scans_max"], &nodes[0]["version"]),
        (&0.into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert!(nodes[0]["lag"].is_u64(), "{nodes:?}");
    let found = check(&checks(&place), "nodes").clone();
    assert_eq!(found["verdict"], "warn", "{found}");
    assert_eq!(found["fix"], "mirage serve --role orchestrate");
    drop(worker);
    assert_eq!(place.run(&["nodes", "-o", "jsonl"]).objects(), [""; 0]);
}

#[test]
fn a_good_cluster_has_nothing_that_fails_and_nothing_of_a_file() {
    let Some(nats) = nats(1) else { return };
    let place = place(&nats);
    let _node = Serving::begin(&place, "all");
    let checks = checks(&place);
    assert!(
        checks.iter().all(|check| check["verdict"] != "fail"),
        "{checks:?}"
    );
    for name in [
        "server",
        "durability",
        "replicas",
        "room",
        "streams",
        "nodes",
        "log",
        "view",
        "key",
    ] {
        assert_eq!(check(&checks, name)["verdict"], "ok", "{checks:?}");
    }
    // Evidence in one machine's directory is none of a cluster.
    assert_eq!(check(&checks, "bucket")["verdict"], "warn", "{checks:?}");
    assert!(
        !checks
            .iter()
            .any(|check| check["check"] == "sqlite" || check["check"] == "anchor")
    );
    assert_eq!(place.run(&["doctor"]).code, 0);
}

#[test]
fn a_server_that_may_lose_what_it_acknowledged_fails_with_the_line_that_mends_it() {
    let weak = NatsOptions {
        sync_always: false,
        ..NatsOptions::default()
    };
    let Some(nats) = nats_with(1, &weak) else {
        return;
    };
    let place = place(&nats);
    assert_eq!(place.run(&["doctor"]).code, 1);
    let checks = checks(&place);
    let log = check(&checks, "log");
    assert_eq!(log["verdict"], "fail", "{log}");
    let fix = log["fix"].as_str().unwrap();
    assert!(fix.contains("sync_interval: always"), "{log}");
    place.run(&["nodes"]).refused(9, "log_unfit");
}

#[test]
fn a_log_in_the_data_directory_has_no_nodes() {
    let told = Place::empty().run(&["nodes"]).refused(2, "usage");
    assert!(told.contains("log.servers"), "{told}");
}

#[test]
fn a_view_whose_server_is_away_fails_and_is_not_made_anew() {
    let Some(nats) = nats(1) else { return };
    let place = place(&nats);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    for view in [
        format!("[catalog]\nurl = \"postgres://mirage@127.0.0.1:{port}/mirage\"\n"),
        format!("[graph]\nurl = \"bolt://127.0.0.1:{port}\"\n"),
        format!("[search]\nurl = \"http://127.0.0.1:{port}\"\n"),
    ] {
        let file = place.path().join("mirage.toml");
        let before = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{before}{view}")).unwrap();
        let checks = checks(&place);
        std::fs::write(&file, before).unwrap();
        let failed: Vec<&Value> = checks
            .iter()
            .filter(|check| check["verdict"] == "fail")
            .collect();
        assert_eq!(failed.len(), 1, "{checks:?}");
        let fix = failed[0]["fix"].as_str().unwrap();
        assert!(
            failed[0]["check"] == "view" && fix.contains(".url"),
            "{failed:?}"
        );
    }
}
