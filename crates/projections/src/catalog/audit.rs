//! The audit: who changed what, was refused what, and read what few may read.

use jiff::Timestamp;
use mirage_domain::id::Position;
use serde::Serialize;

use super::page::{Listed, Page};
use super::reader::{Reader, page_by, position};
use super::sql::Sql;
use crate::error::Cause;
use crate::row::{Row, time};
use crate::{Error, Value};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    pub at: Timestamp,
    /// `user`, `service` or `module`.
    pub actor_kind: String,
    pub actor: String,
    /// `changed`, `read` or `refused`.
    pub outcome: String,
    /// Of the event.
    pub kind: String,
    /// Whose commit it is: workspace, scan, category and id.
    pub stream: String,
    /// Of the gateway, for a record of a request.
    pub operation: Option<String>,
    /// Why it was refused.
    pub code: Option<String>,
    /// The address that the request came from; none once it was erased.
    pub origin: Option<String>,
    /// What was asked for.
    pub subject: Option<String>,
    /// Requests that the record stands for.
    pub count: u64,
    pub trace_id: Option<String>,
    pub position: Position,
}

/// Which records.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub actor: Option<String>,
    /// A kind of event, or the beginning of one up to a point: `workspace`.
    pub kind: Option<String>,
    /// `changed`, `read` or `refused`.
    pub outcome: Option<&'static str>,
    /// Not before this time.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
}

const RECORDS: &str = "SELECT a.* FROM audit a WHERE a.workspace = ?";

impl Reader<'_> {
    /// Records of the workspace, in the order of the log or newest first.
    pub fn audit(&self, filter: &AuditFilter, page: &Page) -> Result<Listed<AuditRow>, Error> {
        let nanoseconds = |time: Timestamp| Value::from(time.as_nanosecond() as i64);
        let mut sql = Sql::new(RECORDS, [self.workspace()])
            .maybe("AND a.actor = ?", filter.actor.clone().map(Value::from))
            .maybe("AND a.outcome = ?", filter.outcome.map(Value::from))
            .maybe("AND a.at >= ?", filter.since.map(nanoseconds))
            .maybe("AND a.at < ?", filter.until.map(nanoseconds));
        if let Some(kind) = &filter.kind {
            // Kinds of a family lie between its name with a point and with the character after it.
            let (from, below) = (format!("{kind}."), format!("{kind}/"));
            let values = [kind.clone().into(), from.into(), below.into()];
            sql = sql.and("AND (a.kind = ? OR (a.kind >= ? AND a.kind < ?))", values);
        }
        self.page(sql, page, page_by!("a"), record)
    }
}

fn record(row: &Row<'_>) -> Result<AuditRow, Cause> {
    Ok(AuditRow {
        at: time(row, "at")?,
        actor_kind: row.get("actor_kind")?,
        actor: row.get("actor")?,
        outcome: row.get("outcome")?,
        kind: row.get("kind")?,
        stream: row.get("stream")?,
        operation: row.get("operation")?,
        code: row.get("code")?,
        origin: row.get("origin")?,
        subject: row.get("subject")?,
        count: row.get("count")?,
        trace_id: row.get("trace")?,
        position: position(row)?,
    })
}

#[cfg(test)]
mod tests {
    use mirage_domain::audit;
    use mirage_domain::id::{StreamId, Token};
    use mirage_domain::role::Role;

    use super::*;
    use crate::catalog::Catalog;
    use crate::testing::given;
    use crate::testing::history::History;
    use crate::testing::made_scan::{MadeScan, workspace};

    fn tell(history: &mut History, n: usize, event: audit::Event) -> Position {
        let writer = Token::new("writer").unwrap();
        let stream = StreamId::audit(&workspace(n), &writer);
        history.append(&stream, None, vec![event.into()])
    }

    fn refused(count: u64) -> audit::Event {
        let refused = audit::Refused {
            operation: "list_api_keys".into(),
            code: "forbidden".into(),
            role: Some(Role::Viewer),
            from: "192.0.2.7".to_owned().into(),
            count,
        };
        refused.into()
    }

    fn outcomes(reader: &Reader<'_>, filter: &AuditFilter) -> Vec<(String, u64)> {
        let listed = reader.audit(filter, &Page::first(100)).unwrap();
        let told = |row: AuditRow| (format!("{} {}", row.outcome, row.kind), row.count);
        listed.rows.into_iter().map(told).collect()
    }

    #[test]
    fn each_workspace_has_its_own_records_and_the_past_has_fewer() {
        let mut history = History::default();
        let mut scan = MadeScan::start(&mut history, 0, &[1]);
        let at = scan.schedule(&mut history, "dns");
        let seed = scan.finding("seed", None, 1, 0);
        let host = scan.finding("dns", Some(&seed), 2, 0);
        scan.report(&mut history, at, vec![host]);
        let before = history.end();
        tell(&mut history, 0, refused(7));
        tell(&mut history, 1, refused(9));
        let db = given::<Catalog>(&history);
        let reader = Reader::new(&db, &workspace(0), None).unwrap();
        let changed = |kind: &str| (format!("changed {kind}"), 1);
        let all = [
            changed("scan.requested"),
            changed("scan.started"),
            ("refused audit.refused".to_owned(), 7),
        ];
        assert_eq!(outcomes(&reader, &AuditFilter::default()), all);
        let then = reader.as_of(before);
        assert_eq!(outcomes(&then, &AuditFilter::default()), all[..2]);
        let of = |kind: &str, outcome| AuditFilter {
            kind: Some(kind.into()),
            outcome,
            ..AuditFilter::default()
        };
        assert_eq!(outcomes(&reader, &of("scan", None)), all[..2]);
        assert_eq!(outcomes(&reader, &of("scan.started", None)), all[1..2]);
        assert_eq!(outcomes(&reader, &of("scan", Some("refused"))), []);
        let row = &reader
            .audit(&of("audit", None), &Page::newest(1))
            .unwrap()
            .rows[0];
        assert_eq!(row.origin.as_deref(), Some("192.0.2.7"));
        assert_eq!(row.code.as_deref(), Some("forbidden"));
        assert_eq!(row.operation.as_deref(), Some("list_api_keys"));
    }
}
