//! Marks: what analysts said about findings.
//!
//! Lists, counts and relations leave fallen findings out; whoever asks for one by its id gets it, with its marks.

use jiff::Timestamp;
use mirage_domain::id::{FindingId, Position, ScanId};
use serde::Serialize;

use super::page::{Listed, Page};
use super::reader::{Reader, page_by, position};
use super::sql::Sql;
use crate::error::Cause;
use crate::row::{Row, parsed, time};
use crate::{Error, PAGE_ROWS_MAX, Value};

/// One word on a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MarkRow {
    pub finding_id: FindingId,
    pub scan_id: ScanId,
    /// `false-positive` or `confirmed`; none where a mark was taken back.
    pub verdict: Option<String>,
    /// None once it was erased.
    pub reason: Option<String>,
    pub actor: String,
    pub marked_at: Timestamp,
    pub position: Position,
}

/// Marks that hold: the newest of each finding, where it was not taken back.
const HOLD: &str = "SELECT m.* FROM marks m WHERE m.workspace = ? AND m.verdict IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM marks n WHERE n.scan = m.scan AND n.finding = m.finding AND n.cursor > m.cursor AND n.cursor <= ?)";

/// Of marks that hold in other scans, those whose claim this scan makes as well and has not marked itself.
const EARLIER: &str = "SELECT m.*, own.finding AS own FROM marks m
    JOIN findings was ON was.scan = m.scan AND was.finding = m.finding
    JOIN findings own ON own.entity = was.entity AND own.scan = ? AND own.scan <> m.scan AND own.cursor <= ?
        AND own.module = was.module AND own.parent_entity IS NOT DISTINCT FROM was.parent_entity
        AND own.relation IS NOT DISTINCT FROM was.relation AND own.direction IS NOT DISTINCT FROM was.direction
    WHERE m.workspace = ? AND m.verdict IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM marks n WHERE n.scan = m.scan AND n.finding = m.finding AND n.cursor > m.cursor AND n.cursor <= ?)
    AND NOT EXISTS (SELECT 1 FROM marks k WHERE k.scan = own.scan AND k.finding = own.finding AND k.cursor <= ?)
    GROUP BY own.finding, m.scan, m.cursor ORDER BY m.cursor DESC, own.finding LIMIT ?";

impl Reader<'_> {
    /// Marks that hold, in the order in which they were made; of one scan or of all.
    pub fn marks(&self, scan: Option<&ScanId>, page: &Page) -> Result<Listed<MarkRow>, Error> {
        let sql = Sql::new(HOLD, [self.workspace(), self.last()])
            .maybe("AND m.scan = ?", scan.map(Value::from));
        self.page(sql, page, page_by!("m"), mark)
    }

    /// Everything that was said about a finding, oldest first; the last word holds.
    pub fn marks_of(&self, scan: &ScanId, finding: FindingId) -> Result<Vec<MarkRow>, Error> {
        let sql = Sql::new(
            "SELECT * FROM marks WHERE workspace = ? AND cursor <= ? AND scan = ? AND finding = ? ORDER BY cursor",
            [self.workspace(), self.last(), scan.into(), finding.into()],
        );
        self.all(sql, mark)
    }

    /// Marks that hold on findings of other scans which this scan has made as well, and which it does not mark itself:
    /// the same module, parent entity, relation, direction and entity. Each with this scan's own finding.
    pub fn earlier_marks(
        &self,
        scan: &ScanId,
        limit: u32,
    ) -> Result<Vec<(FindingId, MarkRow)>, Error> {
        let sql = Sql::new(
            EARLIER,
            [
                scan.into(),
                self.last(),
                self.workspace(),
                self.last(),
                self.last(),
                limit.min(PAGE_ROWS_MAX).into(),
            ],
        );
        self.all(sql, |row| Ok((FindingId(row.get("own")?), mark(row)?)))
    }
}

fn mark(row: &Row<'_>) -> Result<MarkRow, Cause> {
    Ok(MarkRow {
        finding_id: FindingId(row.get("finding")?),
        scan_id: parsed(row, "scan")?,
        verdict: row.get("verdict")?,
        reason: row.get("reason")?,
        actor: row.get("actor")?,
        marked_at: time(row, "marked_at")?,
        position: position(row)?,
    })
}

#[cfg(test)]
mod tests {
    use mirage_domain::id::StreamId;
    use mirage_domain::mark::{self, Verdict};

    use super::*;
    use crate::catalog::{Catalog, Count, EntityFilter, FindingFilter};
    use crate::testing::given;
    use crate::testing::history::History;
    use crate::testing::made_scan::{MadeScan, workspace};

    /// A chain of a seed and three hosts, of which the last is also found from the seed.
    fn chain() -> (History, MadeScan, Vec<FindingId>) {
        let mut history = History::default();
        let mut scan = MadeScan::start(&mut history, 0, &[1]);
        let at = scan.schedule(&mut history, "dns");
        let seed = scan.finding("seed", None, 1, 0);
        let second = scan.finding("dns", Some(&seed), 2, 0);
        let third = scan.finding("dns", Some(&second), 4, 0);
        let fourth = scan.finding("dns", Some(&third), 5, 0);
        let beside = scan.finding("crtsh", Some(&seed), 5, 0);
        let all = [seed, second, third, fourth, beside];
        let ids = all.iter().map(|finding| finding.id).collect();
        scan.report(&mut history, at, all[1..].to_vec());
        (history, scan, ids)
    }

