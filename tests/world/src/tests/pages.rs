//! Web, TLS and the certificate log.

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// The whole answer to one HTTP/1.1 request, as text where it is text.
async fn get(world: &World, at: Ipv4Addr, host: &str, path: &str, more: &str) -> (String, Vec<u8>) {
    let words = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n");
    let answer = talk((at, world.ports().http).into(), &words).await;
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap();
    (
        String::from_utf8(answer[..end].to_vec()).unwrap(),
        answer[end + 4..].to_vec(),
    )
}

/// A handshake that trusts the world's CA alone.
async fn handshake(
    world: &World,
    at: Ipv4Addr,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(world.ca_file()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect((at, world.ports().https)).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[tokio::test]
async fn the_public_site_names_what_each_collector_reads() {
    let world = peaceful().await;
    let pool = address(&world, "pool");
    let (head, body) = get(&world, pool, "www.mirage-corp.example", "/", "").await;
    let body = String::from_utf8(body).unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("server: nginx/1.25.3"),
        "{head}"
    );
    assert!(head.contains(&world.host("cdn")), "{head}");
    assert!(body.contains("<title>Mirage Corp - Home</title>"), "{body}");
    assert!(
        body.contains(&world.host("shop")) && body.contains(&world.host("forms")),
        "{body}"
    );
    let again = get(&world, pool, "www.mirage-corp.example", "/", "").await;
    assert_eq!((head, body.into_bytes()), again);
}

#[tokio::test]
async fn the_apex_sends_to_the_public_site_over_https() {
    let world = peaceful().await;
    let (head, _) = get(&world, address(&world, ""), world.domain(), "/", "").await;
    let target = format!(
        "location: https://www.mirage-corp.example:{}/",
        world.ports().https
    );
    assert!(
        head.starts_with("HTTP/1.1 301") && head.contains(&target),
        "{head}"
    );
}

#[tokio::test]
async fn a_machine_serves_its_own_names_and_no_others() {
    let world = peaceful().await;
    let shop = world.host("shop");
    let (head, _) = get(&world, address(&world, "shop"), &shop, "/", "").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (head, _) = get(&world, address(&world, "vpn"), &shop, "/", "").await;
    assert!(head.starts_with("HTTP/1.1 421"), "{head}");
    let (_, body) = get(&world, address(&world, "shop"), "127.20.0.53:80", "/", "").await;
    assert!(String::from_utf8(body).unwrap().contains(&shop));
    let (head, _) = get(&world, address(&world, "shop"), &shop, "/nothing", "").await;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
}

#[tokio::test]
async fn coded_pages_come_coded_only_to_those_who_accept_it() {
    let world = peaceful().await;
    let (pool, www) = (address(&world, "pool"), "www.mirage-corp.example");
    let (head, gzip) = get(&world, pool, www, "/news", "accept-encoding: gzip, br\r\n").await;
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&gzip[..])
        .read_to_string(&mut text)
        .unwrap();
    assert!(text.contains(&world.host("press")), "{text}");
    let (head, brotli) = get(
        &world,
        pool,
        www,
        "/careers",
        "accept-encoding: gzip, br\r\n",
    )
    .await;
    assert!(head.contains("content-encoding: br"), "{head}");
    let mut text = Vec::new();
    brotli::BrotliDecompress(&mut &brotli[..], &mut text).unwrap();
    assert!(
        String::from_utf8(text)
            .unwrap()
            .contains(&world.host("jobs"))
    );
    let (head, plain) = get(&world, pool, www, "/news", "").await;
    assert!(!head.contains("content-encoding"), "{head}");
    assert!(
        String::from_utf8(plain)
            .unwrap()
            .contains(&world.host("press"))
    );
}

#[tokio::test]
async fn refused_requests_are_as_many_as_were_asked_for() {
    let world = peaceful().await;
    world.refuse_http(1);
    for status in ["HTTP/1.1 503", "HTTP/1.1 200"] {
        let (head, _) = get(&world, address(&world, "vpn"), &world.host("vpn"), "/", "").await;
        assert!(head.starts_with(status), "{head}");
    }
    assert_eq!(world.counts().http, 2);
}

