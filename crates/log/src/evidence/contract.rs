//! The suite that every store of evidence passes.
//!
//! `evidence::contract::suite!(make)`: `make` answers a future of a fresh, empty store (and whatever must live as long),
//! or of `None`, where it needs a server that is not there.

#![allow(
    clippy::unwrap_used,
    reason = "rules are tests, also where a feature compiles them"
)]

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use futures::TryStreamExt;
use mirage_domain::id::{Digest, WorkspaceId};

use super::{Copyable, Copying, Error, EvidenceStore, Files, ITEM_BYTES_MAX, copy};
use crate::contract::workspace;

type Store = Arc<dyn Copyable>;

/// The sizes around which a store may change its ways.
const SIZES: [usize; 6] = [0, 5, 64 * 1024, 64 * 1024 + 1, 1024 * 1024, 9 * 1024 * 1024];

fn other() -> WorkspaceId {
    WorkspaceId::new("other").expect("an id")
}

/// Bytes that are the same for the same arguments, and compress badly.
pub fn made_up(n: u64, bytes: usize) -> Vec<u8> {
    let mut state = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut made = Vec::with_capacity(bytes + 8);
    while made.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        made.extend_from_slice(&state.to_le_bytes());
    }
    made.truncate(bytes);
    made
}

fn items() -> Vec<Vec<u8>> {
    (0..)
        .zip(SIZES)
        .map(|(n, bytes)| made_up(n, bytes))
        .collect()
}

fn file(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

async fn listed(store: &Store, workspace: &WorkspaceId) -> Vec<Digest> {
    store.list(workspace).try_collect().await.unwrap()
}

pub async fn what_was_flushed_is_read_back_byte_for_byte(store: Store) {
    for item in items() {
        let digest = store.put(&workspace(), item.clone()).await.unwrap();
        assert_eq!(digest, Digest::of(&item));
    }
    store.flush().await.unwrap();
    for item in items() {
        let got = store.get(&workspace(), Digest::of(&item)).await.unwrap();
        assert!(got == Some(item));
    }
}

pub async fn the_same_bytes_are_one_item(store: Store) {
    for _ in 0..3 {
        for item in items() {
            store.put(&workspace(), item.clone()).await.unwrap();
            store.put(&workspace(), item).await.unwrap();
        }
        store.flush().await.unwrap();
    }
    let listed = listed(&store, &workspace()).await;
    let wanted: BTreeSet<_> = items().iter().map(|item| Digest::of(item)).collect();
    assert_eq!(listed.len(), wanted.len());
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), wanted);
}

pub async fn what_was_never_put_is_not_there(store: Store) {
    let never = Digest::of(b"never put");
    assert!(listed(&store, &workspace()).await.is_empty());
    for _ in 0..2 {
        assert_eq!(store.get(&workspace(), never).await.unwrap(), None);
        assert!(store.open(&workspace(), never).await.unwrap().is_none());
        store.put(&workspace(), b"another".to_vec()).await.unwrap();
        store.flush().await.unwrap();
    }
}

pub async fn workspaces_do_not_see_one_another(store: Store) {
    for item in items() {
        let digest = store.put(&workspace(), item).await.unwrap();
        store.flush().await.unwrap();
        assert_eq!(store.get(&other(), digest).await.unwrap(), None);
        assert!(store.open(&other(), digest).await.unwrap().is_none());
    }
    assert!(listed(&store, &other()).await.is_empty());
    let both = b"both".to_vec();
    for workspace in [workspace(), other()] {
        store.put(&workspace, both.clone()).await.unwrap();
    }
    store.flush().await.unwrap();
    assert_eq!(listed(&store, &other()).await, [Digest::of(&both)]);
}

pub async fn an_item_that_is_too_large_is_refused(store: Store) {
    let put = store.put(&workspace(), vec![0; ITEM_BYTES_MAX + 1]).await;
    assert!(matches!(put, Err(Error::TooLarge { .. })), "{put:?}");
}

