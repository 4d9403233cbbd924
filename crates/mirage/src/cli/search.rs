//! `mirage search`: findings by the words of their keys and attributes, and by parts of their keys.

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::ModuleName;
use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::Projection;
use mirage_projections::catalog::{self, Count};
use mirage_projections::search::{Facets, Filter, Found, Page, Query, QueryError, Reader, Search};
use serde::Serialize;

use super::global::AtArgument;
use super::{Answer, Context, findings, ids, known};
use crate::output::{Failure, Field, Form, Listing, Shape, values};

/// Search the findings of every scan
///
/// All words must match. A word matches a whole word of key or attributes, or from three characters on any part of a
/// key. Quotes make a "phrase", a star the begin* of a word, a minus excludes a -word (not as the first argument: write
/// -- before it), and kind:KIND, module:NAME and scan:SCAN filter. What fits under --limit is ranked, best first; more
/// is newest first.
///
/// Exit codes: 0 ok, 1 with --exit-code: nothing found (failures are then 10), 2 usage, 3 no such scan, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Words, "phrases", begin*, -not, kind:KIND, module:NAME, scan:SCAN
    #[arg(required = true, value_name = "QUERY")]
    query: Vec<String>,
    /// Only entities of these kinds
    #[arg(long, add = known::kinds(), value_name = "KIND", value_delimiter = ',')]
    kind: Vec<String>,
    /// Only what these modules found
    #[arg(long, add = known::modules(), value_name = "NAME", value_delimiter = ',')]
    module: Vec<String>,
    /// Only what these scans found: ids, beginnings of them, or @last
    #[arg(long, add = known::scans(), value_name = "SCAN", value_delimiter = ',')]
    scan: Vec<String>,
    /// At most so many findings
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "facets")]
    limit: u32,
    /// Count by kind, module and scan instead
    #[arg(long)]
    facets: bool,
    /// End with 1 if nothing was found; failures are then 10
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    at: AtArgument,
}

static LISTING: Listing = Listing {
    key: "key",
    fields: &[
        Field::new("finding_id", Shape::Text),
        Field::more("scan_id", Shape::Text),
        Field::new("module", Shape::Text),
        Field::new("kind", Shape::Text),
        Field::new("key", Shape::Text),
        Field::more("entity_id", Shape::Text),
        Field::new("snippet", Shape::Text),
        Field::more("position", Shape::Number),
    ],
};

static FACETS: Listing = Listing {
    key: "name",
    fields: &[
        Field::new("facet", Shape::Text),
        Field::new("name", Shape::Text),
        Field::new("findings", Shape::Number),
        Field::more("is_at_least", Shape::Text),
    ],
};

/// One line of the facets.
#[derive(Serialize)]
struct Facet<'a> {
    facet: &'static str,
    name: &'a str,
    findings: u64,
    is_at_least: bool,
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    match ask(context, arguments).await {
        Ok(0) if arguments.exit_code => Ok(Exit::Failed),
        Ok(_) => Ok(Exit::Done),
        Err(failure) if arguments.exit_code => Err(failure.beside()),
        Err(failure) => Err(failure),
    }
}

/// The number of findings that were listed or counted.
async fn ask(context: &Context, arguments: &Arguments) -> Result<u64, Failure> {
    let query = Query::parse(&arguments.query.join(" ")).map_err(refused)?;
    let views = context.views().await?;
    let db = views.db(Search::NAME).await?;
    let catalog = views.reader(arguments.at.text())?;
    let catalog = match arguments.at.text() {
        Some(_) => catalog,
        // Another process may just have folded a commit into the one view and not yet into the other.
        None => catalog.as_of(db.position()?),
    };
    let filter = filter(&catalog, arguments, &query)?;
    db.exclude(catalog.fallen()?)?;
    let reader = Reader::new(&db, &context.workspace()?, Some(catalog.position()))?;
    match arguments.facets {
        true => write_facets(context, &reader, &reader.facets(&query, &filter)?),
        false => list(context, &reader, (&query, &filter), arguments.limit),
    }
}

fn refused(error: QueryError) -> Problem {
    match &error {
        QueryError::Kind(unknown) => match ids::kind(&unknown.0) {
            Err(problem) => problem,
            Ok(_) => Problem::new("usage", &error),
        },
        error => Problem::new("usage", error).try_this(error.hint()),
    }
}

/// What the query and the flags say together; names of one kind are alternatives.
fn filter(
    catalog: &catalog::Reader<'_>,
    arguments: &Arguments,
    query: &Query,
) -> Result<Filter, Failure> {
    let mut filter = query.filter(|scan| ids::scan(catalog, scan))?;
    for scan in &arguments.scan {
        filter.scans.push(ids::scan(catalog, scan)?);
    }
    for kind in &arguments.kind {
        filter.kinds.push(ids::kind(kind)?);
    }
    let named = filter.modules.iter().map(ModuleName::to_string);
    let modules: Vec<String> = named.chain(arguments.module.iter().cloned()).collect();
    filter.modules = findings::modules(&modules)?;
    Ok(filter)
}

fn list(
    context: &Context,
    reader: &Reader<'_>,
    (query, filter): (&Query, &Filter),
    limit: u32,
) -> Result<u64, Failure> {
    let mut rows = context.output.rows(&LISTING)?;
    let (mut left, mut after) = (limit, None);
    loop {
        let limit = left.min(PAGE_ROWS_MAX);
        let Found { hits, next, .. } = reader.search(query, filter, &Page { after, limit })?;
        left = left.saturating_sub(hits.len() as u32);
        for hit in &hits {
            rows.push(values(&LISTING, hit))?;
        }
        after = next;
        if after.is_none() || left == 0 {
            break;
        }
    }
    let count = rows.end(Some(reader.position().0))?;
    if context.output.form == Form::Table {
        let more = match after {
            Some(_) => "; there are more: --limit",
            None => "",
        };
        let at = reader.position();
        let text = format_args!("{count} findings as of position {at}{more}");
        context.output.say(text);
    }
    Ok(count)
}

fn write_facets(context: &Context, reader: &Reader<'_>, facets: &Facets) -> Result<u64, Failure> {
    let mut rows = context.output.rows(&FACETS)?;
    let named: [(&'static str, &[Count]); 3] = [
        ("kind", &facets.kinds),
        ("module", &facets.modules),
        ("scan", &facets.scans),
    ];
    for (facet, counts) in named {
        for Count { name, count } in counts {
            let line = Facet {
                facet,
                name,
                findings: *count,
                is_at_least: facets.is_cut,
            };
            rows.push(values(&FACETS, &line))?;
        }
    }
    rows.end(Some(reader.position().0))?;
    if context.output.form == Form::Table {
        let least = if facets.is_cut { "≥ " } else { "" };
        let (count, at) = (facets.findings, reader.position());
        let text = format_args!("{least}{count} findings as of position {at}");
        context.output.say(text);
    }
    Ok(facets.findings)
}