#[tokio::test]
async fn certificates_verify_against_the_ca_file_and_h2_serves_the_page() {
    let world = peaceful().await;
    let stream = handshake(&world, address(&world, "pool"), "www.mirage-corp.example")
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    assert_eq!(chain.len(), 2);
    assert_eq!(
        chain[0].as_ref(),
        world.chain(Some("www.mirage-corp.example"))[0]
    );
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let uri = format!(
        "https://www.mirage-corp.example:{}/team",
        world.ports().https
    );
    let request = http::Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(
        String::from_utf8(body.to_vec())
            .unwrap()
            .contains("press-office@")
    );
    connection.abort();
    assert_eq!(world.counts().tls, 1);
}

#[tokio::test]
async fn bad_certificates_are_bad_and_all_others_are_good() {
    let world = peaceful().await;
    for label in ["expired", "selfsigned"] {
        let shaken = handshake(&world, address(&world, label), &world.host(label)).await;
        assert!(shaken.is_err(), "{label}");
    }
    for host in world
        .facts
        .company
        .hosts
        .iter()
        .filter(|host| host.door != names::Door::Nobody)
    {
        let is_bad = [world.host("expired"), world.host("selfsigned")].contains(&host.name);
        assert_eq!(
            handshake(&world, host.address, &host.name).await.is_ok(),
            !is_bad,
            "{host:?}"
        );
    }
}

#[tokio::test]
async fn the_world_shows_as_many_certificates_as_it_says() {
    let world = peaceful().await;
    let hosts = world.facts.company.hosts.iter();
    let mut names: Vec<Option<String>> = hosts
        .filter(|host| host.door != names::Door::Nobody)
        .map(|host| Some(host.name.clone()))
        .collect();
    assert_eq!(names.len(), world.expected().hosts);
    names.extend([
        None,
        Some(world.facts.company.front()),
        Some("x.wild.mirage-corp.example".into()),
    ]);
    names.push(Some("www.mirage-corp.example".into()));
    let chains = names.iter().flat_map(|name| world.chain(name.as_deref()));
    let different: std::collections::HashSet<Vec<u8>> = chains.collect();
    assert_eq!(different.len(), world.expected().certificates);
}

#[tokio::test]
async fn certificates_name_what_only_they_know() {
    let world = peaceful().await;
    let names = |name: Option<&str>| {
        let der = world.chain(name).remove(0);
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        let names = certificate
            .subject_alternative_name()
            .unwrap()
            .unwrap()
            .value
            .general_names
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ");
        format!("{} {names}", certificate.subject())
    };
    assert!(names(None).contains(&world.host("edge")));
    let company = names(Some("www.mirage-corp.example"));
    for part in [&world.host("api"), tls::ORGANIZATION, &tls::contact()] {
        assert!(company.contains(part), "{company}");
    }
}

#[tokio::test]
async fn the_log_lists_every_numbered_host_and_answers_for_this_domain_only() {
    let world = peaceful().await;
    let url = world.crtsh_url().replace("{domain}", world.domain());
    let path = &url[url.find("/?").unwrap()..];
    let server = (CRTSH, world.ports().crtsh).into();
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: crt\r\nconnection: close\r\n\r\n");
    let answer = String::from_utf8(talk(server, &ask(path)).await).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let entries: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
    let names: Vec<&str> = entries
        .iter()
        .flat_map(|entry| entry["name_value"].as_str().unwrap().lines())
        .collect();
    for (_, name) in world.expected().of("crtsh") {
        assert!(names.contains(&name), "{name}");
    }
    assert!(names.iter().any(|name| name.starts_with("*.")));
    assert!(names.contains(&"admin@mirage-corp.example"));
    assert!(
        entries
            .iter()
            .any(|entry| entry["entry_timestamp"].is_null())
    );
    let other =
        String::from_utf8(talk(server, &ask("/?q=%25.example.org&output=json")).await).unwrap();
    assert!(other.ends_with("\r\n\r\n[]"), "{other}");
}
