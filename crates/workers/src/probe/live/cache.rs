//! A scan's answers: one question is asked once, also by several at the same time.
//!
//! **Invariant:** bounded by weight; a full cache is emptied, which costs a question again and never an answer.
//! **Never:** a kept failure: whoever waited gets it, the next one asks again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use crate::collectors::CollectError;

type Cell<V> = Arc<OnceCell<Result<V, CollectError>>>;

struct Kept<K, V> {
    cells: HashMap<K, Cell<V>>,
    weight: usize,
}

pub(super) struct Cache<K, V> {
    kept: Mutex<Kept<K, V>>,
    weight_max: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// `weight_max` in whatever `make` weighs in, bytes as a rule.
    pub(super) fn new(weight_max: usize) -> Self {
        let kept = Kept {
            cells: HashMap::new(),
            weight: 0,
        };
        Self {
            kept: Mutex::new(kept),
            weight_max,
        }
    }

    /// What is known under `key`, or what `make` makes of it, with its weight; without one it is not kept.
    pub(super) async fn get(
        &self,
        key: K,
        make: impl Future<Output = Result<(V, Option<usize>), CollectError>>,
    ) -> Result<V, CollectError> {
        let cell = self.kept().cells.entry(key.clone()).or_default().clone();
        let answer = cell.get_or_init(|| async {
            let made = make.await;
            match made {
                Ok((_, Some(weight))) => self.weigh(&key, weight),
                Ok((_, None)) | Err(_) => drop(self.kept().cells.remove(&key)),
            }
            made.map(|(value, _)| value)
        });
        answer.await.clone()
    }

    fn weigh(&self, key: &K, weight: usize) {
        let mut kept = self.kept();
        kept.weight += weight;
        if kept.weight <= self.weight_max {
            return;
        }
        // What is still being asked stays, so that it is asked once.
        let is_asked = |cell: &Cell<V>| !cell.initialized() && Arc::strong_count(cell) > 1;
        kept.cells
            .retain(|other, cell| other == key || is_asked(cell));
        kept.weight = weight;
    }

    fn kept(&self) -> MutexGuard<'_, Kept<K, V>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_who_ask_at_once_get_the_answer_of_one_question() {
        let (cache, made) = (Cache::new(100), AtomicUsize::new(0));
        let ask = || {
            cache.get("key", async {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                Ok((made.fetch_add(1, Ordering::Relaxed), Some(1)))
            })
        };
        assert_eq!(tokio::join!(ask(), ask()), (Ok(0), Ok(0)));
        assert_eq!(ask().await, Ok(0));
    }

    #[tokio::test]
    async fn a_failure_and_what_has_no_weight_are_not_kept() {
        let cache = Cache::<_, u8>::new(100);
        let error = CollectError::Unavailable("x".into());
        let failed = cache.get("key", async { Err(error.clone()) }).await;
        assert_eq!(failed, Err(error));
        assert_eq!(cache.get("key", async { Ok((1, None)) }).await, Ok(1));
        assert_eq!(cache.get("key", async { Ok((2, Some(1))) }).await, Ok(2));
    }

    #[tokio::test]
    async fn a_full_cache_is_emptied() {
        let cache = Cache::new(10);
        for key in 0..20 {
            cache.get(key, async { Ok((key, Some(4))) }).await.unwrap();
        }
        assert!(cache.kept().cells.len() <= 3);
    }
}
