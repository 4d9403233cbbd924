//! A server that answers only errors: tried again a bounded number of times, then said.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::{Options, S3};
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
            endpoint: Some(address),
            region: "us-east-1".into(),
            bucket: "evidence".into(),
            prefix: String::new(),
            access_key: "key".into(),
            secret_key: "secret".into(),
            session_token: None,
            ca: None,
            is_path_style: true,
            allows_http: true,
            index: None,
            patience: Duration::from_millis(700),
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
