//! `mirage graph path`: how two entities hang together, the shortest ways first.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};

use mirage_api::error::{Exit, Problem};
use mirage_domain::relation::Direction;
use mirage_projections::Projection as _;
use mirage_projections::graph::{
    Graph, HOPS_MAX, Hop, LOOKS_MAX, Link, PATHS_MAX, Path, Paths, Route,
};
use serde_json::json;

use super::written;
use crate::cli::global::AtArgument;
use crate::cli::{Answer, Context, ids, known};
use crate::output::{Failure, Field, Form, Listing, SafeText, Shape};

/// How two entities hang together: the shortest paths first, along relations in either direction
///
/// Exit codes: 0 ok, 2 usage or ambiguous, 3 no such entity or scan, or no path, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// KIND:KEY, or the beginning of an entity's id
    #[arg(value_name = "FROM")]
    from: String,
    /// KIND:KEY, or the beginning of an entity's id
    #[arg(value_name = "TO")]
    to: String,
    /// Longest path that is looked for
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=i64::from(HOPS_MAX)))]
    max_hops: u32,
    /// Most paths that are shown
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=i64::from(PATHS_MAX)))]
    max_paths: u32,
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
    key: "path",
    fields: &[
        Field::new("hops", Shape::Number),
        Field::new("path", Shape::Text),
        Field::more("from", Shape::Text),
        Field::more("steps", Shape::Text),
    ],
};

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let paths = find(context, arguments).await?;
    if paths.paths.is_empty() {
        return Err(none(arguments, &paths).into());
    }
    let is_tree = context.output.form == Form::Table && context.output.fields.is_empty();
    match is_tree {
        true => draw(&paths)?,
        false => list(context, &paths)?,
    }
    context.output.say_as_of(paths.at);
    if !paths.is_whole {
        context.output.say(format_args!(
            "the search ended after {LOOKS_MAX} neighbours; there may be more paths"
        ));
    }
    Ok(Exit::Done)
}

async fn find(context: &Context, arguments: &Arguments) -> Result<Paths, Failure> {
    let relations = super::relations(&arguments.relation)?;
    let views = context.views().await?;
    let catalog = views.reader(arguments.at.text())?;
    let scan = arguments.scan.as_deref();
    let scan = scan.map(|scan| ids::scan(&catalog, scan)).transpose()?;
    let from = ids::entity_id(context, &views, &catalog, &arguments.from).await?;
    let to = ids::entity_id(context, &views, &catalog, &arguments.to).await?;
    let db = views.db(Graph::NAME).await?;
    let graph = super::as_of(&db, &catalog, &arguments.at)?;
    let route = Route {
        from,
        to,
        hops_max: arguments.max_hops,
        paths_max: arguments.max_paths,
        scan,
        relations,
    };
    for (id, text) in [(from, &arguments.from), (to, &arguments.to)] {
        if graph.node(id, &route.among())?.is_none() {
            let detail = format!("`{text}` as of position {}", graph.position());
            return Err(Problem::new("no_such_entity", detail).into());
        }
    }
    Ok(graph.paths(&route)?)
}

fn none(arguments: &Arguments, paths: &Paths) -> Problem {
    let (from, to, hops) = (&arguments.from, &arguments.to, arguments.max_hops);
    let bound = match paths.is_whole {
        true => String::new(),
        false => format!("; the search ended after {LOOKS_MAX} neighbours, so there may be one"),
    };
    let detail = format!(
        "from `{from}` to `{to}` within {hops} hops as of position {}{bound}",
        paths.at
    );
    Problem::new("no_such_path", detail)
}

fn list(context: &Context, paths: &Paths) -> Result<(), Failure> {
    let mut rows = context.output.rows(&LISTING)?;
    for path in &paths.paths {
        rows.push(vec![
            path.hops.len().into(),
            in_line(path).into(),
            json!(path.from),
            json!(path.hops),
        ])?;
    }
    rows.end(Some(paths.at.0))?;
    Ok(())
}

/// `domain:a.example resolves-to → ip:192.0.2.1 …`.
fn in_line(path: &Path) -> String {
    let mut text = written(&path.from.name);
    for hop in &path.hops {
        let _ = write!(text, " {} {}", joined(hop), written(&hop.node.name));
    }
    text
}

fn draw(paths: &Paths) -> Result<(), Failure> {
    let mut out = stdout().lock();
    for path in &paths.paths {
        writeln!(out, "{}", SafeText(&written(&path.from.name)))?;
        for (depth, hop) in path.hops.iter().enumerate() {
            let (indent, name) = ("   ".repeat(depth), written(&hop.node.name));
            writeln!(out, "{indent}└─ {} {}", joined(hop), SafeText(&name))?;
        }
    }
    Ok(out.flush()?)
}

fn joined(hop: &Hop) -> String {
    let link = |link: &Link| match link.direction {
        Direction::Out => format!("{} →", link.relation),
        Direction::In => format!("{} ←", link.relation),
    };
    let links: Vec<String> = hop.links.iter().map(link).collect();
    links.join(", ")
}
