//! TLS on the listener: plain text refused, certificates read again, clients that must show one.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use mirage_api::health;
use mirage_api::listener::{Files, Listener};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::{CancellationToken, DropGuard};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn issuer() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for localhost and its key, in PEM.
fn issue(issuer: &Issuer) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.pem(), key.serialize_pem())
}

struct Served {
    address: SocketAddr,
    files: Files,
    dir: tempfile::TempDir,
    issuer: Issuer,
    _stop: DropGuard,
}

impl Served {
    async fn new(wants_clients: bool) -> Self {
        let (dir, issuer) = (tempfile::tempdir().unwrap(), issuer());
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("ca.pem"), issuer.pem()).unwrap();
        let files = Files {
            certificate: path("certificate.pem"),
            key: path("key.pem"),
            clients: wants_clients.then(|| path("ca.pem")),
        };
        let served = Self::on(files, dir, issuer);
        served.await
    }

    async fn on(files: Files, dir: tempfile::TempDir, issuer: Issuer) -> Self {
        write(&files, &issue(&issuer));
        let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listener = Listener::tls(bound, files.clone()).unwrap();
        let (address, stop) = (listener.address(), CancellationToken::new());
        let routes = Router::new().route("/healthz", get(|| async { "ok\n" }));
        tokio::spawn(health::serve(listener, routes, stop.clone()));
        let _stop = stop.drop_guard();
        Self {
            address,
            files,
            dir,
            issuer,
            _stop,
        }
    }

    /// What a client gets that trusts the issuer: the server's certificate, and its answer.
    async fn ask(&self, shows: Option<&(String, String)>) -> std::io::Result<(Vec<u8>, String)> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates([self.issuer.der().clone()]);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shows {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(self.address).await?;
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok((shown, answer))
    }
}

fn write(files: &Files, (certificate, key): &(String, String)) {
    replace(&files.certificate, certificate);
    replace(&files.key, key);
}

/// As a careful tool does it: whole, under its name.
fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(fresh, path).unwrap();
}

#[tokio::test]
async fn a_listener_with_a_certificate_speaks_tls_alone_and_says_so_to_browsers() {
    let served = Served::new(false).await;
    let (_, answer) = served.ask(None).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("strict-transport-security: max-age=31536000"),
        "{answer}"
    );
    let mut plain = TcpStream::connect(served.address).await.unwrap();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(
        !String::from_utf8_lossy(&answer).contains("HTTP"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn who_shakes_no_hand_keeps_nobody_out() {
    let served = Served::new(false).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(served.address).await.unwrap());
    }
    assert!(
        served
            .ask(None)
            .await
            .unwrap()
            .1
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_a_restart_and_a_broken_one_never() {
    let served = Served::new(false).await;
    let (first, _) = served.ask(None).await.unwrap();
    let shown = async |is_awaited: &dyn Fn(&[u8]) -> bool| {
        let until = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let (shown, _) = served.ask(None).await.unwrap();
            if is_awaited(&shown) {
                return shown;
            }
            assert!(
                tokio::time::Instant::now() < until,
                "the certificate never changed"
            );
            tokio::task::yield_now().await;
        }
    };
    let fresh = issue(&served.issuer);
    let broken = (fresh.0.clone(), "no key".to_owned());
    write(&served.files, &broken);
    assert_eq!(shown(&|_| true).await, first);
    write(&served.files, &fresh);
    let second = shown(&|shown| shown != first).await;
    let expected = CertificateDer::from_pem_slice(fresh.0.as_bytes()).unwrap();
    assert_eq!(second, expected.to_vec());
    drop(served.dir);
}

#[tokio::test]
async fn clients_must_show_a_certificate_of_the_named_authority() {
    let served = Served::new(true).await;
    let own = issue(&served.issuer);
    assert!(
        served
            .ask(Some(&own))
            .await
            .unwrap()
            .1
            .starts_with("HTTP/1.1 200")
    );
    let foreign = issue(&issuer());
    for shows in [None, Some(&foreign)] {
        let refused = served.ask(shows).await;
        assert!(refused.is_err(), "{refused:?}");
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files {
        certificate: dir.path().join("none.pem"),
        key: dir.path().join("key.pem"),
        clients: None,
    };
    let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = Listener::tls(bound, files).err().unwrap().to_string();
    assert!(
        error.contains("serve.certificate") && error.contains("none.pem"),
        "{error}"
    );
}
