//! Ids by their beginnings: one that fits is the one, several are told.

use mirage_domain::id::{EntityId, FindingId, ScanId, TaskId};

use super::entities::EntityDetail;
use super::findings::FindingRow;
use super::reader::Reader;
use super::sql::Sql;
use crate::row::parsed;
use crate::{Error, Value};

/// Candidates that are told of an ambiguous beginning.
const CANDIDATES_MAX: usize = 10;

/// What a beginning of an id stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved<T> {
    One(T),
    None,
    /// At most ten of those that fit.
    Ambiguous(Vec<T>),
}

impl<T> Resolved<T> {
    fn of(mut found: Vec<T>) -> Self {
        found.truncate(CANDIDATES_MAX);
        match found.len() {
            0 => Self::None,
            1 => found.pop().map_or(Self::None, Self::One),
            _ => Self::Ambiguous(found),
        }
    }

    pub fn one(self) -> Option<T> {
        match self {
            Self::One(one) => Some(one),
            Self::None | Self::Ambiguous(_) => None,
        }
    }
}

fn limit() -> Value {
    Value::Integer(CANDIDATES_MAX as i64 + 1)
}

/// Least and greatest id that begins with these hexadecimal digits.
fn range(prefix: &str) -> Option<[Value; 2]> {
    let prefix = prefix.to_ascii_lowercase();
    let filled = |digit: &str| {
        let rest = 32_usize.checked_sub(prefix.len())?;
        format!("{prefix}{}", digit.repeat(rest))
            .parse::<EntityId>()
            .ok()
    };
    if prefix.is_empty() {
        return None;
    }
    Some([filled("0")?.into(), filled("f")?.into()])
}

/// Least text that begins with an ASCII prefix, and least that is behind all of them.
fn span(prefix: &str) -> [Value; 2] {
    [prefix.to_owned().into(), format!("{prefix}\u{7f}").into()]
}

impl Reader<'_> {
    /// The finding whose id begins with these digits.
    pub fn finding_by_id(&self, prefix: &str) -> Result<Resolved<FindingRow>, Error> {
        let Some([least, most]) = range(prefix) else {
            return Ok(Resolved::None);
        };
        let sql = Sql::new(
            "SELECT DISTINCT f.scan AS scan, f.finding AS finding FROM scans s
             JOIN findings f ON f.scan = s.scan AND f.finding BETWEEN ? AND ?
             WHERE s.workspace = ? AND f.workspace = s.workspace AND f.cursor <= ? ORDER BY f.finding, f.scan LIMIT ?",
            [least, most, self.workspace(), self.last(), limit()],
        );
        let ids = self.all(sql, |row| {
            Ok((parsed(row, "scan")?, FindingId(row.get("finding")?)))
        })?;
        let mut found = Vec::with_capacity(ids.len());
        for (scan, id) in ids {
            found.extend(self.finding(&scan, id)?);
        }
        Ok(Resolved::of(found))
    }

    /// The entity whose id begins with these digits. One that is named as `KIND:KEY` has its whole id from
    /// `Entity::id` and the workspace's id key.
    pub fn entity_by_id(&self, prefix: &str) -> Result<Resolved<EntityDetail>, Error> {
        let ids = self.entity_ids(prefix)?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(self.entity(id)?);
        }
        Ok(Resolved::of(found))
    }

    /// The id that begins with these digits, of an entity that was claimed in this workspace.
    pub fn entity_id_by_prefix(&self, prefix: &str) -> Result<Resolved<EntityId>, Error> {
        Ok(Resolved::of(self.entity_ids(prefix)?))
    }

    fn entity_ids(&self, prefix: &str) -> Result<Vec<EntityId>, Error> {
        let Some([least, most]) = range(prefix) else {
            return Ok(Vec::new());
        };
        let sql = Sql::new(
            "SELECT DISTINCT e.entity AS entity FROM entities e JOIN findings f ON f.cursor = e.cursor
             WHERE e.entity BETWEEN ? AND ? AND f.workspace = ? AND e.cursor <= ? ORDER BY e.entity LIMIT ?",
            [least, most, self.workspace(), self.last(), limit()],
        );
        self.all(sql, |row| Ok(EntityId(row.get("entity")?)))
    }

    /// The scan whose id begins with this text, with or without `scn_`; `@last` is the newest.
    pub fn scan_by_id(&self, prefix: &str) -> Result<Resolved<ScanId>, Error> {
        if prefix == "@last" {
            return Ok(Resolved::of(self.latest_scan()?.into_iter().collect()));
        }
        let sql = "SELECT scan AS id FROM scans WHERE scan >= ? AND scan < ? AND workspace = ? AND cursor <= ? ORDER BY scan LIMIT ?";
        self.by_text(sql, "scn_", prefix)
    }

    /// The task whose id begins with this text, with or without `tsk_`.
    pub fn task_by_id(&self, prefix: &str) -> Result<Resolved<TaskId>, Error> {
        let sql = "SELECT task AS id FROM tasks WHERE task >= ? AND task < ? AND workspace = ? AND cursor <= ? ORDER BY task LIMIT ?";
        self.by_text(sql, "tsk_", prefix)
    }

    fn by_text<T>(
        &self,
        sql: &'static str,
        family: &str,
        prefix: &str,
    ) -> Result<Resolved<T>, Error>
    where
        T: std::str::FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        if prefix.is_empty() || !prefix.is_ascii() {
            return Ok(Resolved::None);
        }
        for prefix in [prefix.to_owned(), format!("{family}{prefix}")] {
            let [least, behind] = span(&prefix);
            let values = [least, behind, self.workspace(), self.last(), limit()];
            let found = self.all(Sql::new(sql, values), |row| parsed(row, "id"))?;
            if !found.is_empty() {
                return Ok(Resolved::of(found));
            }
        }
        Ok(Resolved::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_spans_all_ids_with_it() {
        let [least, most] = range("AB1").unwrap();
        let Value::Id(least) = least else { panic!() };
        let Value::Id(most) = most else { panic!() };
        assert_eq!((least[0], least[1]), (0xab, 0x10));
        assert_eq!((most[0], most[1], most[15]), (0xab, 0x1f, 0xff));
        for wrong in ["", "xyz", &"0".repeat(33)] {
            assert!(range(wrong).is_none(), "{wrong}");
        }
    }
}
