//! Diff: what two scans, or one scan at two positions, know differently.
//!
//! The answer is a list of new, gone and changed entities.
//! Entities are walked in the order of their ids, a bounded stretch at a time, so memory does not grow with the scans.
//! A claim is the same on both sides if module, parent entity, relation and direction are; evidence is not compared,
//! since an answer seen again is another exchange.

use std::collections::{BTreeMap, BTreeSet};

use mirage_domain::entity::Kind;
use mirage_domain::finding::Attributes;
use mirage_domain::id::{EntityId, ModuleName, ScanId};
use mirage_domain::relation::{Direction, Relation};
use serde::Serialize;
use serde_json::Value as Json;

use super::findings::{FindingRow, claim};
use super::reader::Reader;
use super::sql::Sql;
use crate::Error;
use crate::db::stands;

/// Entities of one stretch.
const ENTITIES_MAX: u32 = 500;

/// One side of a comparison: a scan as of a reader's position.
pub struct Side<'a> {
    pub reader: &'a Reader<'a>,
    pub scan: &'a ScanId,
    /// Only what these modules claim; an empty list asks for nothing in particular.
    pub modules: &'a [ModuleName],
}

/// What happened to an entity from one side to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    New,
    Gone,
    Changed,
}

impl Change {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Gone => "gone",
            Self::Changed => "changed",
        }
    }
}

/// A claim without what may change about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Claimed {
    pub module: String,
    pub relation: Option<Relation>,
    pub direction: Option<Direction>,
    pub parent_entity: Option<EntityId>,
}

/// A difference in what is claimed of an entity that both sides know.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Detail {
    /// A claim that only the later side has.
    Claimed(Claimed),
    /// A claim that only the earlier side has.
    Dropped(Claimed),
    /// An attribute of a claim that both have; null where a side does not have it.
    Attribute {
        module: String,
        name: String,
        before: Json,
        after: Json,
    },
}

/// One entity that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    pub change: Change,
    pub entity_id: EntityId,
    pub kind: Kind,
    /// None once it was erased.
    pub key: Option<String>,
    pub in_scope: bool,
    /// Of a changed entity.
    pub details: Vec<Detail>,
}

/// The differences of a stretch, and where the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    pub differences: Vec<Difference>,
    /// None at the end.
    pub next: Option<EntityId>,
}

/// What a side knows of one entity.
struct Known {
    kind: Kind,
    key: Option<String>,
    in_scope: bool,
    claims: BTreeMap<Claimed, Attributes>,
}

/// Differences of the entities after `after`, in the order of their ids. Both sides are of one workspace.
pub fn diff(before: &Side<'_>, after: &Side<'_>, from: Option<EntityId>) -> Result<Stretch, Error> {
    let ids = entities(before, after, from)?;
    let Some((first, last)) = ids.first().copied().zip(ids.last().copied()) else {
        return Ok(Stretch {
            differences: Vec::new(),
            next: None,
        });
    };
    let mut earlier = before.known(first, last)?;
    let mut later = after.known(first, last)?;
    let is_full = ids.len() == ENTITIES_MAX as usize;
    let differences = ids
        .into_iter()
        .filter_map(|id| difference(id, earlier.remove(&id), later.remove(&id)))
        .collect();
    Ok(Stretch {
        differences,
        next: is_full.then_some(last),
    })
}

/// Ids of entities that one of the sides has met.
fn entities(
    before: &Side<'_>,
    after: &Side<'_>,
    from: Option<EntityId>,
) -> Result<Vec<EntityId>, Error> {
    let later = before.reader.position().max(after.reader.position());
    let sql = Sql::new(
        "SELECT DISTINCT entity FROM entities WHERE entity > ? AND scan IN (?, ?) AND cursor <= ? ORDER BY entity LIMIT ?",
        [
            from.map_or_else(|| Vec::new().into(), Into::into),
            before.scan.into(),
            after.scan.into(),
            mirage_domain::id::Cursor::after(later).packed().into(),
            ENTITIES_MAX.into(),
        ],
    );
    let reader = after.reader;
    reader.all_claims(sql, |row| Ok(EntityId(row.get("entity")?)))
}

impl Side<'_> {
    /// What the side knows of the entities between two ids, both included.
    fn known(&self, first: EntityId, last: EntityId) -> Result<BTreeMap<EntityId, Known>, Error> {
        let sql = Sql::new(
            concat!(
                "SELECT f.* FROM findings f WHERE f.entity BETWEEN ? AND ? AND f.scan = ? AND f.workspace = ?
                 AND f.cursor <= ? ",
                stands!("f")
            ),
            [
                first.into(),
                last.into(),
                self.scan.into(),
                self.reader.workspace(),
                self.reader.last(),
            ],
        );
        let modules = self.modules.iter().map(|module| module.as_str().to_owned());
        let sql = sql
            .one_of("AND f.module IN", modules.map(Into::into))
            .and::<0>("ORDER BY f.cursor", []);
        let mut known: BTreeMap<EntityId, Known> = BTreeMap::new();
        for row in self.reader.all(sql, claim)? {
            let entity = known.entry(row.entity).or_insert_with(|| Known {
                kind: row.kind,
                key: row.key.clone(),
                in_scope: false,
                claims: BTreeMap::new(),
            });
            entity.in_scope |= row.in_scope;
            let attributes = entity.claims.entry(claimed(&row)).or_default();
            attributes.extend(row.attributes);
        }
        Ok(known)
    }
}

fn claimed(row: &FindingRow) -> Claimed {
    Claimed {
        module: row.module.clone(),
        relation: row.relation,
        direction: row.direction,
        parent_entity: row.parent_entity,
    }
}

