//! `/search`: findings by the words of their keys and attributes, and by parts of their keys.

use axum::extract::State;
use mirage_domain::entity::Kind;
use mirage_domain::id::{EntityId, FindingId, ModuleName, Position, ScanId};
use mirage_projections::Projection;
use mirage_projections::catalog::Count;
use mirage_projections::search::{self, Filter, Query as Words, Reader, Search};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{One, Page, Refusal};
use super::query::{List, Query, list_query, read_query, words};
use super::{Shared, ids};
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Asking;

/// A finding that matches, by the newest of its claims that do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hit {
    #[schema(value_type = String)]
    finding_id: FindingId,
    #[schema(value_type = String)]
    scan_id: ScanId,
    module: String,
    #[schema(value_type = String)]
    kind: Kind,
    /// Null once it was erased.
    key: Option<String>,
    #[schema(value_type = String)]
    entity_id: EntityId,
    /// The attribute that holds a word of the query, cut to its surroundings.
    snippet: Option<String>,
    #[schema(value_type = u64)]
    position: Position,
}

impl From<search::Hit> for Hit {
    fn from(hit: search::Hit) -> Self {
        Self {
            finding_id: hit.finding_id,
            scan_id: hit.scan_id,
            module: hit.module,
            kind: hit.kind,
            key: hit.key,
            entity_id: hit.entity_id,
            snippet: hit.snippet,
            position: hit.position,
        }
    }
}

list_query! {
    /// What is looked for.
    SearchFindings {
        /// Words, "phrases", begin*, -not, kind:KIND, module:NAME, scan:SCAN; all must match.
        q: String,
        /// Of these kinds.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        kind: Vec<Kind>,
        /// Found by these modules.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        module: Vec<ModuleName>,
        /// Of these scans: ids, or beginnings of them.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        scan: Vec<String>,
    }
}

/// Findings that match; what fits a page is ranked, more is newest first
#[utoipa::path(get, path = "/search", operation_id = "search", tag = "search",
    params(SearchFindings), responses((status = 200, body = Page<Hit>)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    list: List,
    Query(query): Query<SearchFindings>,
) -> Result<Page<Hit>, Refusal> {
    let (after, moment, limit) = query.page(&list)?;
    let parsed = parse(&query.q)?;
    let found = gateway.ask_with(Search::NAME, &who, &moment, move |asking, db| {
        let filter = filter(asking, &parsed, (&query.scan, query.kind, query.module))?;
        db.exclude(asking.catalog.fallen()?)?;
        let at = Some(asking.catalog.position());
        let reader = Reader::new(db, asking.catalog.workspace_id(), at)?;
        Ok(reader.search(&parsed, &filter, &search::Page { after, limit })?)
    });
    let found = found.await?;
    Ok(Page {
        items: found.hits.into_iter().map(Hit::from).collect(),
        as_of: found.at,
        next_cursor: list.cursor(found.next),
    })
}

/// A name and how many.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counted {
    name: String,
    findings: u64,
}

/// Counts of what matches, most first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Facets {
    findings: u64,
    kinds: Vec<Counted>,
    modules: Vec<Counted>,
    scans: Vec<Counted>,
    /// There are more: every count is "at least".
    is_at_least: bool,
}

read_query! {
    /// What is counted.
    CountSearch {
        /// Words, "phrases", begin*, -not, kind:KIND, module:NAME, scan:SCAN; all must match.
        q: String,
        /// Of these scans: ids, or beginnings of them.
        #[serde(default, deserialize_with = "words")]
        #[param(value_type = Vec<String>, style = Form, explode = false)]
        scan: Vec<String>,
    }
}

/// How many findings match, by kind, module and scan
#[utoipa::path(get, path = "/search/facets", operation_id = "count_search", tag = "search",
    params(CountSearch), responses((status = 200, body = One<Facets>)))]
pub(crate) async fn facets(
    State(gateway): Shared,
    who: Principal,
    Query(query): Query<CountSearch>,
) -> Result<One<Facets>, Refusal> {
    let parsed = parse(&query.q)?;
    let moment = query.moment();
    let counted = gateway.ask_with(Search::NAME, &who, &moment, move |asking, db| {
        let filter = filter(asking, &parsed, (&query.scan, Vec::new(), Vec::new()))?;
        db.exclude(asking.catalog.fallen()?)?;
        let as_of = asking.catalog.position();
        let reader = Reader::new(db, asking.catalog.workspace_id(), Some(as_of))?;
        let facets = reader.facets(&parsed, &filter)?;
        let thing = Facets {
            findings: facets.findings,
            kinds: counted(facets.kinds),
            modules: counted(facets.modules),
            scans: counted(facets.scans),
            is_at_least: facets.is_cut,
        };
        Ok(One { thing, as_of })
    });
    Ok(counted.await?)
}

fn counted(counts: Vec<Count>) -> Vec<Counted> {
    let counted = |Count { name, count }| Counted {
        name,
        findings: count,
    };
    counts.into_iter().map(counted).collect()
}

fn parse(text: &str) -> Result<Words, Problem> {
    Words::parse(text).map_err(|error| Problem::new("bad_query", &error).try_this(error.hint()))
}

/// What the query and the parameters say together; names of one kind are alternatives.
fn filter(
    asking: &Asking<'_>,
    query: &Words,
    (scans, kinds, modules): (&[String], Vec<Kind>, Vec<ModuleName>),
) -> Result<Filter, Problem> {
    let mut filter = query.filter(|scan| ids::scan(asking, scan))?;
    for scan in scans {
        filter.scans.push(ids::scan(asking, scan)?);
    }
    filter.kinds.extend(kinds);
    filter.modules.extend(modules);
    Ok(filter)
}
