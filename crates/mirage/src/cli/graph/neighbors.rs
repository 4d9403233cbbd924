//! `mirage graph neighbors`: what is joined to an entity, by kind.

use std::fmt::Display;
use std::io::{Write, stdout};

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::EntityId;
use mirage_domain::relation::Direction;
use mirage_projections::PAGE_ROWS_MAX;
use mirage_projections::Projection as _;
use mirage_projections::graph::{
    Among, COUNTED_MAX, Graph, KindCount, Kinds, Neighbor, Node, Page, Reader,
};

use crate::cli::findings::listed;
use crate::cli::global::AtArgument;
use crate::cli::{Answer, Context, ids, known};
use crate::output::{Failure, Field, Form, Listing, SafeText, Shape, values};
use crate::wire::remote::Remote;

/// What is joined to an entity, by kind
///
/// A table is a tree with the first thousand of each kind; the other forms, and a server, list every neighbour.
///
/// Exit codes: 0 ok, 2 usage or ambiguous, 3 no such entity or scan, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// KIND:KEY, or the beginning of an entity's id
    #[arg(value_name = "ENTITY")]
    entity: String,
    /// Only neighbours of these kinds
    #[arg(long, add = known::kinds(), value_name = "KIND", value_delimiter = ',')]
    kind: Vec<String>,
    /// Only along these relations
    #[arg(long, add = known::relations(), value_name = "NAME", value_delimiter = ',')]
    relation: Vec<String>,
    /// Only what this scan claims [default: every scan]
    #[arg(long, add = known::scans(), value_name = "SCAN")]
    scan: Option<String>,
    #[command(flatten)]
    at: AtArgument,
}

static LISTING: Listing = Listing {
    key: "key",
    fields: &[
        Field::more("entity_id", Shape::Text),
        Field::new("kind", Shape::Text),
        Field::new("key", Shape::Text),
        Field::new("relation", Shape::Text),
        Field::new("direction", Shape::Text),
        Field::new("findings", Shape::Number),
        Field::new("confidence", Shape::Number),
        Field::more("modules", Shape::Text),
        Field::new("first_seen", Shape::Time),
        Field::new("last_seen", Shape::Time),
    ],
};

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let kinds: Result<Vec<_>, _> = arguments.kind.iter().map(|kind| ids::kind(kind)).collect();
    let (kinds, relations) = (kinds?, super::relations(&arguments.relation)?);
    if let Some(remote) = context.remote()? {
        return ask(context, &remote, arguments).await;
    }
    let views = context.views().await?;
    let catalog = views.reader(arguments.at.text())?;
    let scan = arguments.scan.as_deref();
    let scan = scan.map(|scan| ids::scan(&catalog, scan)).transpose()?;
    let id = ids::entity_id(context, &views, &catalog, &arguments.entity).await?;
    let db = views.db(Graph::NAME).await?;
    let graph = super::as_of(&db, &catalog, &arguments.at)?;
    let among = Among {
        scan,
        relations,
        kinds,
    };
    let absent = || {
        let detail = format!("`{}` as of position {}", arguments.entity, graph.position());
        Problem::new("no_such_entity", detail)
    };
    let is_tree = context.output.form == Form::Table && context.output.fields.is_empty();
    if is_tree {
        let node = graph.node(id, &among)?.ok_or_else(absent)?;
        tree(context, &graph, &node, &among)?;
    } else if graph.holds(id, &among)? {
        list(context, &graph, id, &among)?;
    } else {
        return Err(absent().into());
    }
    Ok(Exit::Done)
}

/// The same over a server, as a list.
async fn ask(context: &Context, remote: &Remote, arguments: &Arguments) -> Answer {
    let query = vec![
        ("kind", listed(&arguments.kind)),
        ("relation", listed(&arguments.relation)),
        ("scan", arguments.scan.clone()),
        ("at", arguments.at.sent()?),
    ];
    let path = ["entities", &arguments.entity, "neighbors"];
    let (_, at) = remote.list(context, &LISTING, &path, &query).await?;
    context.output.say_as_of(at);
    Ok(Exit::Done)
}

fn list(context: &Context, graph: &Reader<'_>, id: EntityId, among: &Among) -> Result<(), Failure> {
    let mut rows = context.output.rows(&LISTING)?;
    let mut page = Page::first(PAGE_ROWS_MAX);
    loop {
        let listed = graph.expand(id, among, &page)?;
        for neighbor in &listed.rows {
            rows.push(values(&LISTING, neighbor))?;
        }
        match listed.next {
            Some(next) => page = page.after(next),
            None => break,
        }
    }
    rows.end(Some(graph.position().0))?;
    Ok(())
}

/// The entity, below it a branch a kind, below that a leaf a relation.
fn tree(context: &Context, graph: &Reader<'_>, node: &Node, among: &Among) -> Result<(), Failure> {
    let id = node.name.entity_id;
    let counts = graph.kinds(id, among)?;
    let mut out = stdout().lock();
    writeln!(out, "{}", SafeText(&super::written(&node.name)))?;
    let last = counts.kinds.len().saturating_sub(1);
    for (at, KindCount { kind, count }) in counts.kinds.iter().enumerate() {
        let (branch, below) = match at == last {
            true => ("└─", "  "),
            false => ("├─", "│ "),
        };
        writeln!(out, "{branch} {kind} ({count})")?;
        let of_kind = Among {
            kinds: vec![*kind],
            ..among.clone()
        };
        let mut page = graph.expand(id, &of_kind, &Page::first(PAGE_ROWS_MAX))?;
        page.rows.sort_by(|a, b| a.name.key.cmp(&b.name.key));
        let mut leaves: Vec<String> = page.rows.iter().map(leaf).collect();
        leaves.extend(
            page.next
                .map(|_| format!("… and more: -o jsonl --kind {kind} lists them")),
        );
        branches(&mut out, below, &leaves)?;
    }
    out.flush()?;
    tell(context, &counts);
    Ok(())
}

fn branches(out: &mut dyn Write, below: &str, leaves: &[impl Display]) -> Result<(), Failure> {
    for (at, leaf) in leaves.iter().enumerate() {
        let branch = if at + 1 == leaves.len() {
            "└─"
        } else {
            "├─"
        };
        writeln!(out, "{below} {branch} {leaf}")?;
    }
    Ok(())
}

fn leaf(neighbor: &Neighbor) -> String {
    let arrow = match neighbor.direction {
        Direction::Out => "→",
        Direction::In => "←",
    };
    let key = neighbor.name.key.as_deref().unwrap_or("(erased)");
    let (relation, findings) = (neighbor.relation, neighbor.findings);
    let times = match findings {
        1 => String::new(),
        findings => format!(" ({findings} findings)"),
    };
    format!("{relation} {arrow} {}{times}", SafeText(key))
}

fn tell(context: &Context, counts: &Kinds) {
    let at = counts.at;
    match (counts.kinds.is_empty(), counts.is_whole) {
        (true, _) => context
            .output
            .say(format_args!("no neighbours as of position {at}")),
        (false, true) => context.output.say(format_args!("as of position {at}")),
        (false, false) => context.output.say(format_args!(
            "counted the first {COUNTED_MAX} neighbours as of position {at}; there are more"
        )),
    }
}
