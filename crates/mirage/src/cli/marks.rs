//! `mirage marks`: what analysts said about findings, as far as it holds.

use mirage_api::error::Exit;
use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::catalog::{MarkRow, Page, Reader};
use serde_json::Value;

use super::global::AtArgument;
use super::{Answer, Context, ids, known};
use crate::output::{Failure, Field, Listing, Shape, values};

/// List the marks that hold, oldest first
///
/// Exit codes: 0 ok, 2 usage, 3 no such scan, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only those of this scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "SCAN")]
    scan: Option<String>,
    #[command(flatten)]
    at: AtArgument,
}

static LISTING: Listing = Listing {
    key: "finding_id",
    fields: &[
        Field::new("finding_id", Shape::Text),
        Field::more("scan_id", Shape::Text),
        Field::new("module", Shape::Text),
        Field::new("kind", Shape::Text),
        Field::new("key", Shape::Text),
        Field::new("verdict", Shape::Text),
        Field::new("reason", Shape::Text),
        Field::new("actor", Shape::Text),
        Field::new("marked_at", Shape::Time),
        Field::more("position", Shape::Number),
    ],
};

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    if let Some(remote) = context.remote()? {
        let query = vec![
            ("scan", arguments.scan.clone()),
            ("at", arguments.at.sent()?),
        ];
        let (_, at) = remote.list(context, &LISTING, &["marks"], &query).await?;
        context.output.say_as_of(at);
        return Ok(Exit::Done);
    }
    let views = context.views().await?;
    let reader = views.reader(arguments.at.text())?;
    let scan = arguments
        .scan
        .as_deref()
        .map(|scan| ids::scan(&reader, scan))
        .transpose()?;
    let mut rows = context.output.rows(&LISTING)?;
    let mut page = Page::first(PAGE_ROWS_MAX);
    loop {
        let listed = reader.marks(scan.as_ref(), &page)?;
        for mark in &listed.rows {
            rows.push(values(&LISTING, &row(&reader, mark)?))?;
        }
        match listed.next {
            Some(next) => page = page.after(next),
            None => break,
        }
    }
    rows.end(Some(reader.position().0))?;
    context.output.say_as_of(reader.position());
    Ok(Exit::Done)
}

/// A mark with what it is about.
fn row(reader: &Reader<'_>, mark: &MarkRow) -> Result<Value, Failure> {
    let mut row = serde_json::to_value(mark).unwrap_or_default();
    let finding = reader.finding(&mark.scan_id, mark.finding_id)?;
    if let (Some(members), Some(finding)) = (row.as_object_mut(), finding) {
        members.insert("module".into(), finding.module.into());
        members.insert("kind".into(), finding.kind.as_str().into());
        members.insert("key".into(), finding.key.into());
    }
    Ok(row)
}
