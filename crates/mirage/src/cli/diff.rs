//! `mirage diff`: what two scans, or one scan at two moments, know differently.

use std::collections::BTreeMap;

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::Position;
use mirage_projections::Db;
use mirage_projections::catalog::{Reader, Side, diff};
use serde_json::Value;

use super::time::At;
use super::{Answer, Context, ids, known};
use crate::output::{Failure, Field, Form, Listing, Rows, Shape, values};
use crate::wire::Views;
use crate::wire::remote::{Query, Remote};

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
    if let Some(remote) = context.remote()? {
        return ask(context, &remote, query(arguments)?).await;
    }
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
    let mut listed = Listed::begin(context)?;
    let mut from = None;
    loop {
        let stretch = diff(before, after, from)?;
        for difference in &stretch.differences {
            listed.push(serde_json::to_value(difference).unwrap_or_default())?;
        }
        match stretch.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    let [before, after] = [before, after].map(|side| side.reader.position());
    listed.end(Some(before), after)
}

/// The same over a server.
pub(super) async fn ask(
    context: &Context,
    remote: &Remote,
    mut query: Query<'_>,
) -> Result<u64, Failure> {
    let mut listed = Listed::begin(context)?;
    // A stretch is as long as the server finds good.
    query.push(("limit", None));
    let pushed = remote.each(&["diff"], &query, None, |item| listed.push(item.clone()));
    let (after, _) = pushed.await?;
    listed.end(None, after)
}

/// Differences on their way out, and how many there are of each sort.
struct Listed<'a> {
    context: &'a Context,
    rows: Rows,
    counts: BTreeMap<(String, String), u64>,
}

impl<'a> Listed<'a> {
    fn begin(context: &'a Context) -> Result<Self, Failure> {
        Ok(Self {
            context,
            rows: context.output.rows(&LISTING)?,
            counts: BTreeMap::new(),
        })
    }

    fn push(&mut self, mut difference: Value) -> Result<(), Failure> {
        let text = |name: &str| difference[name].as_str().unwrap_or_default().to_owned();
        let sort = (text("kind"), text("change"));
        *self.counts.entry(sort).or_default() += 1;
        // A table has room for how many there are.
        if self.context.output.form == Form::Table {
            let count = difference["details"].as_array().map_or(0, Vec::len);
            difference["details"] = match count {
                0 => Value::Null,
                count => count.into(),
            };
        }
        self.rows.push(values(&LISTING, &difference))
    }

    fn end(self, before: Option<Position>, after: Position) -> Result<u64, Failure> {
        let count = self.rows.end(Some(after.0))?;
        let output = &self.context.output;
        if output.form != Form::Table {
            return Ok(count);
        }
        if self.counts.is_empty() {
            output.say("nothing differs");
        }
        for ((kind, change), count) in &self.counts {
            output.say(format_args!("{kind}: {count} {change}"));
        }
        output.say(match before {
            Some(before) => {
                format!("compared as of position {before} and position {after}")
            }
            None => format!("compared as of position {after}"),
        });
        Ok(count)
    }
}

/// The moments of the two sides: none is now.
fn moments(arguments: &Arguments) -> Result<[Option<String>; 2], Failure> {
    let usage = |why: &str, hint: &str| Failure::from(Problem::new("usage", why).try_this(hint));
    match (&arguments.after, arguments.at.as_deref()) {
        (Some(_), at) => {
            if at.is_some_and(|at| at.contains("..")) {
                return Err(usage(
                    "two scans are compared as of one moment",
                    "leave B out to compare A at two moments",
                ));
            }
            Ok([at, at].map(|at| at.map(str::to_owned)))
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
            Ok([Some(from), moment(until)])
        }
    }
}

/// A reader for each side.
fn readers<'v>(
    views: &'v Views,
    beside: &'v Db,
    arguments: &Arguments,
) -> Result<(Reader<'v>, Reader<'v>), Failure> {
    let [from, until] = moments(arguments)?;
    let earlier = match arguments.after {
        Some(_) => views.reader(from.as_deref())?,
        None => views.reader_of(beside, from.as_deref())?,
    };
    Ok((earlier, views.reader(until.as_deref())?))
}

/// What a server is asked.
fn query(arguments: &Arguments) -> Result<Query<'_>, Failure> {
    let sent = |moment: &Option<String>| moment.as_deref().map(At::sent).transpose();
    let [from, until] = moments(arguments)?;
    Ok(vec![
        ("before", Some(arguments.before.clone())),
        ("after", arguments.after.clone()),
        ("from", sent(&from)?),
        ("at", sent(&until)?),
    ])
}
