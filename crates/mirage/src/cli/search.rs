//! `mirage search`: findings by the words of their keys and attributes, and by parts of their keys.

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{ModuleName, Position};
use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::Projection;
use mirage_projections::catalog::{self, Count};
use mirage_projections::search::{Facets, Filter, Found, Page, Query, QueryError, Reader, Search};
use serde::Serialize;
use serde_json::{Value, json};

use super::findings::listed;
use super::global::AtArgument;
use super::{Answer, Context, findings, ids, known};
use crate::output::{Failure, Field, Listing, Shape, values};
use crate::wire::remote::{Remote, as_of};

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
    if let Some(remote) = context.remote()? {
        return ask_server(context, &remote, arguments).await;
    }
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
        true => {
            let facets = json!(Counts::of(reader.facets(&query, &filter)?));
            write_facets(context, reader.position(), &facets)
        }
        false => list(context, &reader, (&query, &filter), arguments.limit),
    }
}

/// The same over a server.
async fn ask_server(
    context: &Context,
    remote: &Remote,
    arguments: &Arguments,
) -> Result<u64, Failure> {
    let mut query = vec![
        ("q", Some(arguments.query.join(" "))),
        ("scan", listed(&arguments.scan)),
        ("kind", listed(&arguments.kind)),
        ("module", listed(&arguments.module)),
        ("at", arguments.at.sent()?),
    ];
    if arguments.facets {
        let counted = remote.get(&["search", "facets"], &query).await?;
        return write_facets(context, as_of(&counted), &counted);
    }
    let mut rows = context.output.rows(&LISTING)?;
    query.push((
        "limit",
        Some(arguments.limit.min(PAGE_ROWS_MAX).to_string()),
    ));
    let limit = Some(arguments.limit.into());
    let pushed = remote.each(&["search"], &query, limit, |hit| {
        rows.push(values(&LISTING, hit))
    });
    let (at, is_more) = pushed.await?;
    let count = rows.end(Some(at.0))?;
    tell(context, count, at, is_more);
    Ok(count)
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
    tell(context, count, reader.position(), after.is_some());
    Ok(count)
}

fn tell(context: &Context, count: u64, at: Position, is_more: bool) {
    let more = match is_more {
        true => "; there are more: --limit",
        false => "",
    };
    let text = format_args!("{count} findings as of position {at}{more}");
    context.output.say(text);
}

/// Facets as the gateway tells them, too.
#[derive(Serialize)]
struct Counts {
    findings: u64,
    kinds: Vec<Named>,
    modules: Vec<Named>,
    scans: Vec<Named>,
    is_at_least: bool,
}

#[derive(Serialize)]
struct Named {
    name: String,
    findings: u64,
}

impl Counts {
    fn of(facets: Facets) -> Self {
        let named = |counts: Vec<Count>| {
            let named = |Count { name, count }| Named {
                name,
                findings: count,
            };
            counts.into_iter().map(named).collect()
        };
        Self {
            findings: facets.findings,
            kinds: named(facets.kinds),
            modules: named(facets.modules),
            scans: named(facets.scans),
            is_at_least: facets.is_cut,
        }
    }
}

fn write_facets(context: &Context, at: Position, facets: &Value) -> Result<u64, Failure> {
    let mut rows = context.output.rows(&FACETS)?;
    let is_cut = &facets["is_at_least"];
    for (facet, counts) in [("kind", "kinds"), ("module", "modules"), ("scan", "scans")] {
        for count in facets[counts].as_array().into_iter().flatten() {
            let (name, findings) = (count["name"].clone(), count["findings"].clone());
            rows.push(vec![facet.into(), name, findings, is_cut.clone()])?;
        }
    }
    rows.end(Some(at.0))?;
    let count = facets["findings"].as_u64().unwrap_or_default();
    let least = if *is_cut == Value::Bool(true) {
        "≥ "
    } else {
        ""
    };
    let text = format_args!("{least}{count} findings as of position {at}");
    context.output.say(text);
    Ok(count)
}
