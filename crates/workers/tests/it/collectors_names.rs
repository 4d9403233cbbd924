//! The collectors of names against the company's DNS servers and its log of certificates.

use std::collections::BTreeSet;

use mirage_domain::entity::Kind;
use mirage_world::{Config, World};

use crate::collectors::{assert_finds_its_own, collect};

async fn world() -> World {
    World::start(Config::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_resolves_every_name_and_marks_what_is_wild() {
    let world = world().await;
    let below = |label: &str| format!("{label}.{}", world.domain());
    let mut found = BTreeSet::new();
    let known = world
        .expected()
        .only
        .iter()
        .filter(|claim| claim.kind == "domain");
    let known = known.map(|claim| claim.key.clone());
    let within = |name: &String| name.ends_with(world.domain());
    for name in known.filter(within).chain([below("www")]) {
        let collected = collect(&world, "dns", (Kind::Domain, &name), &[]).await;
        found.extend(collected.entities());
    }
    let name = below("anything.wild");
    let wild = collect(&world, "dns", (Kind::Domain, &name), &[]).await;
    found.extend(wild.entities());
    let marked = wild.findings[0].attributes.open().unwrap().read().unwrap()["wildcard"].clone();
    assert_eq!(marked, below("wild"));
    assert_finds_its_own(&world, "dns", &found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_records_reads_what_the_zone_publishes() {
    let world = world().await;
    let collected = collect(&world, "dns-records", (Kind::Domain, world.domain()), &[]).await;
    let found = collected.entities();
    assert_finds_its_own(&world, "dns-records", &found);
    let domain = world.domain();
    for record in [
        format!("dns-record:{domain} MX 10 mail.{domain}."),
        format!("dns-record:{domain} NS ns2.{domain}."),
        format!("dns-record:{domain} CAA 0 issue \"ca.example\""),
        format!("dns-record:{domain} TXT \"v=spf1 mx include:_spf.{domain} -all\""),
        format!("email:hostmaster@{domain}"),
    ] {
        assert!(found.contains(&record), "{record} is not in {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crtsh_reads_the_certificate_log() {
    let world = world().await;
    let settings = [("url", &*world.crtsh_url())];
    let collected = collect(&world, "crtsh", (Kind::Domain, world.domain()), &settings).await;
    assert_finds_its_own(&world, "crtsh", &collected.entities());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zone_gets_the_transfer_that_one_server_gives() {
    let world = world().await;
    let port = world.resolver().port().to_string();
    let settings = [("port", &*port)];
    let collected = collect(&world, "zone", (Kind::Domain, world.domain()), &settings).await;
    let found = collected.entities();
    assert_finds_its_own(&world, "zone", &found);
    let exposure = format!("exposure:zone-transfer domain {}", world.domain());
    assert!(found.contains(&exposure), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reverse_names_are_found_at_an_address_and_around_it() {
    let world = world().await;
    let pool = collect(&world, "dns", (Kind::Domain, &world.host("pool")), &[]).await;
    let address = pool.findings[0].entity().unwrap();
    let own = collect(&world, "reverse-dns", (Kind::Ip, address.key()), &[])
        .await
        .entities();
    assert_eq!(own.len(), 1, "{own:?}");
    let around = collect(&world, "reverse-sweep", (Kind::Ip, address.key()), &[])
        .await
        .entities();
    assert!(own.is_subset(&around));
    assert_finds_its_own(&world, "reverse-dns", &around);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bruteforce_guesses_the_plain_names() {
    let world = world().await;
    let collected = collect(&world, "bruteforce", (Kind::Domain, world.domain()), &[]).await;
    assert_finds_its_own(&world, "bruteforce", &collected.entities());
    let wild = world.host("wild");
    let settings = [("depth", "1")];
    let collected = collect(&world, "bruteforce", (Kind::Domain, &wild), &settings).await;
    assert!(
        collected.entities().is_empty(),
        "{:?}",
        collected.entities()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_lie_loop_or_swell_do_no_harm() {
    let config = Config {
        hostile: true,
        ..Config::default()
    };
    let world = World::start(config).await.unwrap();
    for trap in &world.expected().traps {
        for module in ["dns", "dns-records", "reverse-sweep"] {
            let address = trap.address.to_string();
            let input = match module {
                "reverse-sweep" => (Kind::Ip, &*address),
                _ => (Kind::Domain, &*trap.name),
            };
            // Silence costs three time-outs of the resolver and is tested with the probe.
            if trap.name.starts_with("silent-dns") {
                continue;
            }
            let collected = collect(&world, module, input, &[]).await;
            for finding in &collected.findings {
                let text = serde_json::to_string(finding).unwrap();
                assert!(text.is_ascii() && !text.contains("\\u"), "{text}");
            }
            let is_huge = trap.name.starts_with("huge-") && module == "dns-records";
            let is_remarked = collected
                .remarks
                .iter()
                .any(|r| r.code == "record-unreadable");
            assert_eq!(
                is_huge, is_remarked,
                "{}: {:?}",
                trap.name, collected.remarks
            );
        }
    }
    assert_eq!(world.canary(), 0);
}
