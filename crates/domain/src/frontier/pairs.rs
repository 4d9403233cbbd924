//! Distinct parent–entity pairs, in about 9 bytes each: one sorted run and a small unsorted rest.

use std::collections::HashSet;

/// The rest is merged when it exceeds this, or an eighth of the run.
const REST_MIN: usize = 4096;

#[derive(Default)]
pub(super) struct Pairs {
    run: Vec<(u32, u32)>,
    rest: HashSet<(u32, u32)>,
}

impl Pairs {
    pub(super) fn insert(&mut self, parent: u32, entity: u32) {
        if self.run.binary_search(&(parent, entity)).is_ok() {
            return;
        }
        self.rest.insert((parent, entity));
        if self.rest.len() > REST_MIN.max(self.run.len() / 8) {
            self.run.reserve_exact(self.rest.len());
            self.run.extend(self.rest.drain());
            self.run.sort_unstable();
        }
    }

    /// The entities right below `parent`.
    pub(super) fn below(&self, parent: u32) -> impl Iterator<Item = u32> + '_ {
        let from = self.run.partition_point(|(have, _)| *have < parent);
        let sorted = self.run[from..]
            .iter()
            .take_while(move |(have, _)| *have == parent);
        let rest = self.rest.iter().filter(move |(have, _)| *have == parent);
        sorted.chain(rest).map(|(_, entity)| *entity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_kept_once_before_and_after_the_merge() {
        let mut pairs = Pairs::default();
        let entities = 3 * REST_MIN as u32;
        for _ in 0..2 {
            (0..entities).for_each(|entity| pairs.insert(7, entity));
        }
        pairs.insert(8, 1);
        let mut below: Vec<u32> = pairs.below(7).collect();
        below.sort_unstable();
        assert_eq!(below, (0..entities).collect::<Vec<_>>());
        assert_eq!(pairs.below(8).collect::<Vec<_>>(), [1]);
        assert_eq!(pairs.below(9).count(), 0);
    }
}
