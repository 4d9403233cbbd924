//! A file of 200 MiB goes into a bucket and back in constant memory; alone in its process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "all of it is a test")]

use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use mirage_domain::id::{Digest, WorkspaceId};
use mirage_log::evidence::s3::Options;
use mirage_log::evidence::{EvidenceStore, S3};
use sha2::{Digest as _, Sha256};

const MIB: usize = 1024 * 1024;
const FILE_MIB: usize = 200;
/// Parts under way, twice each, and what the client keeps of them.
const MORE_MIB_MAX: usize = 100;

/// The most memory that this process ever had, in MiB.
fn peak_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: usize = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib / 1024
}

fn file() -> (std::fs::File, Digest) {
    let (mut file, mut hasher) = (tempfile::tempfile().unwrap(), Sha256::new());
    let mut piece = vec![7; MIB];
    for n in 0..FILE_MIB {
        piece[..8].copy_from_slice(&n.to_be_bytes());
        hasher.update(&piece);
        file.write_all(&piece).unwrap();
    }
    (file, Digest(hasher.finalize().into()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_goes_there_and_back_in_constant_memory() {
    let Some(gateway) = mirage_servers::s3() else {
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = Options {
        endpoint: Some(gateway.endpoint()),
        allows_http: true,
        ..Options::of(gateway.bucket(), gateway.access_key(), gateway.secret_key())
    };
    let store = Arc::new(S3::open(&options).await.unwrap());
    let workspace = WorkspaceId::new("default").unwrap();
    let (file, digest) = file();
    let before = peak_mib();
    store.put_file(&workspace, file, digest).await.unwrap();
    let mut opened = store.open(&workspace, digest).await.unwrap().unwrap();
    let bytes = opened.seek(SeekFrom::End(0)).unwrap();
    assert_eq!(bytes, (FILE_MIB * MIB) as u64);
    let more = peak_mib() - before;
    assert!(more <= MORE_MIB_MAX, "{more} MiB more");
}
