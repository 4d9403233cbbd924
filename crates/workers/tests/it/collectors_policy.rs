//! The collectors of policies, routes and places against the company's zone and files.

use std::collections::BTreeSet;

use mirage_domain::entity::Kind;
use mirage_world::{Config, World};

use crate::collectors::{assert_finds_its_own, collect};

async fn world(hostile: bool) -> World {
    let config = Config {
        hostile,
        ..Config::default()
    };
    World::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_policy_reads_who_may_send_and_what_is_wrong() {
    let world = world(false).await;
    let port = world.ports().https.to_string();
    let settings = [("tls-port", &*port)];
    let input = (Kind::Domain, world.domain());
    let apex = collect(&world, "mail-policy", input, &settings).await;
    let (sound, careless) = (apex.entities(), world.host("forms"));
    let exposed: Vec<_> = sound.iter().filter(|e| e.starts_with("exposure")).collect();
    assert!(exposed.is_empty(), "{exposed:?}");
    // The company's own authority is not one of this system's, and mail servers would not trust it either.
    let untrusted = apex.remarks.iter().find(|r| r.code == "server-unavailable");
    assert!(untrusted.is_some(), "{:?}", apex.remarks);
    let careless = collect(&world, "mail-policy", (Kind::Domain, &careless), &settings).await;
    let found = sound.union(&careless.entities()).cloned().collect();
    assert_finds_its_own(&world, "mail-policy", &found);
    for name in ["pool", "shop"] {
        let name = world.host(name);
        let quiet = collect(&world, "mail-policy", (Kind::Domain, &name), &settings).await;
        assert!(quiet.entities().is_empty(), "{name} has no mail");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_loop_or_swell_end_where_a_mail_server_would() {
    let world = world(true).await;
    for (trap, exposure, remark) in [
        ("huge-spf", None, Some("cap-reached")),
        ("spf-lookups", Some("spf-too-many-lookups"), None),
        ("spf-loop", Some("spf-invalid"), None),
    ] {
        let name = format!("{trap}.trap.{}", world.domain());
        let collected = collect(&world, "mail-policy", (Kind::Domain, &name), &[]).await;
        let found = collected.entities();
        let shown: BTreeSet<_> = found.iter().filter(|e| e.starts_with("exposure")).collect();
        let exposure = exposure.map(|rule| format!("exposure:{rule} domain {name}"));
        assert_eq!(shown, exposure.iter().collect(), "{trap}");
        let remarks: Vec<_> = collected.remarks.iter().map(|r| r.code).collect();
        assert_eq!(remarks, Vec::from_iter(remark), "{trap}");
        assert!(found.len() <= 1010, "{trap} gave {}", found.len());
    }
    assert_eq!(world.canary(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asn_reads_the_route_table_and_asks_no_one() {
    let world = world(false).await;
    let table = world.routes_file().to_str().unwrap();
    let mut found = BTreeSet::new();
    for label in ["", "printer"] {
        let address = world.address(label).to_string();
        let settings = [("table", table)];
        let collected = collect(&world, "asn", (Kind::Ip, &address), &settings).await;
        found.extend(collected.entities());
    }
    assert_finds_its_own(&world, "asn", &found);
    assert_eq!(world.counts().dns, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asn_asks_the_zones_of_origins_and_names() {
    let world = world(false).await;
    let origin = format!("origin.{}", world.asn_zone());
    let settings = [("origin-zone", &*origin), ("name-zone", world.asn_zone())];
    let collected = collect(&world, "asn", (Kind::Ip, world.mailer()), &settings).await;
    let found = collected.entities();
    let expected = [
        "netblock:198.51.100.0/24",
        "autonomous-system:AS64510",
        "autonomous-system:AS64511",
        "organization:mailer - outsourced mail gmbh",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
    // Nobody announces the company's own addresses.
    let asked = world.counts().dns;
    let own = world.address("").to_string();
    let collected = collect(&world, "asn", (Kind::Ip, &own), &settings).await;
    assert!(collected.entities().is_empty());
    assert_eq!(world.counts().dns, asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn geoip_reads_the_places_of_addresses() {
    let world = world(false).await;
    let file = world.places_file().to_str().unwrap();
    let mut found = BTreeSet::new();
    for label in ["", "printer"] {
        let address = world.address(label).to_string();
        let settings = [("database", file)];
        let collected = collect(&world, "geoip", (Kind::Ip, &address), &settings).await;
        found.extend(collected.entities());
    }
    assert_finds_its_own(&world, "geoip", &found);
}
