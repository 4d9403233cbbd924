//! Standing: which findings of a scan fall with those that are marked false positive.
//!
//! A finding stands if it is not marked itself and its parent entity is reached from a seed through findings that
//! stand. So a chain falls with its only link, a cycle that nothing holds from outside falls whole, and what another
//! module found as well stays.
//!
//! What hangs on an entity of which no claim is known (its stream may be set aside) is judged as if a seed led there:
//! a mark elsewhere must not take it away.
//!
//! **Invariant:** the answer hangs on the set of claims and marks alone, not on their order.

use std::collections::{HashMap, HashSet};

use crate::id::{EntityId, FindingId};

/// What standing needs to know of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub finding: FindingId,
    pub entity: EntityId,
    /// None for a seed.
    pub parent: Option<EntityId>,
}

/// The findings of one scan that do not stand, sorted; `marked` are those marked false positive.
pub fn fallen(claims: &[Claim], marked: &HashSet<FindingId>) -> Vec<FindingId> {
    if marked.is_empty() {
        return Vec::new();
    }
    let mut below: HashMap<Option<EntityId>, Vec<EntityId>> = HashMap::new();
    for claim in claims
        .iter()
        .filter(|claim| !marked.contains(&claim.finding))
    {
        below.entry(claim.parent).or_default().push(claim.entity);
    }
    let mut reached: HashSet<EntityId> = HashSet::new();
    let mut next = below.remove(&None).unwrap_or_default();
    let known: HashSet<EntityId> = claims.iter().map(|claim| claim.entity).collect();
    let parents = claims.iter().filter_map(|claim| claim.parent);
    next.extend(parents.filter(|parent| !known.contains(parent)));
    while let Some(entity) = next.pop() {
        if reached.insert(entity) {
            next.append(&mut below.remove(&Some(entity)).unwrap_or_default());
        }
    }
    let falls = |claim: &&Claim| {
        let hangs = claim.parent.is_none_or(|parent| reached.contains(&parent));
        marked.contains(&claim.finding) || !hangs
    };
    let mut fallen: Vec<FindingId> = claims
        .iter()
        .filter(falls)
        .map(|claim| claim.finding)
        .collect();
    fallen.sort_unstable();
    fallen.dedup();
    fallen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> [u8; 16] {
        [n; 16]
    }

    /// Claims as (finding, parent or 0, entity).
    fn claims(list: &[(u8, u8, u8)]) -> Vec<Claim> {
        let claim = |&(finding, parent, entity): &(u8, u8, u8)| Claim {
            finding: FindingId(id(finding)),
            entity: EntityId(id(entity)),
            parent: (parent != 0).then_some(EntityId(id(parent))),
        };
        list.iter().map(claim).collect()
    }

    #[track_caller]
    fn check(list: &[(u8, u8, u8)], marked: &[u8], expected: &[u8]) {
        let marked: HashSet<FindingId> = marked.iter().map(|n| FindingId(id(*n))).collect();
        let expected: Vec<FindingId> = expected.iter().map(|n| FindingId(id(*n))).collect();
        assert_eq!(fallen(&claims(list), &marked), expected);
        let mut backwards = claims(list);
        backwards.reverse();
        assert_eq!(fallen(&backwards, &marked), expected);
    }

    #[test]
    fn without_marks_all_stand() {
        check(&[(1, 0, 1), (2, 1, 2), (3, 9, 3)], &[], &[]);
    }

    #[test]
    fn a_mark_elsewhere_does_not_take_away_what_hangs_on_something_unknown() {
        let list = [(1, 0, 1), (2, 1, 2), (3, 9, 3), (4, 3, 4)];
        check(&list, &[2], &[2]);
        check(&list, &[3], &[3, 4]);
    }

    #[test]
    fn a_chain_falls_with_its_only_link() {
        check(&[(1, 0, 1), (2, 1, 2), (3, 2, 3)], &[2], &[2, 3]);
    }

    #[test]
    fn what_has_another_justification_stays() {
        check(
            &[(1, 0, 1), (2, 1, 2), (3, 2, 3), (4, 1, 3), (5, 3, 4)],
            &[2],
            &[2, 3],
        );
    }

    #[test]
    fn a_cycle_does_not_hold_itself() {
        check(
            &[(1, 0, 1), (2, 1, 2), (3, 2, 3), (4, 3, 2), (5, 3, 3)],
            &[2],
            &[2, 3, 4, 5],
        );
    }

    #[test]
    fn a_marked_seed_takes_its_scan_with_it() {
        check(&[(1, 0, 1), (2, 1, 2), (6, 0, 5), (7, 5, 2)], &[1], &[1, 2]);
    }
}
