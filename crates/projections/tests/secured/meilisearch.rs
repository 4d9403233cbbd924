//! A search server behind TLS, and a key that it does not know; it knows no more than that.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use mirage_projections::meilisearch::{Fault, Meilisearch, Options};
use mirage_projections::{Cause, Error, Home};
use mirage_servers::{Authority, Identity, overhear, whole};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{SECRET, WRONG, refused, view};

/// Answers as a server does to a good key, an old version, and to any other one, that it is refused.
fn answer(stream: impl Read + Write) {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match stream.read_line(&mut head) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let is_known = head
        .to_lowercase()
        .contains(&format!("authorization: bearer {SECRET}\r\n"));
    let (status, body) = match is_known {
        true => (
            "200 OK",
            r#"{"pkgVersion":"1.0.0","commitSha":"","commitDate":""}"#,
        ),
        false => (
            "403 Forbidden",
            r#"{"message":"The key is invalid.","code":"invalid_api_key","type":"auth","link":""}"#,
        ),
    };
    let size = body.len();
    let _ = write!(
        stream.get_mut(),
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {size}\r\nconnection: close\r\n\r\n{body}"
    );
    let _ = stream.get_mut().flush();
}

/// A server for as long as the process lives; its port.
pub(super) fn serve(own: Option<&Identity>) -> u16 {
    let tls = own.map(|own| {
        let chain = CertificateDer::pem_file_iter(&own.certificate).unwrap();
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&own.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        Arc::new(config.with_single_cert(chain, key).unwrap())
    });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            match &tls {
                None => answer(stream),
                Some(tls) => {
                    let session = ServerConnection::new(tls.clone()).unwrap();
                    answer(StreamOwned::new(session, stream));
                }
            }
        }
    });
    port
}

fn options(url: String, key: &str) -> Options {
    Options {
        patience: Duration::from_millis(100),
        ..Options::new(url, Some(key.to_owned()))
    }
}

fn home(options: Options) -> Meilisearch {
    assert!(!format!("{options:?}").contains(WRONG));
    Meilisearch::new(options).unwrap()
}

/// The key was taken, and what was asked after it.
fn is_known(home: &Meilisearch) {
    let Err(error) = home.open(view("search")) else {
        panic!("of so old a version it was opened");
    };
    let is_old = matches!(
        &error,
        Error::Open {
            source: Cause::Meilisearch(Fault::Old { .. }),
            ..
        }
    );
    assert!(is_old, "{}", whole(&error));
}

#[test]
fn a_key_is_shown_and_a_wrong_one_says_what_to_correct() {
    let heard = overhear();
    let url = format!("http://127.0.0.1:{}", serve(None));
    is_known(&home(options(url.clone(), SECRET)));
    let wrong = home(options(url.clone(), WRONG));
    refused(&wrong, "search", &["correct `search.key`"]);
    let with_user = url.replace("http://", &format!("http://{WRONG}@"));
    let error = Meilisearch::new(options(with_user, SECRET)).unwrap_err();
    let said = whole(&error);
    assert!(
        said.contains("`search.key`") && !said.contains(WRONG),
        "{said}"
    );
    for unfit in ["\n", "\r\nx: y", " ", "\0", "é"] {
        let unfit = options(url.clone(), &format!("{WRONG}{unfit}"));
        let error = Meilisearch::new(unfit).unwrap_err();
        let said = whole(&error);
        assert!(
            said.contains("`search.key`") && !said.contains(WRONG),
            "{said}"
        );
    }
    heard.holds_no(SECRET);
    heard.holds_no(WRONG);
}

#[test]
fn a_server_behind_tls_is_trusted_by_its_authority_and_its_name() {
    let heard = overhear();
    let (authority, other) = (Authority::new(), Authority::new());
    let port = serve(Some(&authority.server()));
    let trusting = |url: &str, ca| Options {
        ca,
        ..options(format!("{url}:{port}"), SECRET)
    };
    let ca = Some(authority.file());
    is_known(&home(trusting("https://localhost", ca.clone())));
    for unknown in [None, Some(other.file())] {
        let unknown = home(trusting("https://localhost", unknown));
        refused(&unknown, "search", &["no TLS", "`search.ca`"]);
    }
    let elsewhere = authority.signed("elsewhere", &["elsewhere.example"]);
    let named = Options {
        ca: ca.clone(),
        ..options(
            format!("https://localhost:{}", serve(Some(&elsewhere))),
            SECRET,
        )
    };
    refused(&home(named), "search", &["another name", "`search.url`"]);
    let in_the_clear = Options {
        ca: ca.clone(),
        ..options(format!("https://localhost:{}", serve(None)), SECRET)
    };
    refused(&home(in_the_clear), "search", &["does not speak TLS"]);
    let contrary = Meilisearch::new(trusting("http://localhost", ca)).unwrap_err();
    assert!(contrary.to_string().contains("`search.ca`"), "{contrary}");
    let absent = trusting("https://localhost", Some("absent.pem".into()));
    let absent = Meilisearch::new(absent).unwrap_err().to_string();
    assert!(absent.contains("`search.ca` names absent.pem"), "{absent}");
    heard.holds_no(SECRET);
}