pub async fn many_writers_share_flushes_and_lose_nothing(store: Store) {
    let writers = (0..50u32).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let bytes = n.to_be_bytes().to_vec();
            let digest = store.put(&workspace(), bytes).await.unwrap();
            store.flush().await.unwrap();
            store.get(&workspace(), digest).await.unwrap().unwrap()
        })
    });
    for (n, joined) in (0..50u32).zip(futures::future::join_all(writers).await) {
        assert_eq!(joined.unwrap(), n.to_be_bytes());
    }
    assert_eq!(listed(&store, &workspace()).await.len(), 50);
}

pub async fn a_file_is_kept_whole_or_not_at_all(store: Store) {
    for item in items() {
        let (put, digest) = (file(&item), Digest::of(&item));
        let before = Digest::of(b"before it changed");
        let changed = put.try_clone().unwrap();
        let refused = store.put_file(&workspace(), changed, before).await;
        assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");
        assert_eq!(store.get(&workspace(), before).await.unwrap(), None);
        for _ in 0..2 {
            let again = put.try_clone().unwrap();
            store.put_file(&workspace(), again, digest).await.unwrap();
        }
        let whole = store.get(&workspace(), digest).await.unwrap();
        assert!(whole == Some(item));
    }
}

pub async fn an_item_is_read_in_pieces_and_again(store: Store) {
    for item in items() {
        let digest = store.put(&workspace(), item.clone()).await.unwrap();
        store.flush().await.unwrap();
        let mut opened = store.open(&workspace(), digest).await.unwrap().unwrap();
        for _ in 0..2 {
            let mut read = Vec::new();
            opened.read_to_end(&mut read).unwrap();
            assert!(read == item);
            opened.rewind().unwrap();
        }
        let end = opened.seek(SeekFrom::End(0)).unwrap();
        assert_eq!(end, item.len() as u64);
    }
}

pub async fn a_copy_to_a_folder_and_back_keeps_everything(store: Store) {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path()).unwrap();
    for (workspace, n) in [(workspace(), 40), (other(), 2)] {
        for n in 0..n {
            files.put(&workspace, made_up(n, 99)).await.unwrap();
        }
        files.put(&workspace, made_up(7, 80 * 1024)).await.unwrap();
    }
    files.flush().await.unwrap();
    let how = Copying::default();
    let into = copy(&files, &*store, how).await.unwrap();
    assert_eq!((into.items, into.there), (44, 0));
    let again = copy(&files, &*store, how).await.unwrap();
    assert_eq!((again.items, again.there), (0, 44));
    let folder = tempfile::tempdir().unwrap();
    let back = Files::open(folder.path()).unwrap();
    let out = copy(&*store, &back, how).await.unwrap();
    assert_eq!((out.items, out.bytes), (44, into.bytes));
    for (workspace, n) in [(workspace(), 41), (other(), 3)] {
        let digests: Vec<_> = back.list(&workspace).try_collect().await.unwrap();
        assert_eq!(digests.len(), n);
        for digest in digests {
            assert!(back.get(&workspace, digest).await.unwrap().is_some());
        }
    }
}

/// Instantiates every rule of the contract for one store.
#[macro_export]
macro_rules! evidence_suite {
    ($make:path) => {
        $crate::evidence_suite!($make,
            what_was_flushed_is_read_back_byte_for_byte,
            the_same_bytes_are_one_item,
            what_was_never_put_is_not_there,
            workspaces_do_not_see_one_another,
            an_item_that_is_too_large_is_refused,
            many_writers_share_flushes_and_lose_nothing,
            a_file_is_kept_whole_or_not_at_all,
            an_item_is_read_in_pieces_and_again,
            a_copy_to_a_folder_and_back_keeps_everything,
        );
    };
    ($make:path, $($rule:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $rule() {
            let Some((store, _keep)) = $make().await else { return };
            $crate::evidence::contract::$rule(std::sync::Arc::new(store)).await;
        })+
    };
}
pub use crate::evidence_suite as suite;
