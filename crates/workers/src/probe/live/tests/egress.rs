//! The egress policy from outside: whatever leads to a refused address, no connection is made.

use super::dns::{self, response};
use super::web::{self, canary, nowhere, page, redirect};
use super::*;

/// A policy without exceptions; a port is all that a canary has of its own.
fn strict(resolver: SocketAddr) -> Policy {
    Policy {
        allow_private: Vec::new(),
        ..policy(resolver)
    }
}

/// Hosts that lead to 127.0.0.1 or to another refused address, in spellings that URL parsers take.
fn spellings() -> Vec<String> {
    let mut hosts: Vec<String> = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7F.1",
        "0x7f.0.0.1",
        "0177.1",
        "0177.0.0.01",
        "017700000001",
        "127.0.0.1.",
        "127.000.000.001",
        "0x7f.0x0.0x0.0x1",
        "0",
        "0.0.0.0",
        "0x0",
        "00.0.0.0",
        "１２７.0.0.1",
        "127。0。0。1",
        "127．0．0．1",
        "①②⑦.0.0.1",
        "%31%32%37.0.0.1",
        "127.0.0.%31",
        "169.254.169.254",
        "0xa9fea9fe",
        "2852039166",
        "0xa9.254.0251.0xfe",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2002:7f00:0001::1]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd12:3456::1]",
        "[ff02::1]",
        "[fec0::1]",
        "[64:ff9b:1::7f00:1]",
        "[2001:0:7f00:1::]",
    ]
    .map(str::to_owned)
    .to_vec();
    for (first, second) in [
        (10, 0),
        (100, 64),
        (100, 127),
        (127, 255),
        (172, 16),
        (172, 31),
        (192, 168),
        (198, 18),
        (198, 19),
        (224, 0),
        (239, 1),
        (240, 0),
        (255, 255),
    ] {
        let number = u32::from_be_bytes([first, second, 1, 2]);
        hosts.push(format!("{first}.{second}.1.2"));
        hosts.push(format!("{number}"));
        hosts.push(format!("{number:#x}"));
        hosts.push(format!("{number:#X}").replace("0X", "0x"));
        hosts.push(format!("0{number:o}"));
        hosts.push(format!("{first}.{}", number & 0x00ff_ffff));
        hosts.push(format!("{first:#x}.{second}.0x102"));
        hosts.push(format!("0{first:o}.0{second:o}.01.02"));
        hosts.push(format!("[::ffff:{first}.{second}.1.2]"));
        hosts.push(format!("[64:ff9b::{first}.{second}.1.2]"));
        hosts.push(format!(
            "[2002:{:x}:{:x}::1]",
            number >> 16,
            number & 0xffff
        ));
    }
    hosts
}

#[tokio::test]
async fn no_spelling_of_a_refused_address_is_connected() {
    let (canary, world) = (canary().await, world(strict(nowhere())).await);
    let hosts = spellings();
    assert!(hosts.len() >= 180, "{}", hosts.len());
    for host in &hosts {
        for user in ["", "user:pass@", "1.1.1.1@"] {
            let url = format!("http://{user}{host}:{}/", canary.at.port());
            let failed = world.probe.http(HttpRequest::get(&url)).await.unwrap_err();
            assert_eq!(failed.reason(), "forbidden", "{url}: {failed}");
        }
    }
    assert_eq!(canary.accepted(), 0);
    assert_eq!(world.probe.cost(), (0, 0));
    assert!(!world.probe.refusals().is_empty());
}

