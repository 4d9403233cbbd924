//! `mirage graph path`: how two entities hang together, the shortest ways first.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::Position;
use mirage_domain::relation::Direction;
use mirage_projections::Projection as _;
use mirage_projections::graph::{Graph, HOPS_MAX, LOOKS_MAX, PATHS_MAX, Route};
use serde_json::{Value, json};

use crate::cli::findings::listed;
use crate::cli::global::AtArgument;
use crate::cli::{Answer, Context, ids, known};
use crate::output::{Failure, Field, Form, Listing, SafeText, Shape};
use crate::wire::remote::{Remote, as_of};

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

/// Paths as JSON, shortest first.
struct Found {
    paths: Vec<Value>,
    is_whole: bool,
    at: Position,
}

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let paths = match context.remote()? {
        Some(remote) => ask(&remote, arguments).await?,
        None => find(context, arguments).await?,
    };
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

/// The same over a server.
async fn ask(remote: &Remote, arguments: &Arguments) -> Result<Found, Failure> {
    super::relations(&arguments.relation)?;
    let query = vec![
        ("from", Some(arguments.from.clone())),
        ("to", Some(arguments.to.clone())),
        ("max_hops", Some(arguments.max_hops.to_string())),
        ("max_paths", Some(arguments.max_paths.to_string())),
        ("relation", listed(&arguments.relation)),
        ("scan", arguments.scan.clone()),
        ("at", arguments.at.sent()?),
    ];
    let mut answered = remote.get(&["graph", "paths"], &query).await?;
    let mut paths = match answered["paths"].take() {
        Value::Array(paths) => paths,
        _ => Vec::new(),
    };
    for hop in paths
        .iter_mut()
        .flat_map(|path| path["hops"].as_array_mut())
        .flatten()
    {
        let to = hop["to"].take();
        *hop = json!({ "links": hop["links"].take(), "node": to });
    }
    Ok(Found {
        paths,
        is_whole: answered["is_whole"] == true,
        at: as_of(&answered),
    })
}

async fn find(context: &Context, arguments: &Arguments) -> Result<Found, Failure> {
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
    let found = graph.paths(&route)?;
    Ok(Found {
        paths: found.paths.iter().map(|path| json!(path)).collect(),
        is_whole: found.is_whole,
        at: found.at,
    })
}

fn none(arguments: &Arguments, paths: &Found) -> Problem {
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

fn list(context: &Context, paths: &Found) -> Result<(), Failure> {
    let mut rows = context.output.rows(&LISTING)?;
    for path in &paths.paths {
        rows.push(vec![
            hops(path).len().into(),
            in_line(path).into(),
            path["from"].clone(),
            path["hops"].clone(),
        ])?;
    }
    rows.end(Some(paths.at.0))?;
    Ok(())
}

fn hops(path: &Value) -> &[Value] {
    path["hops"].as_array().map_or(&[], Vec::as_slice)
}

/// `KIND:KEY`, as the command line takes it.
fn written(node: &Value) -> String {
    let kind = node["kind"].as_str().unwrap_or_default();
    let key = node["key"].as_str().unwrap_or("(erased)");
    format!("{kind}:{key}")
}

/// `domain:a.example resolves-to → ip:192.0.2.1 …`.
fn in_line(path: &Value) -> String {
    let mut text = written(&path["from"]);
    for hop in hops(path) {
        let _ = write!(text, " {} {}", joined(hop), written(&hop["node"]));
    }
    text
}

fn draw(paths: &Found) -> Result<(), Failure> {
    let mut out = stdout().lock();
    for path in &paths.paths {
        writeln!(out, "{}", SafeText(&written(&path["from"])))?;
        for (depth, hop) in hops(path).iter().enumerate() {
            let (indent, name) = ("   ".repeat(depth), written(&hop["node"]));
            writeln!(out, "{indent}└─ {} {}", joined(hop), SafeText(&name))?;
        }
    }
    Ok(out.flush()?)
}

fn joined(hop: &Value) -> String {
    let link = |link: &Value| {
        let relation = link["relation"].as_str().unwrap_or_default();
        match link["direction"] == json!(Direction::Out) {
            true => format!("{relation} →"),
            false => format!("{relation} ←"),
        }
    };
    let links = hop["links"].as_array().into_iter().flatten();
    links.map(link).collect::<Vec<_>>().join(", ")
}