    fn say(history: &mut History, scan: &MadeScan, finding: FindingId, is_false: bool) -> Position {
        let reason = "parked".to_owned().into();
        let event: mark::Event = match is_false {
            true => mark::Set {
                verdict: Verdict::FalsePositive,
                reason,
            }
            .into(),
            false => mark::Cleared { reason }.into(),
        };
        let stream = StreamId::mark(&scan.workspace, &scan.id, finding);
        history.append(&stream, None, vec![event.into()])
    }

    fn counted(reader: &Reader<'_>, scan: &ScanId) -> (usize, usize, u64, u64) {
        let filter = FindingFilter {
            scan: Some(scan.clone()),
            ..FindingFilter::default()
        };
        let entities = EntityFilter {
            scan: Some(scan.clone()),
            ..EntityFilter::default()
        };
        let row = reader.scan_row(scan).unwrap().unwrap();
        let sum = |counts: Vec<Count>| counts.iter().map(|count| count.count).sum::<u64>();
        assert_eq!(sum(reader.entities_by_kind(scan).unwrap()), row.entities);
        assert_eq!(sum(reader.findings_by_module(scan).unwrap()), row.findings);
        (
            reader
                .findings(&filter, &Page::first(50))
                .unwrap()
                .rows
                .len(),
            reader
                .entities(&entities, &Page::first(50))
                .unwrap()
                .rows
                .len(),
            row.findings,
            row.entities,
        )
    }

    #[test]
    fn marked_unmarked_and_marked_again_each_position_answers_rightly() {
        let (mut history, scan, ids) = chain();
        let before = history.end();
        let marked = say(&mut history, &scan, ids[1], true);
        let cleared = say(&mut history, &scan, ids[1], false);
        let again = say(&mut history, &scan, ids[1], true);
        let db = given::<Catalog>(&history);
        let now = Reader::new(&db, &workspace(0), None).unwrap();
        // What another module found as well stays: its entity with it, the finding from the fallen one not.
        for (at, expected) in [
            (before, (5, 4, 5, 4)),
            (marked, (2, 2, 2, 2)),
            (cleared, (5, 4, 5, 4)),
            (again, (2, 2, 2, 2)),
        ] {
            assert_eq!(counted(&now.as_of(at), &scan.id), expected, "at {at}");
        }
        let fallen = now.fallen().unwrap().to_vec();
        let mut expected = ids[1..4].to_vec();
        expected.sort_unstable();
        assert_eq!(fallen, expected);
        assert!(!now.stands(ids[3]).unwrap() && now.stands(ids[4]).unwrap());
    }

    #[test]
    fn a_later_scan_is_told_of_earlier_marks_until_it_marks_for_itself() {
        let (mut history, first, ids) = chain();
        say(&mut history, &first, ids[4], true);
        let mut second = MadeScan::start(&mut history, 2, &[1]);
        let at = second.schedule(&mut history, "dns");
        let seed = second.finding("seed", None, 1, 0);
        let same = second.finding("dns", Some(&seed), 5, 9);
        let other = second.finding("dns", Some(&seed), 7, 0);
        second.report(&mut history, at, vec![same.clone(), other]);
        let told = |history: &History| {
            let db = given::<Catalog>(history);
            let reader = Reader::new(&db, &workspace(0), None).unwrap();
            let marks = reader.earlier_marks(&second.id, 10).unwrap();
            marks
                .into_iter()
                .map(|(own, mark)| (own, mark.finding_id))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&history), [(same.id, ids[4])]);
        say(&mut history, &second, same.id, true);
        assert_eq!(told(&history), []);
    }

    #[test]
    fn two_readers_of_one_database_do_not_mix_their_pasts() {
        let (mut history, scan, ids) = chain();
        let before = history.end();
        say(&mut history, &scan, ids[1], true);
        let db = given::<Catalog>(&history);
        let now = Reader::new(&db, &workspace(0), None).unwrap();
        let then = now.as_of(before);
        for _ in 0..2 {
            assert_eq!(counted(&now, &scan.id).0, 2);
            assert_eq!(counted(&then, &scan.id).0, 5);
        }
    }

    /// Two moments are compared stretch by stretch, and a scan may have a million findings.
    #[test]
    fn what_fell_is_derived_once_however_often_two_moments_take_turns() {
        let (mut history, scan, ids) = chain();
        let before = history.end();
        say(&mut history, &scan, ids[1], true);
        let db = given::<Catalog>(&history);
        let now = Reader::new(&db, &workspace(0), None).unwrap();
        let then = now.as_of(before);
        assert_eq!(counted(&now, &scan.id).0, 2);
        // Whoever looked again would not find it.
        db.connection().execute("DELETE FROM marks", []).unwrap();
        assert_eq!(counted(&then, &scan.id).0, 5);
        assert_eq!(counted(&now, &scan.id).0, 2);
    }

    #[test]
    fn marks_are_told_with_who_why_and_when_and_a_fallen_finding_by_its_id() {
        let (mut history, scan, ids) = chain();
        let at = say(&mut history, &scan, ids[1], true);
        let db = given::<Catalog>(&history);
        let reader = Reader::new(&db, &workspace(0), None).unwrap();
        let marks = reader.marks(Some(&scan.id), &Page::first(10)).unwrap().rows;
        assert_eq!(marks.len(), 1);
        assert_eq!(marks[0].verdict.as_deref(), Some("false-positive"));
        assert_eq!(marks[0].position, at);
        assert_eq!(reader.marks_of(&scan.id, ids[1]).unwrap(), marks);
        assert!(reader.finding(&scan.id, ids[1]).unwrap().is_some());
    }
}
