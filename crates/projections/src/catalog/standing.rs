//! Standing: which findings do not stand with the marks that hold, derived where a mark leads.
//!
//! Claims are looked up one entity at a time, down from the marked ones; a mark that much hangs on costs one reading of
//! all claims of its scan instead.

use std::collections::{BTreeMap, HashMap, HashSet};

use mirage_domain::id::{EntityId, FindingId, ScanId};
use mirage_domain::standing::{self, Claim, Claims, Whole};

use super::reader::Reader;
use super::sql::Sql;
use crate::error::Cause;
use crate::row::{Row, parsed};
use crate::{Error, Value};

/// Questions about single entities or findings, beyond which all claims of the scan are read: one is some microseconds.
const LOOKS_MAX: usize = 10_000;
/// Claims about one entity that are read first: the oldest leads to a seed, unless it is marked.
const LOOK_ROWS: u64 = 16;

impl Reader<'_> {
    /// The findings that do not stand, over all scans of the workspace, sorted; derived once.
    pub fn fallen(&self) -> Result<&[FindingId], Error> {
        match self.fallen.get() {
            Some(fallen) => Ok(fallen),
            None => {
                let fallen = self.derived()?;
                Ok(self.fallen.get_or_init(|| fallen))
            }
        }
    }

    fn derived(&self) -> Result<Vec<FindingId>, Error> {
        let mut fallen = Vec::new();
        for (scan, marked) in self.marked()? {
            fallen.append(&mut self.derived_in(&scan, &marked)?);
        }
        fallen.sort_unstable();
        Ok(fallen)
    }

    fn derived_in(
        &self,
        scan: &ScanId,
        marked: &HashSet<FindingId>,
    ) -> Result<Vec<FindingId>, Error> {
        match self.looked_up(scan, marked, LOOKS_MAX)? {
            Some(fallen) => Ok(fallen),
            None => self.over_all(scan, marked),
        }
    }

    /// None if that takes more looks than it may.
    fn looked_up(
        &self,
        scan: &ScanId,
        marked: &HashSet<FindingId>,
        looks: usize,
    ) -> Result<Option<Vec<FindingId>>, Error> {
        let reader = self;
        let mut links = Links {
            reader,
            scan,
            looks,
        };
        match standing::fallen(&mut links, marked) {
            Ok(fallen) => Ok(Some(fallen)),
            Err(Cut::LooksMax) => Ok(None),
            Err(Cut::Failed(error)) => Err(error),
        }
    }

    fn over_all(
        &self,
        scan: &ScanId,
        marked: &HashSet<FindingId>,
    ) -> Result<Vec<FindingId>, Error> {
        let all = self.all_claims(self.links_of(scan), link)?;
        let Ok(fallen) = standing::fallen(&mut Whole::from_iter(all), marked);
        Ok(fallen)
    }

    /// Whether a finding stands: neither marked nor left hanging by a mark.
    pub fn stands(&self, finding: FindingId) -> Result<bool, Error> {
        let sql = Sql::new(
            "SELECT count(*) FROM fallen WHERE finding = ?",
            [finding.into()],
        );
        Ok(self.number(sql)? == 0)
    }

    /// Findings that are marked false positive, by scan.
    fn marked(&self) -> Result<BTreeMap<ScanId, HashSet<FindingId>>, Error> {
        // Few scans have marks, and few findings of those: the newest word is found in passing.
        let sql = Sql::new(
            "SELECT scan, finding, verdict FROM marks WHERE workspace = ? AND cursor <= ? ORDER BY cursor",
            [self.workspace(), self.last()],
        );
        let mut verdicts: HashMap<(ScanId, FindingId), Option<String>> = HashMap::new();
        let words = self.all_claims(sql, |row| {
            Ok((
                (parsed(row, "scan")?, FindingId(row.get("finding")?)),
                row.get("verdict")?,
            ))
        })?;
        verdicts.extend(words);
        let mut marked: BTreeMap<ScanId, HashSet<FindingId>> = BTreeMap::new();
        for ((scan, finding), verdict) in verdicts {
            if verdict.as_deref() == Some("false-positive") {
                marked.entry(scan).or_default().insert(finding);
            }
        }
        Ok(marked)
    }

    fn links_of(&self, scan: &ScanId) -> Sql {
        Sql::new(
            "SELECT finding, entity, parent_entity FROM findings WHERE workspace = ? AND cursor <= ? AND scan = ?",
            [self.workspace(), self.last(), scan.into()],
        )
    }
}

/// The claims of a scan as of the reader's position, looked up where a mark leads.
struct Links<'a> {
    reader: &'a Reader<'a>,
    scan: &'a ScanId,
    /// That are left.
    looks: usize,
}

enum Cut {
    LooksMax,
    Failed(Error),
}

impl Links<'_> {
    fn look(&mut self, which: impl FnOnce(Sql) -> Sql) -> Result<Vec<Claim>, Cut> {
        self.looks = self.looks.checked_sub(1).ok_or(Cut::LooksMax)?;
        let sql = which(self.reader.links_of(self.scan));
        self.reader.all_claims(sql, link).map_err(Cut::Failed)
    }
}

impl Claims for Links<'_> {
    type Error = Cut;

    fn of(&mut self, finding: FindingId) -> Result<Vec<Claim>, Cut> {
        self.look(|sql| sql.and("AND finding = ?", [finding.into()]))
    }
    fn about(&mut self, entity: EntityId, known: usize) -> Result<Vec<Claim>, Cut> {
        // As many again, so that a hub takes few looks.
        let page = [LOOK_ROWS.max(known as u64), known as u64].map(Value::from);
        self.look(|sql| {
            sql.and("AND entity = ?", [entity.into()])
                .and("ORDER BY cursor LIMIT ? OFFSET ?", page)
        })
    }
    fn below(&mut self, entity: EntityId) -> Result<Vec<Claim>, Cut> {
        self.look(|sql| sql.and("AND parent_entity = ?", [entity.into()]))
    }
}

fn link(row: &Row<'_>) -> Result<Claim, Cause> {
    Ok(Claim {
        finding: FindingId(row.get("finding")?),
        entity: EntityId(row.get("entity")?),
        parent: row.get::<_, Option<_>>("parent_entity")?.map(EntityId),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;
    use crate::testing::given;
    use crate::testing::history::made_up;
    use crate::testing::made_scan::workspace;

    #[test]
    fn what_falls_is_the_same_looked_up_or_derived_from_all_claims() {
        let mut fallen = 0;
        for seed in 0..60 {
            let history = made_up(700 + seed, 2, 120);
            let db = given::<Catalog>(&history);
            for n in 0..2 {
                let reader = Reader::new(&db, &workspace(n), None).unwrap();
                for (scan, marked) in reader.marked().unwrap() {
                    let looked_up = reader.looked_up(&scan, &marked, LOOKS_MAX).unwrap();
                    let whole = reader.over_all(&scan, &marked).unwrap();
                    assert_eq!(looked_up.as_ref(), Some(&whole), "seed {seed}");
                    fallen += whole.len();
                }
            }
        }
        assert!(fallen > 200, "{fallen}");
    }

    #[test]
    fn looking_up_ends_at_its_bound() {
        let marked = HashSet::from([FindingId([7; 16])]);
        let db = given::<Catalog>(&made_up(1, 1, 40));
        let reader = Reader::new(&db, &workspace(0), None).unwrap();
        let scan = "scn_unknown".parse().unwrap();
        assert_eq!(reader.looked_up(&scan, &marked, 0).unwrap(), None);
        assert_eq!(reader.looked_up(&scan, &marked, 1).unwrap(), Some(vec![]));
    }
}
