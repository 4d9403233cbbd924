//! S3: requests signed as its clients sign them.

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use mirage_servers::S3;
use sha2::{Digest, Sha256};

use crate::{Traces, http, kill};

/// One signed request (AWS Signature Version 4) to a key of the bucket, and its whole answer.
fn ask(s3: &S3, method: &str, key: &str, body: &str) -> String {
    let date = jiff::Timestamp::now()
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let endpoint = s3.endpoint();
    let host = endpoint.trim_start_matches("http://");
    let path = format!("/{}/{key}", s3.bucket());
    let hash = HEXLOWER.encode(&Sha256::digest(body));
    let signed = "host;x-amz-content-sha256;x-amz-date";
    let request = format!(
        "{method}\n{path}\n\nhost:{host}\nx-amz-content-sha256:{hash}\nx-amz-date:{date}\n\n{signed}\n{hash}"
    );
    let scope = format!("{}/{}/s3/aws4_request", &date[..8], s3.region());
    let hashed = HEXLOWER.encode(&Sha256::digest(request));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
    let secret = format!("AWS4{}", s3.secret_key()).into_bytes();
    let key = scope.split('/').fold(secret, |key, part| mac(&key, part));
    let signature = HEXLOWER.encode(&mac(&key, &text));
    let access = s3.access_key();
    let size = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {size}\r\n\
         x-amz-date: {date}\r\nx-amz-content-sha256: {hash}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential={access}/{scope}, SignedHeaders={signed}, Signature={signature}\r\n\r\n"
    );
    http(&endpoint, &(head + body))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

#[test]
fn a_server_keeps_its_objects_over_a_kill_and_wants_a_signature() {
    let Some(s3) = mirage_servers::s3() else {
        return;
    };
    assert!(ask(&s3, "PUT", "a/b", "the object").starts_with("HTTP/1.1 200"));
    kill(&s3);
    s3.restart();
    assert!(ask(&s3, "GET", "a/b", "").ends_with("the object"));
    assert!(ask(&s3, "GET", "a/c", "").starts_with("HTTP/1.1 404"));
    let unsigned = format!("GET /{}/a/b HTTP/1.0\r\n\r\n", s3.bucket());
    assert!(!http(&s3.endpoint(), &unsigned).contains("the object"));
    let traces = Traces::of([&*s3]);
    drop(s3);
    traces.are_gone();
}
