//! The contract on a bucket in memory, and what takes a look into the bucket.

use std::path::Path;
use std::sync::Arc;

use futures::TryStreamExt;
use mirage_domain::id::Digest;
use object_store::memory::InMemory;
use object_store::{ObjectMeta, ObjectStore};

use super::super::{Options, S3};
use super::local;
use crate::contract::workspace;
use crate::evidence::contract::made_up;
use crate::evidence::{EvidenceStore, contract};

pub(super) fn on(bucket: &Arc<InMemory>) -> S3 {
    S3::over(bucket.clone(), &local("http://model", "key", "secret")).unwrap()
}

fn indexed(bucket: &Arc<InMemory>, path: &Path) -> S3 {
    let options = Options {
        index: Some(path.to_owned()),
        ..local("http://model", "key", "secret")
    };
    S3::over(bucket.clone(), &options).unwrap()
}

async fn fresh() -> Option<(S3, Arc<InMemory>)> {
    let bucket = Arc::new(InMemory::new());
    Some((on(&bucket), bucket))
}

contract::suite!(fresh);

pub(super) async fn objects(bucket: &InMemory) -> Vec<ObjectMeta> {
    let mut objects: Vec<ObjectMeta> = bucket.list(None).try_collect().await.unwrap();
    objects.sort_by(|a, b| a.location.cmp(&b.location));
    objects
}

#[tokio::test]
async fn small_items_of_a_group_are_one_object_and_a_large_one_lies_under_its_hash() {
    let (store, bucket) = fresh().await.unwrap();
    for n in 0..100 {
        store.put(&workspace(), made_up(n, 700)).await.unwrap();
    }
    let large = store.put(&workspace(), made_up(1, 65_537)).await.unwrap();
    store.flush().await.unwrap();
    let names: Vec<_> = objects(&bucket)
        .await
        .into_iter()
        .map(|object| object.location.to_string())
        .collect();
    let folder = "mirage/evidence/default";
    let name = large.to_string();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&format!("{folder}/{}/{name}", &name[..2])));
    assert!(
        names
            .iter()
            .any(|name| name.starts_with(&format!("{folder}/packs/")))
    );
}

#[tokio::test]
async fn a_group_that_is_too_large_for_one_pack_is_cut() {
    let (store, bucket) = fresh().await.unwrap();
    for n in 0..200 {
        store.put(&workspace(), made_up(n, 60_000)).await.unwrap();
    }
    store.flush().await.unwrap();
    let (sizes, max) = (objects(&bucket).await, super::super::pack::OBJECT_BYTES_MAX);
    assert!(sizes.len() >= 2 && sizes.iter().all(|object| object.size <= max));
    let next = on(&bucket);
    for n in 0..200 {
        let digest = Digest::of(&made_up(n, 60_000));
        assert!(next.get(&workspace(), digest).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn two_stores_on_one_bucket_see_each_other_and_write_nothing_twice() {
    let bucket = Arc::new(InMemory::new());
    let (one, two) = (on(&bucket), on(&bucket));
    for (store, n) in [(&one, 1), (&two, 2), (&one, 3)] {
        store.put(&workspace(), made_up(n, 50)).await.unwrap();
        store.flush().await.unwrap();
    }
    for store in [&one, &two] {
        for n in 1..=3 {
            let got = store.get(&workspace(), Digest::of(&made_up(n, 50))).await;
            assert!(got.unwrap().is_some());
        }
    }
    let before = objects(&bucket).await.len();
    two.put(&workspace(), made_up(1, 50)).await.unwrap();
    two.flush().await.unwrap();
    assert_eq!(objects(&bucket).await.len(), before);
}

#[tokio::test]
async fn an_index_made_anew_from_the_packs_equals_the_one_that_grew() {
    let (bucket, dir) = (Arc::new(InMemory::new()), tempfile::tempdir().unwrap());
    let path = dir.path().join("cache/evidence.db");
    let open = || indexed(&bucket, &path);
    let places = async |store: &S3| {
        let digests: Vec<_> = store.list(&workspace()).try_collect().await.unwrap();
        let places = |digest| store.bucket.index.places(&workspace(), digest).unwrap();
        digests
            .into_iter()
            .map(|digest| (digest, places(digest)))
            .collect::<Vec<_>>()
    };
    let store = open();
    for n in 0..300 {
        store.put(&workspace(), made_up(n, 33)).await.unwrap();
        if n % 40 == 0 {
            store.flush().await.unwrap();
        }
    }
    store.flush().await.unwrap();
    let grown = places(&store).await;
    drop(store);
    assert_eq!(grown.len(), 300);
    assert_eq!(places(&open()).await, grown);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(places(&open()).await, grown);
}

#[tokio::test]
async fn a_bucket_that_lost_a_pack_gets_the_item_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let open = |bucket: &Arc<InMemory>| indexed(bucket, &path);
    let (full, empty) = (Arc::new(InMemory::new()), Arc::new(InMemory::new()));
    for bucket in [&full, &empty] {
        let store = open(bucket);
        let digest = store.put(&workspace(), b"item".to_vec()).await.unwrap();
        store.flush().await.unwrap();
        assert!(store.get(&workspace(), digest).await.unwrap().is_some());
        assert_eq!(objects(bucket).await.len(), 1);
    }
}
