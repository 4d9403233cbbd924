//! `mirage findings`: what was found, claim by claim.

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{Cursor, ModuleName};
use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::catalog::{FindingFilter, Page, Reader, Since};
use mirage_workers::collectors::import::IMPORTERS;
use mirage_workers::seed;

use super::global::AtArgument;
use super::ids::{self, LAST};
use super::scan::manifest;
use super::time::At;
use super::{Answer, Context, known};
use crate::output::{Failure, Field, Listing, Rows, Shape, values};
use crate::wire::remote::Remote;

/// List findings, oldest first
///
/// Without SCAN those of the latest scan; with --all those of every scan.
///
/// Exit codes: 0 ok, 1 with --exit-code: nothing found (failures are then 10), 2 usage, 3 no such scan, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "SCAN", conflicts_with = "all")]
    scan: Option<String>,
    /// Those of every scan
    #[arg(long)]
    all: bool,
    /// Only entities of these kinds
    #[arg(long, add = known::kinds(), value_name = "KIND", value_delimiter = ',')]
    kind: Vec<String>,
    /// Only what these modules found
    #[arg(long, add = known::modules(), value_name = "NAME", value_delimiter = ',')]
    module: Vec<String>,
    /// Only what is in scope
    #[arg(long)]
    in_scope: bool,
    /// Only what was recorded after this position, or since this time
    #[arg(long, value_name = "POSITION|TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only what that scan had not found
    #[arg(long, add = known::scans(), value_name = "SCAN")]
    new_since: Option<String>,
    /// Only what is at least this certain, in percent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=100))]
    min_confidence: Option<u8>,
    /// End with 1 if nothing was found; failures are then 10
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    at: AtArgument,
}

/// The fields are a contract (DESIGN §7).
pub(super) static LISTING: Listing = Listing {
    key: "key",
    fields: &[
        Field::new("finding_id", Shape::Text),
        Field::more("scan_id", Shape::Text),
        Field::more("task_id", Shape::Text),
        Field::new("module", Shape::Text),
        Field::new("kind", Shape::Text),
        Field::new("key", Shape::Text),
        Field::more("attributes", Shape::Text),
        Field::new("relation", Shape::Text),
        Field::more("direction", Shape::Text),
        Field::more("parent_id", Shape::Text),
        Field::new("in_scope", Shape::Text),
        Field::new("confidence", Shape::Number),
        Field::new("observed_at", Shape::Time),
        Field::more("recorded_at", Shape::Time),
        Field::more("position", Shape::Number),
        Field::more("evidence", Shape::Text),
    ],
};

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    match list(context, arguments).await {
        Ok(0) if arguments.exit_code => Ok(Exit::Failed),
        Ok(_) => Ok(Exit::Done),
        Err(failure) if arguments.exit_code => Err(failure.beside()),
        Err(failure) => Err(failure),
    }
}

async fn list(context: &Context, arguments: &Arguments) -> Result<u64, Failure> {
    let modules = modules(&arguments.module)?;
    let kinds: Result<Vec<_>, _> = arguments.kind.iter().map(|kind| ids::kind(kind)).collect();
    let since = arguments.since.as_deref().map(since).transpose()?;
    if let Some(remote) = context.remote()? {
        return ask(context, &remote, arguments, since).await;
    }
    let views = context.views().await?;
    let reader = views.reader(arguments.at.text())?;
    let scan = match arguments.all {
        true => None,
        false => Some(ids::scan(
            &reader,
            arguments.scan.as_deref().unwrap_or(LAST),
        )?),
    };
    let new_since = arguments
        .new_since
        .as_deref()
        .map(|scan| ids::scan(&reader, scan));
    let filter = FindingFilter {
        scan,
        kinds: kinds?,
        modules,
        entity: None,
        in_scope: arguments.in_scope.then_some(true),
        since,
        new_since: new_since.transpose()?,
        min_confidence: arguments.min_confidence,
    };
    write(context, &reader, &filter)
}

/// The same over a server.
async fn ask(
    context: &Context,
    remote: &Remote,
    arguments: &Arguments,
    since: Option<Since>,
) -> Result<u64, Failure> {
    let scan = arguments.scan.as_deref().unwrap_or(LAST).to_owned();
    let since = since.map(|since| match since {
        Since::Cursor(cursor) => cursor.position.to_string(),
        Since::Time(time) => time.to_string(),
    });
    let query = vec![
        ("scan", (!arguments.all).then_some(scan)),
        ("kind", listed(&arguments.kind)),
        ("module", listed(&arguments.module)),
        ("in_scope", arguments.in_scope.then(|| "true".to_owned())),
        ("since", since),
        ("new_since", arguments.new_since.clone()),
        (
            "min_confidence",
            arguments.min_confidence.map(|least| least.to_string()),
        ),
        ("at", arguments.at.sent()?),
    ];
    let (count, at) = remote
        .list(context, &LISTING, &["findings"], &query)
        .await?;
    context
        .output
        .say(format_args!("{count} findings as of position {at}"));
    Ok(count)
}

/// Words of one parameter.
pub(super) fn listed(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| words.join(","))
}

fn write(context: &Context, reader: &Reader<'_>, filter: &FindingFilter) -> Result<u64, Failure> {
    let count = into(context.output.rows(&LISTING)?, reader, filter)?;
    context.output.say(format_args!(
        "{count} findings as of position {}",
        reader.position()
    ));
    Ok(count)
}

/// Writes every finding that the filter lets through; answers how many.
fn into(mut rows: Rows, reader: &Reader<'_>, filter: &FindingFilter) -> Result<u64, Failure> {
    let mut page = Page::first(PAGE_ROWS_MAX);
    loop {
        let listed = reader.findings(filter, &page)?;
        for finding in &listed.rows {
            rows.push(values(&LISTING, finding))?;
        }
        match listed.next {
            Some(next) => page = page.after(next),
            None => break,
        }
    }
    rows.end(Some(reader.position().0))
}

/// Names of modules that there are.
pub(super) fn modules(names: &[String]) -> Result<Vec<ModuleName>, Problem> {
    let known = |name: &String| {
        // The seeds' module and the importers are none that can be chosen, and yet they find.
        let importers = IMPORTERS.iter().map(|importer| importer.name());
        let is_other = importers.chain([seed::NAME]).any(|other| other == name);
        if !is_other {
            manifest(name, "unknown_module")?;
        }
        ModuleName::new(name).map_err(|error| Problem::new("bad_id", error))
    };
    names.iter().map(known).collect()
}

fn since(text: &str) -> Result<Since, Problem> {
    Ok(match At::read(text)? {
        At::Position(position) => Since::Cursor(Cursor::after(position)),
        At::Time(time) => Since::Time(time),
    })
}
