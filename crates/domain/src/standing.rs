//! Standing: which findings of a scan fall with those that are marked false positive.
//!
//! A finding stands if it is not marked itself and its parent entity is reached from a seed through findings that
//! stand. So a chain falls with its only link, a cycle that nothing holds from outside falls whole, and what another
//! module found as well stays.
//!
//! Only what hangs below a marked finding can fall. So the derivation goes down from the marked ones, and stops at each
//! entity from which a way leads up to a seed: it looks at what a mark touches, however large the scan.
//!
//! What hangs on an entity of which no claim is known (its stream may be set aside) is judged as if a seed led there:
//! a mark elsewhere must not take it away.
//!
//! **Invariant:** the answer hangs on the set of claims and marks alone, not on their order.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;

use crate::id::{EntityId, FindingId};

/// What standing needs to know of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub finding: FindingId,
    pub entity: EntityId,
    /// None for a seed.
    pub parent: Option<EntityId>,
}

/// The claims of one scan, asked for as they are needed.
pub trait Claims {
    type Error;
    /// Those that a finding makes.
    fn of(&mut self, finding: FindingId) -> Result<Vec<Claim>, Self::Error>;
    /// Some of those about an entity, which come behind the first `known`; none at the end. Ways up are short if the
    /// oldest come first.
    fn about(&mut self, entity: EntityId, known: usize) -> Result<Vec<Claim>, Self::Error>;
    /// Those that hang on an entity.
    fn below(&mut self, entity: EntityId) -> Result<Vec<Claim>, Self::Error>;
}

/// The findings of one scan that do not stand, sorted; `marked` are those marked false positive.
pub fn fallen<C: Claims>(
    claims: &mut C,
    marked: &HashSet<FindingId>,
) -> Result<Vec<FindingId>, C::Error> {
    let mut fallen: BTreeSet<FindingId> = BTreeSet::new();
    let mut suspects: Vec<EntityId> = Vec::new();
    for finding in marked {
        let made = claims.of(*finding)?;
        fallen.extend(made.iter().map(|claim| claim.finding));
        suspects.extend(made.iter().map(|claim| claim.entity));
    }
    let mut search = Search {
        claims,
        marked,
        reached: HashMap::new(),
    };
    let mut seen: HashSet<EntityId> = HashSet::new();
    while let Some(entity) = suspects.pop() {
        if !seen.insert(entity) || search.is_reached(entity)? {
            continue;
        }
        for claim in search.claims.below(entity)? {
            fallen.insert(claim.finding);
            suspects.push(claim.entity);
        }
    }
    Ok(fallen.into_iter().collect())
}

/// The search for ways up to a seed.
struct Search<'a, C> {
    claims: &'a mut C,
    marked: &'a HashSet<FindingId>,
    /// Entities whose answer is known.
    reached: HashMap<EntityId, bool>,
}

/// An entity on the way up, and what is left of the claims about it.
struct Step {
    entity: EntityId,
    known: usize,
    left: std::vec::IntoIter<Claim>,
}

impl<C: Claims> Search<'_, C> {
    /// Whether a way of unmarked claims leads from the entity up to a seed: deepest first, no entity twice.
    fn is_reached(&mut self, entity: EntityId) -> Result<bool, C::Error> {
        let mut seen = HashSet::from([entity]);
        let mut way = vec![Step::at(entity)];
        while let Some(step) = way.last_mut() {
            let entity = step.entity;
            if let Some(&known) = self.reached.get(&entity) {
                match known {
                    true => return Ok(self.all_reached(&way)),
                    false => drop(way.pop()),
                }
                continue;
            }
            match self.next(step)? {
                Next::Seed => return Ok(self.all_reached(&way)),
                Next::Parent(parent) if seen.insert(parent) => way.push(Step::at(parent)),
                Next::Parent(_) | Next::Marked => {}
                Next::End => drop(way.pop()),
            }
        }
        // Nothing above it was reached, and all of that has been looked at.
        self.reached
            .extend(seen.into_iter().map(|entity| (entity, false)));
        Ok(false)
    }

    fn next(&mut self, step: &mut Step) -> Result<Next, C::Error> {
        if step.left.len() == 0 {
            let more = self.claims.about(step.entity, step.known)?;
            if more.is_empty() {
                // Of which no claim is known.
                return Ok(match step.known {
                    0 => Next::Seed,
                    _ => Next::End,
                });
            }
            step.known += more.len();
            step.left = more.into_iter();
        }
        Ok(match step.left.next() {
            Some(claim) if self.marked.contains(&claim.finding) => Next::Marked,
            Some(claim) => claim.parent.map_or(Next::Seed, Next::Parent),
            None => Next::End,
        })
    }

    fn all_reached(&mut self, way: &[Step]) -> bool {
        self.reached
            .extend(way.iter().map(|step| (step.entity, true)));
        true
    }
}

