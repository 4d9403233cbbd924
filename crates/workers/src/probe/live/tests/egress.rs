//! The egress policy from outside: whatever leads to a refused address, no connection is made.

use super::dns::{self, response};
use super::spellings;
use super::web::{self, canary, nowhere, page, redirect};
use super::*;

/// A policy without exceptions; a port is all that a canary has of its own.
fn strict(resolver: SocketAddr) -> Policy {
    Policy {
        allow_private: Vec::new(),
        ..policy(resolver)
    }
}

#[tokio::test]
async fn no_spelling_of_a_refused_address_is_connected() {
    let (canary, world) = (canary().await, world(strict(nowhere())).await);
    let hosts = spellings::all();
    assert!(hosts.len() >= 1000, "{}", hosts.len());
    for (index, host) in hosts.iter().enumerate() {
        let user = ["", "user:pass@", "1.1.1.1@", "%31.1.1.1:80@"][index % 4];
        let url = format!("http://{user}{host}:{}/", canary.at.port());
        let failed = world.probe.http(HttpRequest::get(&url)).await.unwrap_err();
        assert_eq!(failed.reason(), "forbidden", "{url}: {failed}");
    }
    for host in spellings::NO_HOSTS {
        let url = format!("http://{host}:{}/", canary.at.port());
        let failed = world.probe.http(HttpRequest::get(&url)).await.unwrap_err();
        assert_eq!(failed.reason(), "malformed", "{url}: {failed}");
    }
    assert_eq!(canary.accepted(), 0);
    assert_eq!(world.probe.cost(), (0, 0));
    assert!(!world.probe.refusals().is_empty());
}

#[tokio::test]
async fn no_redirect_leads_to_a_refused_address() {
    let canary = canary().await;
    let port = canary.at.port();
    let hosts = Arc::new(spellings::all());
    let locations = hosts.clone();
    let server = web::serve(move |path, _| {
        let index: usize = path.trim_start_matches('/').parse().unwrap();
        let scheme = ["http:", ""][index % 2];
        redirect(&format!("{scheme}//{}:{port}/", locations[index]))
    })
    .await;
    // The server itself stands on loopback: it alone is allowed, as an address of its own.
    let mut policy = strict(nowhere());
    policy.allow_private = vec!["127.0.0.1/32".parse().unwrap()];
    policy.rate_per_host = 0;
    let world = world(policy).await;
    let mut refused = 0;
    for (index, host) in hosts.iter().enumerate() {
        let url = url::Url::parse(&format!("http://{host}:{port}/")).unwrap();
        if world.probe.addresses(url.host_str().unwrap()).await.is_ok() {
            // A spelling of the one address that is allowed here.
            continue;
        }
        let url = server.url(&format!("/{index}"));
        let failed = world.probe.http(HttpRequest::get(&url)).await.unwrap_err();
        assert_eq!(failed.reason(), "forbidden", "{host}: {failed}");
        refused += 1;
    }
    assert!(refused > 900, "{refused}");
    assert_eq!(canary.accepted(), 0);
}

#[tokio::test]
async fn no_dns_answer_leads_to_a_refused_address() {
    let hosts = spellings::all();
    let address = |host: &String| {
        let url = url::Url::parse(&format!("http://{host}/")).unwrap();
        crate::probe::addresses::literal(url.host_str().unwrap()).unwrap()
    };
    let addresses: Vec<IpAddr> = hosts.iter().map(address).collect();
    let listed = addresses.clone();
    // `aN` has the address, `cN` leads to it by another name.
    let server = dns::serve(move |query, _| {
        let name = query.queries[0].name().to_ascii().to_lowercase();
        let (way, index) = name.split('.').next().unwrap().split_at(1);
        let address = listed[index.parse::<usize>().unwrap()];
        let kind = if address.is_ipv4() { "A" } else { "AAAA" };
        let (alias, text) = (format!("a{index}.example."), address.to_string());
        let mut records = Vec::new();
        if way == "c" {
            records.push(("CNAME", alias.as_str()));
        }
        if query.queries[0].query_type().to_string() == kind {
            records.push((kind, text.as_str()));
        }
        vec![response(query, &records).to_vec().unwrap()]
    })
    .await;
    let (canary, world) = (canary().await, world(strict(server.at)).await);
    for (index, address) in addresses.iter().enumerate() {
        let way = ["a", "c"][index % 2];
        let url = format!("http://{way}{index}.example:{}/", canary.at.port());
        let failed = world.probe.http(HttpRequest::get(url)).await.unwrap_err();
        assert_eq!(failed.reason(), "forbidden", "{way} {address}: {failed}");
    }
    assert_eq!(canary.accepted(), 0);
}

#[tokio::test]
async fn of_a_name_s_addresses_the_refused_ones_are_left_out_and_named() {
    let server = dns::serve(|query, _| {
        let name = query.queries[0].name().to_ascii().to_lowercase();
        let records: &[(&str, &str)] = match (name.split('.').next(), query.queries[0].query_type())
        {
            (Some("mixed"), RecordType::A) => &[("A", "127.0.0.1"), ("A", "192.0.2.1")],
            _ => &[],
        };
        vec![response(query, records).to_vec().unwrap()]
    })
    .await;
    let world = world(strict(server.at)).await;
    let mixed = world.probe.addresses("mixed.example").await.unwrap();
    assert_eq!(mixed, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    let refused = world.probe.refusals();
    assert!(refused.contains(&("loopback".into(), "mixed.example 127.0.0.1".into())));
    let none = world.probe.addresses("none.example").await.unwrap_err();
    assert_eq!(none, CollectError::Unavailable("no address".into()));
}

#[tokio::test]
async fn every_way_to_connect_is_judged() {
    let (canary, world) = (canary().await, world(strict(nowhere())).await);
    let mut request = HttpRequest::get("http://example.com/");
    request.connect = Some(canary.at.ip());
    let line = Line {
        text: "example.com",
        bytes_max: 1,
    };
    let outcomes = [
        world.probe.http(request).await.err(),
        world.probe.tcp(canary.at, None).await.err(),
        world.probe.tcp(canary.at, Some(line)).await.err(),
        world.probe.tls(canary.at, Some("example.com")).await.err(),
        world.probe.transfer("example.com", canary.at).await.err(),
        world.probe.addresses("127.0.0.1").await.err(),
    ];
    for outcome in outcomes {
        assert_eq!(outcome, Some(CollectError::Forbidden("loopback".into())));
    }
    assert_eq!(canary.accepted(), 0);
    assert_eq!(world.probe.refusals().len(), 6);
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
