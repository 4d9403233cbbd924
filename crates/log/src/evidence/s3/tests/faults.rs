//! Servers that answer only errors, or over TLS: what is tried again, and what is trusted.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::super::{Options, S3};
use super::local;
use crate::evidence::Error;

/// Answers every request with a status; tells its address and counts.
fn answering(status: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 16 * 1024]);
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, asked)
}

#[tokio::test]
async fn an_error_of_the_server_is_tried_again_a_few_times() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (status, is_again) in [
        ("503 Slow Down", true),
        ("500 Internal", true),
        ("403 Forbidden", false),
    ] {
        let (address, asked) = answering(status);
        let options = Options {
            patience: Duration::from_millis(700),
            ..local(&address, "key", "secret")
        };
        let error = S3::open(&options).await.err().unwrap();
        assert_eq!(error.may_retry(), is_again, "{error:?}");
        assert_eq!(matches!(error, Error::Denied { .. }), !is_again);
        let asked = asked.load(Ordering::SeqCst);
        assert!(
            (1..=9).contains(&asked) && (asked > 1) == is_again,
            "{status}: {asked}"
        );
    }
}

/// Answers every request over TLS with an empty listing; tells its port and its certificate (PEM).
fn over_tls() -> (u16, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let configuration = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let configuration = Arc::new(configuration);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(configuration.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            // Who does not trust us says so here.
            let _ = stream.read(&mut [0; 16 * 1024]);
            let listing = "<ListBucketResult></ListBucketResult>";
            let length = listing.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{listing}");
            let _ = stream.write_all(answer.as_bytes());
            let _ = stream.flush();
        }
    });
    (port, made.cert.pem())
}

#[tokio::test]
async fn a_certificate_is_trusted_only_if_it_is_named() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (port, pem) = over_tls();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, pem).unwrap();
    let strange = Options {
        allows_http: false,
        patience: Duration::from_millis(700),
        ..local(&format!("https://localhost:{port}"), "key", "secret")
    };
    let refused = S3::open(&strange).await.err().unwrap();
    assert!(matches!(refused, Error::Tls { .. }), "{refused:?}");
    let trusted = Options {
        ca: Some(ca),
        ..strange
    };
    S3::open(&trusted).await.unwrap();
}
