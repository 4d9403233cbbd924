//! Seeds: the findings without a parent, and which scans began with the same.

use mirage_domain::id::ScanId;

use super::reader::Reader;
use super::sql::Sql;
use crate::row::parsed;
use crate::{Error, Value};

/// Seeds that a scan's row shows; a scan may have a million.
pub(super) const SEEDS_SHOWN_MAX: u32 = 100;

const SAME_SEEDS: &str = "AND EXISTS (SELECT 1 FROM findings WHERE scan = ? AND parent_entity IS NULL AND cursor <= ?)
    AND NOT EXISTS (
        SELECT entity FROM findings WHERE scan = ? AND parent_entity IS NULL AND cursor <= ?
        EXCEPT SELECT entity FROM findings WHERE scan = s.scan AND parent_entity IS NULL AND cursor <= ?)
    AND NOT EXISTS (
        SELECT entity FROM findings WHERE scan = s.scan AND parent_entity IS NULL AND cursor <= ?
        EXCEPT SELECT entity FROM findings WHERE scan = ? AND parent_entity IS NULL AND cursor <= ?)";

impl Reader<'_> {
    /// Keys of a scan's seeds in the order in which they were reported, at most [`SEEDS_SHOWN_MAX`].
    pub(super) fn seeds(&self, scan: &ScanId) -> Result<Vec<String>, Error> {
        let sql = Sql::new(
            "SELECT key FROM findings WHERE scan = ? AND parent_entity IS NULL AND cursor <= ? ORDER BY cursor LIMIT ?",
            [scan.into(), self.last(), SEEDS_SHOWN_MAX.into()],
        );
        let mut keys: Vec<String> = Vec::new();
        for key in self
            .all(sql, |row| row.get::<_, Option<String>>("key"))?
            .into_iter()
            .flatten()
        {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// The workspace's newest scan.
    pub fn latest_scan(&self) -> Result<Option<ScanId>, Error> {
        let sql = Sql::new(
            "SELECT scan FROM scans WHERE workspace = ? AND cursor <= ? ORDER BY cursor DESC LIMIT 1",
            [self.workspace(), self.last()],
        );
        self.one(sql, |row| parsed(row, "scan"))
    }

    /// The newest scan before `scan` that reported the same set of seeds; what is new since then is
    /// [`super::FindingFilter::new_since`].
    pub fn previous_scan_of_same_seeds(&self, scan: &ScanId) -> Result<Option<ScanId>, Error> {
        let (id, last) = (|| Value::from(scan), || self.last());
        let sql = Sql::new(
            "SELECT s.scan AS scan FROM scans s JOIN scans mine
             ON mine.scan = ? AND mine.workspace = s.workspace AND s.cursor < mine.cursor AND s.seeds = mine.seeds
             WHERE s.workspace = ? AND s.cursor <= ?",
            [id(), self.workspace(), last()],
        );
        let sql = sql.and(
            SAME_SEEDS,
            [id(), last(), id(), last(), last(), last(), id(), last()],
        );
        let sql = sql.and::<0>("ORDER BY s.cursor DESC LIMIT 1", []);
        self.one(sql, |row| parsed(row, "scan"))
    }
}
