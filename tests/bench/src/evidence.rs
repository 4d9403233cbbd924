//! Evidence in a bucket of S3 beside object_store alone: the same bytes, as many in flight.
//!
//! Small items are packed by ours and are an object each for the bare client; large ones are objects for both.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use mirage_domain::id::{Digest, WorkspaceId};
use mirage_log::contract::workspace;
use mirage_log::evidence::EvidenceStore;
use mirage_log::evidence::s3::{Options, S3};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStoreExt};

use crate::row::{Row, grouped, median};

/// Requests that are in flight together.
const WINDOW: usize = 32;
const ROUNDS: usize = 5;
/// Bytes and number of the items of a round: an answer of a web server, and a file.
const SIZES: [(usize, usize, &str); 2] = [(8 << 10, 2048, "8 KiB"), (1 << 20, 64, "1 MiB")];
/// Larger ones are objects of their own.
const PACKED_BYTES_MAX: usize = 64 << 10;

pub(crate) fn run() -> Result<Vec<Row>> {
    let Some(server) = mirage_servers::s3() else {
        return Ok(Vec::new());
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(measure(&server))
}

async fn measure(server: &mirage_servers::S3) -> Result<Vec<Row>> {
    let options = Options {
        endpoint: Some(server.endpoint()),
        allows_http: true,
        ..Options::of(server.bucket(), server.access_key(), server.secret_key())
    };
    let ours = S3::open(&options).await?;
    let bare = Arc::new(bare(server)?);
    let mut rows = Vec::new();
    for (bytes, count, size) in SIZES {
        let mut rates: [Vec<f64>; 4] = Default::default();
        for round in 0..ROUNDS {
            let items: Vec<Item> = (0..count).map(|n| item(bytes, round * count + n)).collect();
            for (rates, seconds) in rates.iter_mut().zip(turn(&ours, &bare, &items).await?) {
                rates.push(count as f64 / seconds);
            }
        }
        let [put, get, bare_put, bare_get] = rates.map(median);
        let how = match bytes <= PACKED_BYTES_MAX {
            true => ("many to an object", "a range of an object"),
            false => (
                "looks first whether it is there",
                "asks for its size first, and hashes",
            ),
        };
        rows.push(row("put", size, bytes, put, bare_put).remark(how.0));
        rows.push(row("get", size, bytes, get, bare_get).remark(how.1));
    }
    Ok(rows)
}

fn bare(server: &mirage_servers::S3) -> Result<AmazonS3> {
    Ok(AmazonS3Builder::new()
        .with_region(server.region())
        .with_bucket_name(server.bucket())
        .with_access_key_id(server.access_key())
        .with_secret_access_key(server.secret_key())
        .with_virtual_hosted_style_request(false)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_endpoint(server.endpoint())
        .build()?)
}

#[derive(Clone)]
struct Item {
    digest: Digest,
    bytes: Vec<u8>,
}

/// Bytes that nobody had before.
fn item(len: usize, n: usize) -> Item {
    let mut bytes = vec![0x5a; len];
    bytes[..8].copy_from_slice(&(n as u64).to_be_bytes());
    let digest = Digest::of(&bytes);
    Item { digest, bytes }
}

/// Seconds for ours to put and to get all of them, then for the bare client.
async fn turn(ours: &S3, bare: &AmazonS3, items: &[Item]) -> Result<[f64; 4]> {
    let workspace = &workspace();
    let kept = items.to_vec();
    let begun = Instant::now();
    all(kept.into_iter().map(|item| async {
        ours.put(workspace, item.bytes).await?;
        Ok(())
    }))
    .await?;
    ours.flush().await?;
    let put = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    all(items.iter().map(|item| read(ours, workspace, item))).await?;
    let get = begun.elapsed().as_secs_f64();
    let path = |item: &Item| Path::from(format!("bare/{}", item.digest));
    let kept = items.to_vec();
    let begun = Instant::now();
    all(kept.into_iter().map(|item| async move {
        bare.put(&path(&item), item.bytes.into()).await?;
        Ok(())
    }))
    .await?;
    let bare_put = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    all(items.iter().map(|item| async move {
        let bytes = bare.get(&path(item)).await?.bytes().await?;
        ensure!(bytes.len() == item.bytes.len(), "cut off");
        Ok(())
    }))
    .await?;
    Ok([put, get, bare_put, begun.elapsed().as_secs_f64()])
}

async fn all(requests: impl Iterator<Item = impl Future<Output = Result<()>>>) -> Result<()> {
    let requests = stream::iter(requests).buffer_unordered(WINDOW);
    requests.try_for_each(|()| async { Ok(()) }).await
}

async fn read(ours: &S3, workspace: &WorkspaceId, item: &Item) -> Result<()> {
    let bytes = ours.get(workspace, item.digest).await?.context("lost")?;
    ensure!(bytes.len() == item.bytes.len(), "cut off");
    Ok(())
}

fn row(what: &str, size: &str, bytes: usize, ours: f64, bare: f64) -> Row {
    let what = format!("evidence on S3, {what} of items of {size}, {WINDOW} in flight");
    let rate = |rate: f64| {
        let mib = rate * bytes as f64 / f64::from(1 << 20);
        format!("{} objects/s, {mib:.0} MiB/s", grouped(rate))
    };
    Row {
        ours: rate(ours),
        bare: rate(bare),
        ..Row::rates(&what, "objects", (ours, bare), "–")
    }
}
