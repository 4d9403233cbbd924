//! A scan's answers: one question is asked once, also by several at the same time.
//!
//! **Invariant:** bounded by weight; a full cache is emptied, which costs a question again and never an answer.
//! **Never:** a kept failure: whoever waited gets it, the next one asks again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::collectors::CollectError;

type Outcome<V> = Result<V, CollectError>;

enum Slot<V> {
    Known(V),
    /// Somebody asks; these wait for what comes.
    Asked(Vec<oneshot::Sender<Outcome<V>>>),
}

struct Kept<K, V> {
    slots: HashMap<K, Slot<V>>,
    weight: usize,
}

/// What one must do for an answer.
enum Turn<V> {
    Take(V),
    Wait(oneshot::Receiver<Outcome<V>>),
    Ask,
}

pub(super) struct Cache<K: Hash + Eq, V> {
    kept: Mutex<Kept<K, V>>,
    weight_max: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// `weight_max` in whatever `make` weighs in, bytes as a rule.
    pub(super) fn new(weight_max: usize) -> Self {
        let kept = Kept {
            slots: HashMap::new(),
            weight: 0,
        };
        Self {
            kept: Mutex::new(kept),
            weight_max,
        }
    }

    /// What is known under `key`, or what `make` makes of it, with its weight; without one it is not kept.
    /// (`make` is pinned by the caller: a future that is moved through calls lies in memory once for each.)
    pub(super) async fn get(
        &self,
        key: &K,
        make: impl Future<Output = Outcome<(V, Option<usize>)>> + Unpin,
    ) -> Outcome<V> {
        loop {
            match self.turn(key) {
                Turn::Take(value) => return Ok(value),
                Turn::Wait(answer) => {
                    if let Ok(outcome) = answer.await {
                        return outcome;
                    }
                    // Who asked was called off.
                }
                Turn::Ask => break,
            }
        }
        let asking = Asking { cache: self, key };
        let made = make.await;
        let waiting = asking.ended(&made);
        let outcome = made.map(|(value, _)| value);
        for one in waiting {
            // It may have been called off.
            let _ = one.send(outcome.clone());
        }
        outcome
    }

    fn turn(&self, key: &K) -> Turn<V> {
        match self.kept().slots.entry(key.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(Slot::Asked(Vec::new()));
                Turn::Ask
            }
            Entry::Occupied(mut slot) => match slot.get_mut() {
                Slot::Known(value) => Turn::Take(value.clone()),
                Slot::Asked(waiting) => {
                    let (sender, answer) = oneshot::channel();
                    waiting.push(sender);
                    Turn::Wait(answer)
                }
            },
        }
    }
}

impl<K: Hash + Eq, V> Cache<K, V> {
    fn kept(&self) -> MutexGuard<'_, Kept<K, V>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question on its way; called off, it leaves the slot to the next.
struct Asking<'a, K: Hash + Eq, V> {
    cache: &'a Cache<K, V>,
    key: &'a K,
}

impl<K: Hash + Eq + Clone, V: Clone> Asking<'_, K, V> {
    /// Keeps what is to be kept and answers who waits for it.
    fn ended(self, made: &Outcome<(V, Option<usize>)>) -> Vec<oneshot::Sender<Outcome<V>>> {
        let mut kept = self.cache.kept();
        let slot = match made {
            Ok((value, Some(weight))) => {
                kept.weigh(*weight, self.cache.weight_max);
                let known = Slot::Known(value.clone());
                kept.slots.insert(self.key.clone(), known)
            }
            Ok((_, None)) | Err(_) => kept.slots.remove(self.key),
        };
        drop(kept);
        std::mem::forget(self);
        match slot {
            Some(Slot::Asked(waiting)) => waiting,
            Some(Slot::Known(_)) | None => Vec::new(),
        }
    }
}

impl<K: Hash + Eq, V> Drop for Asking<'_, K, V> {
    fn drop(&mut self) {
        self.cache.kept().slots.remove(self.key);
    }
}

impl<K: Hash + Eq, V> Kept<K, V> {
    fn weigh(&mut self, weight: usize, weight_max: usize) {
        self.weight += weight;
        if self.weight > weight_max {
            // What is still being asked stays, so that it is asked once.
            self.slots.retain(|_, slot| matches!(slot, Slot::Asked(_)));
            self.weight = weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn two_who_ask_at_once_get_the_answer_of_one_question() {
        let (cache, made) = (Cache::new(100), AtomicUsize::new(0));
        let ask = || {
            let make = Box::pin(async {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                Ok((made.fetch_add(1, Ordering::Relaxed), Some(1)))
            });
            cache.get(&"key", make)
        };
        assert_eq!(tokio::join!(ask(), ask()), (Ok(0), Ok(0)));
        assert_eq!(ask().await, Ok(0));
    }

    #[tokio::test]
    async fn a_failure_and_what_has_no_weight_are_not_kept() {
        let cache = Cache::<_, u8>::new(100);
        let error = CollectError::Unavailable("x".into());
        let failed = cache.get(&"key", ready(Err(error.clone()))).await;
        assert_eq!(failed, Err(error));
        assert_eq!(cache.get(&"key", ready(Ok((1, None)))).await, Ok(1));
        assert_eq!(cache.get(&"key", ready(Ok((2, Some(1))))).await, Ok(2));
    }

    #[tokio::test]
    async fn a_full_cache_is_emptied() {
        let cache = Cache::new(10);
        for key in 0..20 {
            let made = ready(Ok((key, Some(4))));
            cache.get(&key, made).await.unwrap();
        }
        assert!(cache.kept().slots.len() <= 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_one_that_is_called_off_asks_instead() {
        let cache = Cache::new(100);
        let slow = Box::pin(async {
            tokio::time::sleep(std::time::Duration::from_secs(9)).await;
            Ok((1, Some(1)))
        });
        let off = tokio::time::timeout(std::time::Duration::from_secs(1), cache.get(&"key", slow));
        let (off, made) = tokio::join!(off, cache.get(&"key", ready(Ok((2, Some(1))))));
        assert_eq!((off.is_err(), made), (true, Ok(2)));
    }
}
