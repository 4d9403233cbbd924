//! A bucket behind TLS, and keys that it does not know.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use mirage_domain::id::WorkspaceId;
use mirage_log::evidence::s3::{Options, S3};
use mirage_log::evidence::{Error, EvidenceStore};
use mirage_servers::{Authority, Identity, S3 as Gateway, overhear, s3_with_tls, whole};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

const WRONG: &str = "wrong-battery-s3";

fn options(gateway: &Gateway) -> Options {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Options {
        endpoint: Some(gateway.endpoint()),
        region: gateway.region().to_owned(),
        ca: gateway.authority().map(Into::into),
        // Nobody has to be waited for.
        patience: Duration::from_secs(2),
        ..Options::of(gateway.bucket(), gateway.access_key(), gateway.secret_key())
    }
}

async fn refused(options: &Options, words: &[&str]) -> Error {
    let Err(error) = S3::open(options).await else {
        panic!("it was opened: {options:?}");
    };
    let said = whole(&error);
    for word in words {
        assert!(said.contains(word), "`{word}` is missing: {said}");
    }
    assert!(!format!("{said} {options:?}").contains(WRONG), "{said}");
    error
}

#[tokio::test]
async fn a_bucket_behind_tls_is_trusted_by_its_authority_and_its_name() {
    let heard = overhear();
    let (authority, other) = (Authority::new(), Authority::new());
    let Some(gateway) = s3_with_tls(&authority) else {
        return;
    };
    let right = options(&gateway);
    let store = S3::open(&right).await.unwrap();
    let workspace = WorkspaceId::new("default").unwrap();
    let digest = store.put(&workspace, b"seen".to_vec()).await.unwrap();
    store.flush().await.unwrap();
    let read = store.get(&workspace, digest).await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"seen"[..]));

    for ca in [None, Some(other.file())] {
        let stranger = Options {
            ca,
            ..right.clone()
        };
        let error = refused(&stranger, &["no TLS", "`evidence.ca`"]).await;
        assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    }
    let absent = Options {
        ca: Some("absent.pem".into()),
        ..right.clone()
    };
    refused(&absent, &["`evidence.ca` names absent.pem"]).await;
    let plain = Options {
        endpoint: Some(gateway.endpoint().replace("https", "http")),
        ca: None,
        allows_http: true,
        ..right.clone()
    };
    refused(&plain, &["evidence"]).await;
    let named = authority.signed("elsewhere", &["elsewhere.example"]);
    let elsewhere = Options {
        endpoint: Some(format!("https://localhost:{}", shaking_hands(&named))),
        ..right
    };
    refused(&elsewhere, &["another name", "`evidence.endpoint`"]).await;
    heard.holds_no(gateway.secret_key());
}

/// A port where nothing is done but to show this certificate.
fn shaking_hands(own: &Identity) -> u16 {
    let chain = CertificateDer::pem_file_iter(&own.certificate).unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
    let config = ServerConfig::builder().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut session = ServerConnection::new(config.clone()).unwrap();
            let _ = session.complete_io(&mut stream);
        }
    });
    port
}

#[tokio::test]
async fn a_wrong_key_says_what_to_correct() {
    let heard = overhear();
    let authority = Authority::new();
    let Some(gateway) = s3_with_tls(&authority) else {
        return;
    };
    let right = options(&gateway);
    let wrong = Options {
        secret_key: WRONG.to_owned(),
        ..right.clone()
    };
    let error = refused(&wrong, &["`evidence.secret_key`"]).await;
    assert!(!error.may_retry(), "{error:?}");
    let wrong_token = Options {
        session_token: Some(WRONG.to_owned()),
        ..right.clone()
    };
    refused(&wrong_token, &["InvalidToken"]).await;
    let elsewhere = Options {
        bucket: "nowhere".to_owned(),
        ..right
    };
    refused(&elsewhere, &["`evidence.bucket`"]).await;
    heard.holds_no(WRONG);
    heard.holds_no(gateway.secret_key());
}