fn difference(id: EntityId, before: Option<Known>, after: Option<Known>) -> Option<Difference> {
    let (change, known, details) = match (before, after) {
        (None, None) => return None,
        (None, Some(after)) => (Change::New, after, Vec::new()),
        (Some(before), None) => (Change::Gone, before, Vec::new()),
        (Some(before), Some(after)) => {
            let details = details(&before.claims, &after.claims);
            if details.is_empty() {
                return None;
            }
            (Change::Changed, after, details)
        }
    };
    Some(Difference {
        change,
        entity_id: id,
        kind: known.kind,
        key: known.key,
        in_scope: known.in_scope,
        details,
    })
}

fn details(
    before: &BTreeMap<Claimed, Attributes>,
    after: &BTreeMap<Claimed, Attributes>,
) -> Vec<Detail> {
    let claims: BTreeSet<&Claimed> = before.keys().chain(after.keys()).collect();
    let mut details = Vec::new();
    for claim in claims {
        match (before.get(claim), after.get(claim)) {
            (None, _) => details.push(Detail::Claimed(claim.clone())),
            (_, None) => details.push(Detail::Dropped(claim.clone())),
            (Some(before), Some(after)) => attributes(&claim.module, before, after, &mut details),
        }
    }
    details
}

fn attributes(module: &str, before: &Attributes, after: &Attributes, details: &mut Vec<Detail>) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let value = |side: &Attributes| side.get(name).cloned().unwrap_or(Json::Null);
        let (before, after) = (value(before), value(after));
        if before != after {
            details.push(Detail::Attribute {
                module: module.to_owned(),
                name: name.clone(),
                before,
                after,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use mirage_domain::id::Position;

    use super::*;
    use crate::catalog::{Catalog, EntityFilter, Page, ScanFilter};
    use crate::testing::history::{Dice, History, made_up};
    use crate::testing::made_scan::{MadeScan, workspace};
    use crate::testing::{given, given_commits};

    fn all(before: &Side<'_>, after: &Side<'_>) -> Vec<Difference> {
        let (mut differences, mut from) = (Vec::new(), None);
        loop {
            let stretch = diff(before, after, from).unwrap();
            differences.extend(stretch.differences);
            match stretch.next {
                Some(next) => from = Some(next),
                None => return differences,
            }
        }
    }

    /// Two scans of one seed: the second finds one host more, one less, and one changed.
    #[test]
    fn two_scans_tell_what_is_new_gone_and_changed() {
        let mut history = History::default();
        let mut scans = Vec::new();
        for (n, found) in [(0, [(2, 0), (4, 0), (5, 0)]), (2, [(2, 0), (4, 3), (7, 0)])] {
            let mut scan = MadeScan::start(&mut history, n, &[1]);
            let at = scan.schedule(&mut history, "dns");
            let seed = scan.finding("seed", None, 1, 0);
            let finding = |(n, salt)| scan.finding("dns", Some(&seed), n, salt);
            let found = found.map(finding).to_vec();
            scan.report(&mut history, at, found);
            scans.push(scan);
        }
        let db = given::<Catalog>(&history);
        let reader = Reader::new(&db, &workspace(0), None).unwrap();
        let side = |n: usize| Side {
            reader: &reader,
            scan: &scans[n].id,
            modules: &[],
        };
        let mut told: Vec<String> = all(&side(0), &side(1))
            .iter()
            .map(|one| format!("{} {}", one.change.as_str(), one.key.as_deref().unwrap()))
            .collect();
        told.sort();
        assert_eq!(
            told,
            [
                "changed host-4.example.com",
                "gone host-5.example.com",
                "new host-7.example.com"
            ]
        );
        let same = all(&side(0), &side(0));
        assert_eq!(same, Vec::new());
        let changed = all(&side(0), &side(1));
        let changed = changed.iter().find(|one| one.change == Change::Changed);
        let Detail::Attribute {
            name,
            before,
            after,
            ..
        } = &changed.unwrap().details[0]
        else {
            panic!("{changed:?}");
        };
        assert_eq!(
            (name.as_str(), before, after),
            ("salt-0", &0.into(), &3.into())
        );
    }

    #[test]
    fn one_scan_at_two_positions_differs_by_what_a_fold_in_between_adds() {
        for seed in 0..6 {
            let history = made_up(seed, 3, 200);
            let db = given::<Catalog>(&history);
            let now = Reader::new(&db, &workspace(0), None).unwrap();
            let mut dice = Dice(seed);
            let then = now.as_of(Position(1 + dice.below(history.commits().len()) as u64));
            let cut = given_commits::<Catalog>(&history.commits()[..then.position().0 as usize]);
            let alone = Reader::new(&cut, &workspace(0), None).unwrap();
            let scans = now
                .scans(
                    &ScanFilter {
                        with_archived: true,
                    },
                    &Page::first(9),
                )
                .unwrap();
            for scan in scans.rows {
                let keys = |reader: &Reader<'_>| {
                    let filter = EntityFilter {
                        scan: Some(scan.scan_id.clone()),
                        ..EntityFilter::default()
                    };
                    let rows = reader.entities(&filter, &Page::first(900)).unwrap().rows;
                    rows.into_iter()
                        .map(|row| row.entity_id)
                        .collect::<BTreeSet<_>>()
                };
                let side = |reader| Side {
                    reader,
                    scan: &scan.scan_id,
                    modules: &[],
                };
                let told = all(&side(&then), &side(&now));
                let of = |change| {
                    let some = told.iter().filter(move |one| one.change == change);
                    some.map(|one| one.entity_id).collect::<BTreeSet<_>>()
                };
                let (before, after) = (keys(&alone), keys(&now));
                assert_eq!(of(Change::New), &after - &before, "seed {seed}");
                assert_eq!(of(Change::Gone), &before - &after, "seed {seed}");
            }
        }
    }
}
