//! TLS, ports and zone transfers.

use hickory_proto::op::ResponseCode;
use mirage_domain::module::Profile;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::super::super::replay::Replay;
use super::dns::{self, response};
use super::web::{self, listen, nowhere, page};
use super::*;

pub(super) struct Secured {
    pub(super) listener: web::Listener,
    certificate: Vec<u8>,
}

/// A self-signed server for `secure.example`; one that wants a client's certificate closes when it gets none.
pub(super) async fn secured(protocols: &[&str], wants_client: bool) -> Secured {
    let own = rcgen::generate_simple_self_signed(["secure.example".to_owned()]).unwrap();
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // In TLS 1.2 the server refuses before the client has finished, in 1.3 after.
    let only_old = [&rustls::version::TLS12];
    let versions = if wants_client {
        &only_old[..]
    } else {
        rustls::ALL_VERSIONS
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    let builder = match wants_client {
        true => builder.with_client_cert_verifier(verifier.build().unwrap()),
        false => builder.with_no_client_auth(),
    };
    let mut config = builder
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            web::head(&mut stream).await;
            let _ = stream.write_all(&page("200 OK", &[], b"secured")).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    Secured {
        listener,
        certificate: certificate.to_vec(),
    }
}

#[tokio::test]
async fn a_self_signed_chain_is_recorded() {
    let server = secured(&["http/1.1"], false).await;
    let world = world(policy(nowhere())).await;
    let at = server.listener.at;
    let shaken = world.probe.tls(at, Some("Secure.example")).await.unwrap();
    assert_eq!(shaken.chain, [server.certificate]);
    assert_eq!(shaken.version, "TLSv1.3");
    assert!(shaken.cipher.starts_with("TLS13_"), "{}", shaken.cipher);
    assert_eq!(shaken.protocol.as_deref(), Some("http/1.1"));
    assert_eq!(shaken.server_name.as_deref(), Some("secure.example"));
    let exchange = world.probe.evidence(shaken.evidence).await.unwrap();
    let replayed = Replay::new(vec![exchange])
        .tls(at, Some("secure.example"))
        .await
        .unwrap();
    assert_eq!(format!("{replayed:?}"), format!("{shaken:?}"));
    let nameless = world.probe.tls(at, None).await.unwrap();
    assert_eq!((nameless.server_name, nameless.chain.len()), (None, 1));
}

#[tokio::test]
async fn a_server_that_closes_before_the_end_has_still_shown_its_chain() {
    let server = secured(&[], true).await;
    let world = world(policy(nowhere())).await;
    let shaken = world
        .probe
        .tls(server.listener.at, Some("secure.example"))
        .await
        .unwrap();
    assert_eq!(shaken.chain, [server.certificate]);
    assert_eq!(shaken.version, "TLSv1.2");
}

#[tokio::test]
async fn a_server_without_tls_is_unavailable_and_a_silent_one_in_time() {
    let plain = web::serve(|_, _| b"SSH-2.0-x\r\n".to_vec()).await;
    let silent = listen(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let world = world(impatient(nowhere())).await;
    for server in [plain, silent] {
        let failed = world.probe.tls(server.at, None).await.unwrap_err();
        assert_eq!(failed.reason(), "unavailable");
    }
}

fn at(server: &Secured) -> HttpRequest {
    let at = server.listener.at;
    let mut request = HttpRequest::get(format!("https://secure.example:{}/", at.port()));
    request.connect = Some(at.ip());
    request
}

#[tokio::test]
async fn a_target_s_page_is_read_and_a_source_s_is_verified() {
    static SOURCE: Manifest = Manifest {
        name: "source",
        profile: Profile::Passive,
        ..Manifest::DEFAULT
    };
    let server = secured(&["http/1.1"], false).await;
    let live = Live::new(LiveConfig::default()).await.unwrap();
    let scan = live.scan(policy(nowhere()), Arc::new(Kept::default()));
    let found = scan.task(&MANIFEST).http(at(&server)).await.unwrap();
    assert_eq!(found.body, "secured");
    let failed = scan.task(&SOURCE).http(at(&server)).await.unwrap_err();
    assert_eq!(failed.reason(), "unavailable");
    assert!(failed.detail().contains("certificate"), "{failed}");
}

#[tokio::test]
async fn http_2_is_spoken_where_it_is_offered() {
    let own = rcgen::generate_simple_self_signed(["secure.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            let service = hyper::service::service_fn(|request: ::http::Request<_>| async move {
                let _: hyper::body::Incoming = request.into_body();
                let body = http_body_util::Full::new(bytes::Bytes::from_static(b"two"));
                Ok::<_, std::convert::Infallible>(::http::Response::new(body))
            });
            let io = hyper_util::rt::TokioIo::new(stream);
            let executor = hyper_util::rt::TokioExecutor::new();
            let builder = hyper::server::conn::http2::Builder::new(executor);
            let _ = builder.serve_connection(io, service).await;
        }
    })
    .await;
    let server = Secured {
        listener,
        certificate: Vec::new(),
    };
    let world = world(policy(nowhere())).await;
    let found = world.probe.http(at(&server)).await.unwrap();
    assert_eq!((found.version, &found.body[..]), ("HTTP/2", &b"two"[..]));
    // Requests at the same time share the connection that is open.
    let again = futures::future::join_all((0..8).map(|_| world.probe.http(at(&server)))).await;
    assert!(
        again
            .iter()
            .all(|page| page.as_ref().unwrap().version == "HTTP/2")
    );
    assert_eq!(server.listener.accepted(), 1);
}

