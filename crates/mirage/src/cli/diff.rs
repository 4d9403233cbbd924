//! `mirage diff`: what two scans, or one scan at two moments, know differently.

use std::collections::BTreeMap;

use mirage_api::error::{Exit, Problem};
use mirage_projections::Db;
use mirage_projections::catalog::{Change, Difference, Reader, Side, diff};
use serde_json::Value;

use super::{Answer, Context, ids, known};
use crate::output::{Failure, Field, Form, Listing, Shape, values};
use crate::wire::Views;

/// Compare two scans, or one scan at two moments: new, gone and changed entities
///
/// What does not stand, because it is marked false positive or hangs on what is, counts as not known.
///
/// Exit codes: 0 ok, 1 with --exit-code: they differ (failures are then 10), 2 usage, 3 no such scan or position,
/// 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The earlier scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "A")]
    before: String,
    /// The later scan [default: A itself, at the two moments of --at]
    #[arg(add = known::scans(), value_name = "B")]
    after: Option<String>,
    /// The two moments: positions or times, one of them may be left out (`120..`, `..-2h`); with A and B a single one
    #[arg(long, value_name = "P..Q", allow_hyphen_values = true)]
    at: Option<String>,
    /// End with 1 if they differ; failures are then 10
    #[arg(long)]
    exit_code: bool,
}

static LISTING: Listing = Listing {
    key: "key",
    fields: &[
        Field::new("change", Shape::Text),
        Field::new("kind", Shape::Text),
        Field::new("key", Shape::Text),
        Field::new("in_scope", Shape::Text),
        Field::more("entity_id", Shape::Text),
        Field::new("details", Shape::Text),
    ],
};

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    match compare(context, arguments).await {
        Ok(0) => Ok(Exit::Done),
        Ok(_) if arguments.exit_code => Ok(Exit::Failed),
        Ok(_) => Ok(Exit::Done),
        Err(failure) if arguments.exit_code => Err(failure.beside()),
        Err(failure) => Err(failure),
    }
}

async fn compare(context: &Context, arguments: &Arguments) -> Result<u64, Failure> {
    context.must_be_here()?;
    let views = context.views().await?;
    let beside = views.beside()?;
    let (before, after) = readers(&views, &beside, arguments)?;
    // Names are those of now: at the earlier moment the scan need not have begun.
    let now = views.reader(None)?;
    let earlier = ids::scan(&now, &arguments.before)?;
    let later = match &arguments.after {
        Some(scan) => ids::scan(&now, scan)?,
        None => earlier.clone(),
    };
    let sides = [(&before, &earlier), (&after, &later)].map(|(reader, scan)| Side {
        reader,
        scan,
        modules: &[],
    });
    write(context, &sides)
}

/// Lists the differences and answers their number.
pub(super) fn write(context: &Context, [before, after]: &[Side<'_>; 2]) -> Result<u64, Failure> {
    let mut rows = context.output.rows(&LISTING)?;
    let mut counts: BTreeMap<(&str, Change), u64> = BTreeMap::new();
    let mut from = None;
    loop {
        let stretch = diff(before, after, from)?;
        for difference in &stretch.differences {
            *counts
                .entry((difference.kind.as_str(), difference.change))
                .or_default() += 1;
            rows.push(values(&LISTING, &row(context, difference)))?;
        }
        match stretch.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    let positions = [before, after].map(|side| side.reader.position().0);
    let count = rows.end(Some(positions[1]))?;
    if context.output.form == Form::Table {
        tell(context, &counts, positions);
    }
    Ok(count)
}

/// A reader for each side.
fn readers<'v>(
    views: &'v Views,
    beside: &'v Db,
    arguments: &Arguments,
) -> Result<(Reader<'v>, Reader<'v>), Failure> {
    let usage = |why: &str, hint: &str| Failure::from(Problem::new("usage", why).try_this(hint));
    match (&arguments.after, arguments.at.as_deref()) {
        (Some(_), at) => {
            if at.is_some_and(|at| at.contains("..")) {
                return Err(usage(
                    "two scans are compared as of one moment",
                    "leave B out to compare A at two moments",
                ));
            }
            Ok((views.reader(at)?, views.reader(at)?))
        }
        (None, None) => Err(usage(
            "what is the scan to be compared with?",
            "name a second scan, or two moments: --at P..Q",
        )),
        (None, Some(at)) => {
            let (from, until) = at.split_once("..").ok_or_else(|| {
                usage(
                    "one moment is not two",
                    "write --at P..Q, positions or times",
                )
            })?;
            let moment = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            let from = moment(from).unwrap_or_else(|| "0".to_owned());
            Ok((
                views.reader_of(beside, Some(&from))?,
                views.reader(moment(until).as_deref())?,
            ))
        }
    }
}

fn row(context: &Context, difference: &Difference) -> Value {
    let mut row = serde_json::to_value(difference).unwrap_or_default();
    // A table has room for how many there are.
    if context.output.form == Form::Table
        && let Some(members) = row.as_object_mut()
    {
        let count = difference.details.len();
        let shown = if count == 0 {
            Value::Null
        } else {
            count.into()
        };
        members.insert("details".to_owned(), shown);
    }
    row
}

fn tell(context: &Context, counts: &BTreeMap<(&str, Change), u64>, [before, after]: [u64; 2]) {
    let output = &context.output;
    if counts.is_empty() {
        output.say("nothing differs");
    }
    for ((kind, change), count) in counts {
        output.say(format_args!("{kind}: {count} {}", change.as_str()));
    }
    output.say(format_args!(
        "compared as of position {before} and position {after}"
    ));
}
