//! What a bucket gives back that is not what was put: found by its hash, and costing nothing else.

use std::sync::Arc;

use futures::TryStreamExt;
use mirage_domain::id::Digest;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;

use super::in_memory::{objects, on};
use crate::contract::workspace;
use crate::evidence::contract::made_up;
use crate::evidence::{Copying, Error, EvidenceStore, Files, copy};

/// A bucket with one pack of ten items; its path and bytes.
async fn packed() -> (Arc<InMemory>, Path, Vec<u8>) {
    let bucket = Arc::new(InMemory::new());
    let store = on(&bucket);
    for n in 0..10 {
        store.put(&workspace(), made_up(n, 100)).await.unwrap();
    }
    store.flush().await.unwrap();
    let path = objects(&bucket).await.remove(0).location;
    let bytes = bucket.get(&path).await.unwrap().bytes().await.unwrap();
    (bucket, path, bytes.into())
}

/// Which of the ten are there, damaged, missing.
async fn state(bucket: &Arc<InMemory>) -> (usize, Vec<Digest>, usize) {
    state_of(&on(bucket)).await
}

async fn state_of(store: &dyn EvidenceStore) -> (usize, Vec<Digest>, usize) {
    let (mut there, mut damaged, mut missing) = (0, Vec::new(), 0);
    for n in 0..10 {
        match store.get(&workspace(), Digest::of(&made_up(n, 100))).await {
            Ok(Some(bytes)) if bytes == made_up(n, 100) => there += 1,
            Ok(Some(_)) => panic!("other bytes"),
            Ok(None) => missing += 1,
            Err(Error::Damaged { digest, .. }) => damaged.push(digest),
            Err(error) => panic!("{error:?}"),
        }
    }
    (there, damaged, missing)
}

async fn replace(bucket: &InMemory, path: &Path, bytes: Vec<u8>) {
    bucket.put(path, bytes.into()).await.unwrap();
}

#[tokio::test]
async fn a_flipped_bit_in_an_item_is_found_by_its_hash() {
    let (bucket, path, mut bytes) = packed().await;
    let before = on(&bucket);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    replace(&bucket, &path, bytes).await;
    for store in [before, on(&bucket)] {
        let (there, damaged, missing) = state_of(&store).await;
        assert_eq!((there, damaged.len(), missing), (9, 1, 0));
    }
}

#[tokio::test]
async fn a_flipped_bit_in_the_index_of_a_pack_costs_nothing() {
    let (bucket, path, mut bytes) = packed().await;
    bytes[12 + 36 * 4 + 3] ^= 1;
    replace(&bucket, &path, bytes).await;
    assert_eq!(state(&bucket).await, (10, vec![], 0));
}

#[tokio::test]
async fn a_pack_that_was_cut_off_names_what_is_lost_and_costs_nothing_else() {
    let (bucket, path, bytes) = packed().await;
    let warm = on(&bucket);
    assert_eq!(state_of(&warm).await.0, 10);
    replace(&bucket, &path, bytes[..bytes.len() - 250].to_vec()).await;
    for store in [on(&bucket), warm] {
        let (there, damaged, missing) = state_of(&store).await;
        assert_eq!((there, damaged.len(), missing), (7, 3, 0));
    }
    replace(&bucket, &path, bytes[..100].to_vec()).await;
    let (there, damaged, missing) = state(&bucket).await;
    assert_eq!((there, damaged.len(), missing), (0, 2, 8));
}

#[tokio::test]
async fn what_was_cut_off_is_written_again() {
    let (bucket, path, bytes) = packed().await;
    replace(&bucket, &path, bytes[..bytes.len() - 250].to_vec()).await;
    let store = on(&bucket);
    for n in 0..10 {
        store.put(&workspace(), made_up(n, 100)).await.unwrap();
    }
    store.flush().await.unwrap();
    assert_eq!(state_of(&store).await, (10, vec![], 0));
    assert_eq!(objects(&bucket).await.len(), 2);
}

#[tokio::test]
async fn packs_that_are_none_cost_nothing() {
    let (bucket, path, bytes) = packed().await;
    let beside = |name: &str| {
        let folder = path.parent().unwrap();
        folder.join(name)
    };
    let mut huge = bytes[..60].to_vec();
    huge[8..12].fill(0xff);
    let mut long = bytes.clone();
    long[44..48].fill(0xff);
    for (n, bytes) in [
        (1, vec![]),
        (2, b"no pack at all".to_vec()),
        (3, huge),
        (4, long),
    ] {
        let name = uuid::Uuid::from_u128(n).to_string();
        replace(&bucket, &beside(&name), bytes).await;
    }
    replace(&bucket, &beside("readme.txt"), b"not ours".to_vec()).await;
    assert_eq!(state(&bucket).await, (10, vec![], 0));
}

#[tokio::test]
async fn a_large_object_with_other_bytes_is_said() {
    let bucket = Arc::new(InMemory::new());
    let store = on(&bucket);
    let large = store.put(&workspace(), made_up(1, 70_000)).await.unwrap();
    let path = store.bucket.large(&workspace(), large);
    replace(&bucket, &path, b"cut".to_vec()).await;
    let got = store.get(&workspace(), large).await;
    assert!(matches!(got, Err(Error::Damaged { digest, .. }) if digest == large));
    assert!(matches!(
        store.open(&workspace(), large).await,
        Err(Error::Damaged { .. })
    ));
    store.put(&workspace(), made_up(1, 70_000)).await.unwrap();
    assert!(store.get(&workspace(), large).await.unwrap().is_some());
}

#[tokio::test]
async fn a_thorough_copy_puts_damage_right_for_every_reader() {
    let (bucket, path, mut bytes) = packed().await;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    replace(&bucket, &path, bytes).await;
    let store = on(&bucket);
    let folder = tempfile::tempdir().unwrap();
    let files = Files::open(folder.path()).unwrap();
    for n in 0..10 {
        files.put(&workspace(), made_up(n, 100)).await.unwrap();
    }
    let large = files.put(&workspace(), made_up(1, 70_000)).await.unwrap();
    files.flush().await.unwrap();
    copy(&files, &store, Copying::default()).await.unwrap();
    replace(
        &bucket,
        &store.bucket.large(&workspace(), large),
        b"cut".to_vec(),
    )
    .await;
    let other = on(&bucket);
    assert_eq!(state_of(&other).await.0, 9);
    let how = Copying {
        is_thorough: true,
        ..Copying::default()
    };
    let copied = copy(&files, &store, how).await.unwrap();
    assert_eq!((copied.mended, copied.there), (2, 9));
    for store in [store, other, on(&bucket)] {
        assert_eq!(state_of(&store).await.0, 10);
        assert!(store.get(&workspace(), large).await.unwrap().is_some());
        let listed: Vec<_> = store.list(&workspace()).try_collect().await.unwrap();
        assert_eq!(listed.len(), 11);
    }
}
