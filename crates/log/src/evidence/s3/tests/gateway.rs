//! The contract on a real gateway, and what one does: it refuses, dies, hangs, comes back.

use std::io::{Cursor, Read};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use mirage_domain::id::Digest;

use super::super::{Options, PATIENCE, S3};
use super::local;
use crate::contract::workspace;
use crate::evidence::contract::made_up;
use crate::evidence::{Error, EvidenceStore, contract};
use mirage_servers::S3 as Gateway;

/// Long enough for an answer of a busy machine, short enough to wait for none.
const SHORT: Duration = Duration::from_millis(1500);

pub(super) fn options(gateway: &Gateway, patience: Duration) -> Options {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Options {
        region: gateway.region().to_owned(),
        bucket: gateway.bucket().to_owned(),
        patience,
        ..local(
            &gateway.endpoint(),
            gateway.access_key(),
            gateway.secret_key(),
        )
    }
}

async fn open(gateway: &Gateway, patience: Duration) -> S3 {
    S3::open(&options(gateway, patience)).await.unwrap()
}

async fn fresh() -> Option<(S3, Gateway)> {
    let gateway = mirage_servers::s3()?;
    let store = open(&gateway, PATIENCE).await;
    Some((store, gateway))
}

contract::suite!(fresh);

#[tokio::test]
async fn what_cannot_be_used_is_said_at_once() {
    let Some(gateway) = mirage_servers::s3() else {
        return;
    };
    let right = options(&gateway, SHORT);
    let wrong_key = Options {
        access_key: "nobody".into(),
        ..right.clone()
    };
    let wrong_secret = Options {
        secret_key: "wrong".into(),
        ..right.clone()
    };
    for (options, code) in [(wrong_key, ""), (wrong_secret, "SignatureDoesNotMatch")] {
        let refused = S3::open(&options).await.err().unwrap();
        let said = refused.to_string();
        let is_said = matches!(refused, Error::Denied { .. }) && said.contains(code);
        assert!(is_said && !refused.may_retry(), "{said}");
    }
    let elsewhere = Options {
        bucket: "nowhere".into(),
        ..right.clone()
    };
    let refused = S3::open(&elsewhere).await.err().unwrap().to_string();
    assert!(refused.contains("NoSuchBucket"), "{refused}");
    gateway.kill();
    let gone = S3::open(&right).await.err().unwrap();
    assert!(
        matches!(gone, Error::Unreachable(_)) && gone.may_retry(),
        "{gone:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_kills_of_the_gateway() {
    let Some((store, gateway)) = fresh().await else {
        return;
    };
    let acknowledged = Mutex::new(Vec::new());
    let item = |n: u64| match n % 20 {
        0 => made_up(n, 70_000),
        _ => made_up(n, 300),
    };
    let put = async |n: u64| {
        let digest = loop {
            match store.put(&workspace(), item(n)).await {
                Ok(digest) => break digest,
                Err(error) => assert!(error.may_retry(), "{error:?}"),
            }
        };
        while let Err(error) = store.flush().await {
            assert!(error.may_retry(), "{error:?}");
        }
        let mut acknowledged = acknowledged.lock().unwrap();
        acknowledged.push((n, digest));
        if acknowledged.len() % 60 == 30 {
            gateway.kill();
            gateway.restart();
        }
    };
    stream::iter(0..200).for_each_concurrent(8, put).await;
    gateway.restart();
    let after = open(&gateway, PATIENCE).await;
    let acknowledged = acknowledged.into_inner().unwrap();
    assert_eq!(acknowledged.len(), 200);
    for (n, digest) in acknowledged {
        let got = after.get(&workspace(), digest).await.unwrap();
        assert!(got == Some(item(n)), "item {n}");
    }
    let listed: Vec<_> = after.list(&workspace()).try_collect().await.unwrap();
    assert_eq!(listed.len(), 200);
}

#[tokio::test]
async fn a_gateway_that_hangs_is_an_error_in_time_and_nothing_is_lost() {
    let Some(gateway) = mirage_servers::s3() else {
        return;
    };
    let store = open(&gateway, SHORT).await;
    store.put(&workspace(), b"before".to_vec()).await.unwrap();
    store.flush().await.unwrap();
    gateway.stop();
    let (mut put, mut hung) = (Vec::new(), None);
    // A process is stopped when one of its threads is told so, which a busy machine may put off.
    let stopped = Instant::now();
    while hung.is_none() {
        assert!(stopped.elapsed() < 10 * SHORT, "acknowledged by nobody");
        let item = put.len().to_be_bytes().to_vec();
        put.push(store.put(&workspace(), item).await.unwrap());
        hung = store.flush().await.err();
    }
    assert!(hung.is_some_and(|error| error.may_retry()));
    let read = store.get(&workspace(), Digest::of(b"before")).await;
    assert!(matches!(read, Err(Error::Unreachable(_))), "{read:?}");
    gateway.cont();
    store.flush().await.unwrap();
    let other = open(&gateway, PATIENCE).await;
    for digest in put {
        assert!(other.get(&workspace(), digest).await.unwrap().is_some());
    }
}

/// Kills the gateway when so many bytes were asked for.
struct Deadly {
    bytes: Cursor<Vec<u8>>,
    after: u64,
    gateway: Arc<Gateway>,
}

impl Read for Deadly {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.bytes.position() >= self.after {
            self.gateway.kill();
        }
        self.bytes.read(into)
    }
}

#[tokio::test]
async fn an_upload_that_was_cut_off_is_not_there() {
    let Some(gateway) = mirage_servers::s3() else {
        return;
    };
    let gateway = Arc::new(gateway);
    let store = open(&gateway, SHORT).await;
    let bytes = made_up(1, 70 * 1024 * 1024);
    let digest = Digest::of(&bytes);
    let reader = Deadly {
        bytes: Cursor::new(bytes.clone()),
        after: 60 * 1024 * 1024,
        gateway: gateway.clone(),
    };
    let len = bytes.len() as u64;
    let cut = store.bucket.keep(&workspace(), digest, reader, len).await;
    assert!(cut.unwrap_err().may_retry());
    gateway.restart();
    assert_eq!(store.get(&workspace(), digest).await.unwrap(), None);
    let listed: Vec<_> = store.list(&workspace()).try_collect().await.unwrap();
    assert!(listed.is_empty());
    let whole = Cursor::new(bytes);
    let put = store.bucket.keep(&workspace(), digest, whole, len).await;
    put.unwrap();
    assert!(store.open(&workspace(), digest).await.unwrap().is_some());
}