#[tokio::test]
async fn an_open_port_is_told_from_a_closed_one_and_its_banner_kept() {
    let speaks = listen(|mut stream| async move {
        let _ = stream.write_all(b"SSH-2.0-x\r\n").await;
    })
    .await;
    let silent = listen(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let world = world(policy(nowhere())).await;
    let port = world.probe.tcp(speaks.at, None).await.unwrap().unwrap();
    assert_eq!(port.said, "SSH-2.0-x\r\n");
    let quiet = world.probe.tcp(silent.at, None).await.unwrap().unwrap();
    assert!(quiet.said.is_empty());
    assert_eq!(world.kept.all().len(), 2);
    let closed = speaks.at;
    drop(speaks);
    assert!(world.probe.tcp(closed, None).await.unwrap().is_none());
    assert_eq!(
        world.kept.all().len(),
        2,
        "a closed port leaves no evidence"
    );
}

const SOA: (&str, &str) = ("SOA", "ns.example. me.example. 1 2 3 4 5");

#[tokio::test]
async fn a_zone_is_transferred_over_several_messages() {
    let server = dns::serve(|query, _| {
        let parts: [&[(&str, &str)]; 3] =
            [&[SOA, ("A", "192.0.2.1")], &[("A", "192.0.2.2")], &[SOA]];
        parts
            .map(|records| response(query, records).to_vec().unwrap())
            .to_vec()
    })
    .await;
    let world = world(policy(nowhere())).await;
    let zone = world
        .probe
        .transfer("Example.com.", server.at)
        .await
        .unwrap();
    assert_eq!((zone.records.len(), zone.is_cut), (4, false));
    let exchange = world.probe.evidence(zone.evidence).await.unwrap();
    let replayed = Replay::new(vec![exchange])
        .transfer("example.com", server.at)
        .await
        .unwrap();
    assert_eq!(replayed.records, zone.records);
}

#[tokio::test]
async fn a_transfer_that_breaks_off_is_cut_and_one_that_is_declined_is_empty() {
    let broken = dns::serve(|query, _| {
        vec![
            response(query, &[SOA, ("A", "192.0.2.1")])
                .to_vec()
                .unwrap(),
        ]
    })
    .await;
    let declined = dns::serve(|query, _| {
        let mut message = response(query, &[]);
        message.metadata.response_code = ResponseCode::Refused;
        vec![message.to_vec().unwrap()]
    })
    .await;
    let world = world(policy(nowhere())).await;
    let zone = world
        .probe
        .transfer("example.com", broken.at)
        .await
        .unwrap();
    assert_eq!((zone.records.len(), zone.is_cut), (2, true));
    let zone = world
        .probe
        .transfer("example.com", declined.at)
        .await
        .unwrap();
    assert_eq!((zone.records.len(), zone.is_cut), (0, false));
}