#[tokio::test]
async fn no_redirect_leads_to_a_refused_address() {
    let canary = canary().await;
    let port = canary.at.port();
    let hosts = Arc::new(spellings());
    let locations = hosts.clone();
    let server = web::serve(move |path, _| {
        let mut parts = path.trim_start_matches('/').split('-');
        let index: usize = parts.next().unwrap().parse().unwrap();
        let scheme = if parts.next() == Some("bare") {
            "//"
        } else {
            "http://"
        };
        redirect(&format!("{scheme}{}:{port}/", locations[index]))
    })
    .await;
    // The server itself stands on loopback: it alone is allowed, as an address of its own.
    let mut policy = strict(nowhere());
    policy.allow_private = vec!["127.0.0.1/32".parse().unwrap()];
    policy.rate_per_host = 0;
    let world = world(policy).await;
    for (index, host) in hosts.iter().enumerate() {
        let url = url::Url::parse(&format!("http://{host}:{port}/")).unwrap();
        if world.probe.addresses(url.host_str().unwrap()).await.is_ok() {
            // A spelling of the one address that is allowed here.
            continue;
        }
        for form in ["full", "bare"] {
            let url = server.url(&format!("/{index}-{form}"));
            let failed = world.probe.http(HttpRequest::get(&url)).await.unwrap_err();
            assert_eq!(failed.reason(), "forbidden", "{host}: {failed}");
        }
    }
    let refused = world.probe.refusals();
    assert!(refused.len() > 300, "{}", refused.len());
    assert_eq!(canary.accepted(), 0);
}

#[tokio::test]
async fn no_dns_answer_leads_to_a_refused_address() {
    let server = dns::serve(|query, _| {
        let name = query.queries[0].name().to_ascii().to_lowercase();
        let kind = query.queries[0].query_type();
        let records: &[(&str, &str)] = match (name.split('.').next().unwrap(), kind) {
            ("loopback", RecordType::A) => &[("A", "127.0.0.1")],
            ("alias", RecordType::A) => &[("CNAME", "localhost."), ("A", "127.0.0.1")],
            ("six", RecordType::AAAA) => &[("AAAA", "::1")],
            ("mapped", RecordType::AAAA) => &[("AAAA", "::ffff:127.0.0.1")],
            ("metadata", RecordType::A) => &[("A", "169.254.169.254")],
            ("mixed", RecordType::A) => &[("A", "127.0.0.1"), ("A", "192.0.2.1")],
            _ => &[],
        };
        vec![response(query, records).to_vec().unwrap()]
    })
    .await;
    let (canary, world) = (canary().await, world(strict(server.at)).await);
    for name in ["loopback", "alias", "six", "mapped", "metadata"] {
        let url = format!("http://{name}.example:{}/", canary.at.port());
        let failed = world.probe.http(HttpRequest::get(url)).await.unwrap_err();
        assert_eq!(failed.reason(), "forbidden", "{name}: {failed}");
    }
    let mixed = world.probe.addresses("mixed.example").await.unwrap();
    assert_eq!(mixed, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    let refused = world.probe.refusals();
    assert!(refused.contains(&("loopback".into(), "mixed.example 127.0.0.1".into())));
    let none = world.probe.addresses("none.example").await.unwrap_err();
    assert_eq!(none, CollectError::Unavailable("no address".into()));
    assert_eq!(canary.accepted(), 0);
}

#[tokio::test]
async fn every_way_to_connect_is_judged() {
    let (canary, world) = (canary().await, world(strict(nowhere())).await);
    let mut request = HttpRequest::get("http://example.com/");
    request.connect = Some(canary.at.ip());
    let outcomes = [
        world.probe.http(request).await.err(),
        world.probe.tcp(canary.at).await.err(),
        world.probe.tls(canary.at, Some("example.com")).await.err(),
        world.probe.transfer("example.com", canary.at).await.err(),
        world.probe.addresses("127.0.0.1").await.err(),
    ];
    for outcome in outcomes {
        assert_eq!(outcome, Some(CollectError::Forbidden("loopback".into())));
    }
    assert_eq!(canary.accepted(), 0);
    assert_eq!(world.probe.refusals().len(), 5);
}

#[tokio::test]
async fn a_name_is_contacted_at_its_first_address_with_its_own_name() {
    let server = web::serve(|_, _| page("200 OK", &[], b"x")).await;
    let resolver = dns::serve(|query, _| {
        let records: &[(&str, &str)] = match query.queries[0].query_type() {
            RecordType::A => &[("A", "127.0.0.2"), ("A", "127.0.0.1")],
            _ => &[],
        };
        vec![response(query, records).to_vec().unwrap()]
    })
    .await;
    let world = world(policy(resolver.at)).await;
    let url = format!("http://www.example:{}/", server.at.port());
    let found = world.probe.http(HttpRequest::get(url)).await.unwrap();
    assert_eq!(found.remote, Some(server.at));
    assert!(server.heads.lock().unwrap()[0].contains("host: www.example:"));
}