enum Next {
    Seed,
    Parent(EntityId),
    Marked,
    End,
}

impl Step {
    fn at(entity: EntityId) -> Self {
        Self {
            entity,
            known: 0,
            left: Vec::new().into_iter(),
        }
    }
}

/// All claims of a scan, in memory.
#[derive(Debug, Default)]
pub struct Whole {
    of: HashMap<FindingId, Vec<Claim>>,
    about: HashMap<EntityId, Vec<Claim>>,
    below: HashMap<EntityId, Vec<Claim>>,
}

impl FromIterator<Claim> for Whole {
    fn from_iter<I: IntoIterator<Item = Claim>>(claims: I) -> Self {
        let mut whole = Self::default();
        for claim in claims {
            whole.of.entry(claim.finding).or_default().push(claim);
            whole.about.entry(claim.entity).or_default().push(claim);
            if let Some(parent) = claim.parent {
                whole.below.entry(parent).or_default().push(claim);
            }
        }
        whole
    }
}

impl Claims for Whole {
    type Error = Infallible;

    fn of(&mut self, finding: FindingId) -> Result<Vec<Claim>, Infallible> {
        Ok(self.of.get(&finding).cloned().unwrap_or_default())
    }
    fn about(&mut self, entity: EntityId, known: usize) -> Result<Vec<Claim>, Infallible> {
        let all = self.about.get(&entity).map_or(&[][..], Vec::as_slice);
        Ok(all.get(known..).unwrap_or_default().to_vec())
    }
    fn below(&mut self, entity: EntityId) -> Result<Vec<Claim>, Infallible> {
        Ok(self.below.get(&entity).cloned().unwrap_or_default())
    }
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
        assert_eq!(derived(claims(list), &marked), expected);
        let mut backwards = claims(list);
        backwards.reverse();
        assert_eq!(derived(backwards, &marked), expected);
    }

    fn derived(claims: Vec<Claim>, marked: &HashSet<FindingId>) -> Vec<FindingId> {
        let Ok(fallen) = fallen(&mut Whole::from_iter(claims), marked);
        fallen
    }

    /// Grows a set of entities along claims until nothing comes to it.
    fn grown(mut set: HashSet<EntityId>, along: &[&Claim]) -> HashSet<EntityId> {
        loop {
            let before = set.len();
            for claim in along {
                if claim.parent.is_none_or(|parent| set.contains(&parent)) {
                    set.insert(claim.entity);
                }
            }
            if set.len() == before {
                return set;
            }
        }
    }

    /// From the definition, over all claims: below a marked one, and not reached from a seed.
    fn defined(claims: &[Claim], marked: &HashSet<FindingId>) -> Vec<FindingId> {
        let is_marked = |claim: &&Claim| marked.contains(&claim.finding);
        let known: HashSet<EntityId> = claims.iter().map(|claim| claim.entity).collect();
        let parents = claims.iter().filter_map(|claim| claim.parent);
        let unknown = parents.filter(|parent| !known.contains(parent)).collect();
        let unmarked: Vec<&Claim> = claims.iter().filter(|claim| !is_marked(claim)).collect();
        let reached = grown(unknown, &unmarked);
        let hanging: Vec<&Claim> = claims
            .iter()
            .filter(|claim| claim.parent.is_some())
            .collect();
        let marks = claims.iter().filter(is_marked);
        let below = grown(marks.map(|claim| claim.entity).collect(), &hanging);
        let falls = |parent| below.contains(&parent) && !reached.contains(&parent);
        let fallen = claims
            .iter()
            .filter(|claim| is_marked(claim) || claim.parent.is_some_and(falls));
        let fallen: BTreeSet<FindingId> = fallen.map(|claim| claim.finding).collect();
        fallen.into_iter().collect()
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4_000))]
        #[test]
        fn going_down_from_the_marks_finds_what_the_definition_says(
            links in proptest::collection::vec((0_u8..9, 1_u8..9), 0..24),
            marks in proptest::collection::hash_set(0_u8..24, 0..4),
        ) {
            // A finding for each claim, but for one in eight, which is claimed again with the one before it.
            let list: Vec<(u8, u8, u8)> = (0_u8..)
                .zip(&links)
                .map(|(n, (parent, entity))| (n, *parent, *entity))
                .collect();
            let mut claims = claims(&list);
            for again in (1..claims.len()).step_by(8) {
                claims[again] = claims[again - 1];
            }
            let marked: HashSet<FindingId> = marks.into_iter().map(|n| FindingId(id(n))).collect();
            let defined = defined(&claims, &marked);
            proptest::prop_assert_eq!(derived(claims, &marked), defined);
        }
    }

    #[test]
    fn a_mark_takes_nothing_away_that_does_not_hang_below_it() {
        // Two claims hold one another, and no seed leads to them.
        check(&[(1, 0, 1), (2, 1, 2), (3, 5, 6), (4, 6, 5)], &[2], &[2]);
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
