//! The collectors of TLS, web servers, pages and ports against the company's servers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mirage_domain::entity::Kind;
use mirage_domain::id::Digest;
use mirage_domain::relation::Relation;
use mirage_domain::scan::Outcome;
use mirage_workers::node::Caller;
use mirage_workers::orchestrate::{Ended, run};
use mirage_world::{Config, World};
use tokio_util::sync::CancellationToken;

use crate::collectors::{Collected, Scan, assert_finds_its_own};
use crate::scans::{entities, node, request};

async fn world() -> World {
    World::start(Config::default()).await.unwrap()
}

/// The world's ports as the settings of the modules that look at web servers.
fn web_ports(world: &World) -> [(&'static str, String); 2] {
    let ports = world.ports();
    [
        ("plain-ports", ports.http.to_string()),
        ("tls-ports", ports.https.to_string()),
    ]
}

/// Runs `http` on a name.
async fn visit(scan: &Scan<'_>, world: &World, name: &str) -> Collected {
    let [plain, tls] = web_ports(world);
    let settings = [(plain.0, plain.1.as_str()), (tls.0, tls.1.as_str())];
    scan.collect("http", (Kind::Domain, name), None, &settings)
        .await
}

/// Crawls from the public site as far as the links lead inside the domain: what was found, and the pages' evidence.
async fn crawl(scan: &Scan<'_>, world: &World) -> (BTreeSet<String>, Vec<(String, Digest)>) {
    let home = format!("https://www.{}:{}/", world.domain(), world.ports().https);
    let (mut due, mut known) = (vec![home.clone()], BTreeSet::from([home]));
    let (mut found, mut pages) = (BTreeSet::new(), Vec::new());
    while let Some(url) = due.pop() {
        let collected = scan.collect("crawl", (Kind::Url, &url), None, &[]).await;
        found.extend(collected.entities());
        for finding in &collected.findings {
            let entity = finding.entity().unwrap();
            if finding.relation == Some(Relation::About) {
                pages.push((url.clone(), finding.evidence[0]));
            } else if entity.kind() == Kind::Url
                && finding.scope.is_in
                && known.insert(entity.key().to_owned())
            {
                due.push(entity.key().to_owned());
            }
        }
    }
    (found, pages)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_reads_whom_certificates_name() {
    let world = world().await;
    let scan = Scan::new(&world).await;
    let port = world.ports().https.to_string();
    let by_name = (Kind::Domain, world.domain());
    let of_name = scan
        .collect("tls", by_name, None, &[("ports", &port)])
        .await;
    let mut found = of_name.entities();
    let service = found
        .iter()
        .find_map(|entity| entity.strip_prefix("service:"))
        .unwrap()
        .to_owned();
    let of_service = scan
        .collect("tls", (Kind::Service, &service), None, &[])
        .await;
    found.extend(of_service.entities());
    assert_finds_its_own(&world, "tls", &found);
    let chain = world.chain(Some(world.domain()));
    for der in chain {
        assert!(found.contains(&format!("certificate:{}", Digest::of(&der))));
    }
    let expired = world.host("expired");
    let old = scan
        .collect("tls", (Kind::Domain, &expired), None, &[("ports", &port)])
        .await;
    let attributes = old
        .findings
        .iter()
        .filter_map(|finding| Some(finding.attributes.open()?.read().unwrap()));
    let ends: BTreeSet<_> = attributes
        .filter_map(|a| Some(a.get("not_after")?.to_string()))
        .collect();
    assert!(ends.contains("\"2021-01-01T00:00:00Z\""), "{ends:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_reads_root_pages_and_where_they_lead() {
    let world = world().await;
    let scan = Scan::new(&world).await;
    let mut found = BTreeSet::new();
    for name in [
        world.domain().to_owned(),
        format!("www.{}", world.domain()),
        world.host("portal"),
    ] {
        found.extend(visit(&scan, &world, &name).await.entities());
    }
    assert_finds_its_own(&world, "http", &found);
    let home = visit(&scan, &world, &format!("www.{}", world.domain())).await;
    let titles: BTreeMap<String, String> = home
        .findings
        .iter()
        .filter_map(|finding| {
            let attributes = finding.attributes.open()?.read().unwrap();
            let title = attributes.get("title")?.as_str()?.to_owned();
            Some((finding.entity()?.key().to_owned(), title))
        })
        .collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(
        titles.values().all(|title| title == "Mirage Corp - Home"),
        "{titles:?}"
    );
    assert!(home.findings.iter().any(|f| {
        f.attributes
            .open()
            .unwrap()
            .text()
            .contains("\"favicon_sha256\":")
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ports_finds_what_is_open() {
    let world = world().await;
    let scan = Scan::new(&world).await;
    let ports = world.ports();
    let list = format!("{},{},{},1", ports.smtp, ports.banner, ports.silent);
    let mut found = BTreeSet::new();
    let (mut protocols, mut mail) = (BTreeSet::new(), String::new());
    for (kind, service) in world.expected().of("ports") {
        assert_eq!(kind, "service");
        let address = service.split(':').next().unwrap();
        let collected = scan
            .collect("ports", (Kind::Ip, address), None, &[("ports", &list)])
            .await;
        found.extend(collected.entities());
        let attributes = collected
            .findings
            .iter()
            .filter_map(|f| Some(f.attributes.open()?.read().unwrap()));
        for attributes in attributes {
            protocols.extend(attributes.get("protocol").map(ToString::to_string));
            mail.extend(attributes.get("banner").map(ToString::to_string));
        }
    }
    assert_finds_its_own(&world, "ports", &found);
    assert_eq!(found.len(), 3);
    assert_eq!(
        protocols,
        BTreeSet::from(["\"smtp\"".to_owned(), "\"ssh\"".to_owned()])
    );
    assert!(mail.contains("ESMTP Postfix"), "{mail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crawl_follows_every_kind_of_link_and_obeys_robots() {
    let world = world().await;
    let scan = Scan::new(&world).await;
    let (found, pages) = crawl(&scan, &world).await;
    assert_finds_its_own(&world, "crawl", &found);
    assert!(pages.iter().any(|(url, _)| url.ends_with("/news")));
    assert!(pages.iter().all(|(url, _)| !url.contains("/private/")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extract_reads_what_was_stored() {
    let world = world().await;
    let scan = Scan::new(&world).await;
    let (_, mut pages) = crawl(&scan, &world).await;
    let numbered = world
        .expected()
        .of("crtsh")
        .filter(|(_, key)| key.starts_with('h'));
    for (_, name) in numbered {
        let visited = visit(&scan, &world, name).await;
        for finding in visited
            .findings
            .iter()
            .filter(|f| f.relation == Some(Relation::Serves))
        {
            pages.push((
                finding.entity().unwrap().key().to_owned(),
                finding.evidence[0],
            ));
        }
    }
    let mut found = BTreeSet::new();
    for (url, evidence) in pages {
        let collected = scan
            .collect("extract", (Kind::Url, &url), Some(evidence), &[])
            .await;
        found.extend(collected.entities());
    }
    let records = scan
        .collect("dns-records", (Kind::Domain, world.domain()), None, &[])
        .await;
    for finding in records
        .findings
        .iter()
        .filter(|f| f.kind == Kind::DnsRecord)
    {
        let (key, evidence) = (finding.entity().unwrap(), Some(finding.evidence[0]));
        let collected = scan
            .collect("extract", (Kind::DnsRecord, key.key()), evidence, &[])
            .await;
        found.extend(collected.entities());
    }
    assert_finds_its_own(&world, "extract", &found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn well_known_reads_the_files_in_known_places() {
    let world = world().await;
    let scan = Scan::new(&world).await;
    let [plain, tls] = web_ports(&world);
    let settings = [(plain.0, plain.1.as_str()), (tls.0, tls.1.as_str())];
    let mut found = BTreeSet::new();
    for name in [world.domain().to_owned(), format!("www.{}", world.domain())] {
        let collected = scan
            .collect("well-known", (Kind::Domain, &name), None, &settings)
            .await;
        found.extend(collected.entities());
    }
    assert_finds_its_own(&world, "well-known", &found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_pages_harm_nobody_and_lead_nowhere() {
    let config = Config {
        hostile: true,
        ..Config::default()
    };
    let world = World::start(config).await.unwrap();
    let scan = Scan::new(&world).await;
    let traps = &world.expected().traps;
    let quick = [
        "attributes",
        "deep-html",
        "hostile-title",
        "nested-gzip",
        "redirect-",
    ];
    let traps = traps
        .iter()
        .filter(|trap| quick.iter().any(|start| trap.name.starts_with(start)));
    let mut count = 0;
    for trap in traps {
        let visited = visit(&scan, &world, &trap.name).await;
        let found = visited.entities();
        assert!(
            found.iter().any(|entity| entity.starts_with("url:")),
            "{}: {found:?}",
            trap.name
        );
        let url = format!("http://{}:{}/", trap.name, world.ports().http);
        scan.collect("crawl", (Kind::Url, &url), None, &[]).await;
        for finding in visited
            .findings
            .iter()
            .filter(|f| f.relation == Some(Relation::Serves))
        {
            let evidence = Some(finding.evidence[0]);
            scan.collect("extract", (Kind::Url, &url), evidence, &[])
                .await
                .entities();
        }
        count += 1;
    }
    assert!(count >= 12, "{count} traps");
    assert_eq!(world.canary(), 0);
}

/// Without `ports`: what accepts and stays silent would be waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_finds_by_all_of_them_together_what_each_is_there_for() {
    let world = world().await;
    let dir = tempfile::tempdir().unwrap();
    let node = node(dir.path()).await;
    let own = ["crawl", "extract", "http", "tls", "well-known"];
    let mut request = request(
        &world,
        &[&["crtsh", "dns", "dns-records"][..], &own].concat(),
    );
    let [(_, plain), (_, tls)] = web_ports(&world);
    for (key, value) in [
        ("crtsh.url", &world.crtsh_url()),
        ("http.plain-ports", &plain),
        ("http.tls-ports", &tls),
        ("tls.ports", &tls),
        ("well-known.plain-ports", &plain),
        ("well-known.tls-ports", &tls),
    ] {
        request.settings.set(key, value).unwrap();
    }
    let (scan, _) = node
        .commands
        .start(request, &Caller::user("tester"))
        .await
        .unwrap();
    let run = run(node.clone(), scan.clone(), CancellationToken::new());
    let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
    assert_eq!(ended.unwrap().unwrap(), Ended::Finished(Outcome::Completed));
    let found = entities(&node, &scan).await;
    for module in own {
        assert_finds_its_own(&world, module, &found);
    }
}
