//! The collectors of registrations against the company's registries.

use mirage_domain::entity::Kind;
use mirage_domain::relation::Relation;
use mirage_world::{Config, World};

use crate::collectors::{Collected, assert_finds_its_own, collect};

async fn world() -> World {
    World::start(Config::default()).await.unwrap()
}

async fn rdap(world: &World, input: (Kind, &str)) -> Collected {
    collect(world, "rdap", input, &[("bootstrap", &world.rdap_url())]).await
}

async fn whois(world: &World, input: (Kind, &str)) -> Collected {
    let server = world.whois_server().to_string();
    let settings = [("bootstrap", &*world.rdap_url()), ("server", &*server)];
    collect(world, "whois", input, &settings).await
}

fn has_remark(collected: &Collected, code: &str) -> bool {
    collected.remarks.iter().any(|remark| remark.code == code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rdap_reads_who_registered_the_name_and_the_addresses() {
    let world = world().await;
    let of_name = rdap(&world, (Kind::Domain, world.domain())).await;
    let about = of_name.findings.iter();
    let mut about = about.filter(|finding| finding.relation == Some(Relation::About));
    let attributes = about
        .next()
        .unwrap()
        .attributes
        .open()
        .unwrap()
        .read()
        .unwrap();
    assert_eq!(attributes["expires"], "2031-02-03T04:05:06Z");
    assert_eq!(attributes["redacted"], serde_json::json!(["Tech Email"]));
    let mut found = of_name.entities();
    let pool = world.address("pool").to_string();
    found.extend(rdap(&world, (Kind::Ip, &pool)).await.entities());
    assert_finds_its_own(&world, "rdap", &found);
    let split = rdap(&world, (Kind::Ip, "127.20.3.7")).await.entities();
    assert!(split.contains("netblock:127.20.2.0/23"), "{split:?}");
    let system = rdap(&world, (Kind::AutonomousSystem, "AS64500"))
        .await
        .entities();
    assert!(
        system.contains("organization:hosting example se"),
        "{system:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whois_reads_what_rdap_has_no_server_for_and_nothing_else() {
    let world = world().await;
    let printer = world.address("printer").to_string();
    let found = whois(&world, (Kind::Ip, &printer)).await.entities();
    assert_finds_its_own(&world, "whois", &found);
    assert!(
        rdap(&world, (Kind::Ip, &printer))
            .await
            .entities()
            .is_empty()
    );
    let found = whois(&world, (Kind::Domain, "mirage-corp.test"))
        .await
        .entities();
    assert!(found.contains("organization:mirage test ltd"), "{found:?}");
    assert!(
        !found.contains("organization:registry of test"),
        "{found:?}"
    );
    let before = world.counts();
    let pool = world.address("pool").to_string();
    for input in [(Kind::Domain, world.domain()), (Kind::Ip, &pool)] {
        assert!(whois(&world, input).await.entities().is_empty());
    }
    let bootstrap_files = 2;
    assert_eq!(world.counts().tcp, before.tcp + bootstrap_files);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registries_that_mean_harm_do_none() {
    let world = world().await;
    for (name, reason) in [
        ("endless.example", "malformed"),
        ("other.example", "malformed"),
    ] {
        let collected = rdap(&world, (Kind::Domain, name)).await;
        assert_eq!(collected.outcome.unwrap_err().reason(), reason, "{name}");
        assert!(collected.findings.is_empty());
    }
    let deep = rdap(&world, (Kind::Domain, "deep.example")).await;
    assert!(has_remark(&deep, "cap-reached") && deep.findings.len() < 10);
    let wrong = rdap(&world, (Kind::Domain, "wrong.example")).await;
    assert_eq!(wrong.entities().len(), 1, "{:?}", wrong.findings);
    let none = rdap(&world, (Kind::Domain, "unregistered.example")).await;
    assert!(has_remark(&none, "not-registered") && none.entities().is_empty());
    let around = whois(&world, (Kind::Domain, "loop.test")).await;
    assert!(has_remark(&around, "referral-loop") && around.entities().is_empty());
    let endless = whois(&world, (Kind::Domain, "endless.test")).await;
    assert!(has_remark(&endless, "cap-reached") && endless.findings.len() == 1);
    let canary = whois(&world, (Kind::Domain, "canary.test")).await;
    assert_eq!(canary.outcome.unwrap_err().reason(), "forbidden");
    assert_eq!(world.canary(), 0);
}
