//! The graph of a scan of the company: what the findings say, in files that other programs read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mirage_faults::{program, skip};
use mirage_scenarios::Place;
use mirage_world::{Config, World};
use serde_json::Value;

/// How the script says that it found no NetworkX.
const NO_NETWORKX: i32 = 77;

type Edge = (String, String, String);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_graph_is_what_the_findings_say_and_other_programs_read_it() -> Result<()> {
    let world = World::start(Config::default()).await?;
    let place = Place::new()?;
    place
        .session(&world)?
        .usual(&world)
        .run()
        .await?
        .expect(&[0, 7])?;
    let edges = claimed(&place.objects(&["findings"]).await?)?;
    neighbours_are_the_ends_of_edges(&place, &edges).await?;
    paths_lead_from_the_seed(&place).await?;
    everything_hangs_together(&place).await?;
    for format in ["json", "graphml", "gexf", "dot"] {
        let file = place.home().join(format!("graph.{format}"));
        let file = file.to_str().context("a path that is text")?;
        let words = ["graph", "export", "--format", format, "--out", file];
        place.mirage(&words).await?.expect(&[0])?;
    }
    the_file_holds_the_edges(&place, &edges).await?;
    the_past_is_smaller(&place).await?;
    other_programs_read_it(&place)
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_default().to_owned()
}

fn name(object: &Value) -> String {
    format!("{}:{}", text(object, "kind"), text(object, "key"))
}

/// Subject, relation and object of every finding that joins two entities.
fn claimed(findings: &[Value]) -> Result<BTreeSet<Edge>> {
    let by_id: BTreeMap<String, &Value> = findings
        .iter()
        .map(|finding| (text(finding, "finding_id"), finding))
        .collect();
    let mut edges = BTreeSet::new();
    for finding in findings {
        let Some(id) = finding["parent_id"].as_str() else {
            continue;
        };
        let parent = name(by_id.get(id).context("a parent that is a finding")?);
        let (subject, object) = match text(finding, "direction").as_str() {
            "in" => (name(finding), parent),
            _ => (parent, name(finding)),
        };
        if subject != object {
            edges.insert((subject, text(finding, "relation"), object));
        }
    }
    ensure!(!edges.is_empty(), "the scan found nothing");
    Ok(edges)
}

async fn neighbours_are_the_ends_of_edges(place: &Place, edges: &BTreeSet<Edge>) -> Result<()> {
    let seed = edges.first().context("an edge")?.0.clone();
    let rows = place.objects(&["graph", "neighbors", &seed]).await?;
    let told: BTreeSet<Edge> = rows
        .iter()
        .map(|row| {
            let relation = text(row, "relation");
            match text(row, "direction").as_str() {
                "in" => (name(row), relation, seed.clone()),
                _ => (seed.clone(), relation, name(row)),
            }
        })
        .collect();
    let touches = |edge: &&Edge| edge.0 == seed || edge.2 == seed;
    let wanted: BTreeSet<Edge> = edges.iter().filter(touches).cloned().collect();
    ensure!(told == wanted, "told {told:?}, wanted {wanted:?}");
    let tree = place
        .mirage(&["graph", "neighbors", &seed])
        .await?
        .expect(&[0])?;
    ensure!(
        tree.text()?.starts_with(&format!("{seed}\n")),
        "{}",
        tree.text()?
    );
    Ok(())
}

/// Every entity was found on a way from the seed, so that a path leads to it.
async fn paths_lead_from_the_seed(place: &Place) -> Result<()> {
    let entities = place.objects(&["entities"]).await?;
    let seed = name(entities.first().context("a seed")?);
    let (last, mut longest) = (entities.len() - 1, 0);
    for entity in [&entities[1], &entities[last / 2], &entities[last]] {
        let words = ["graph", "path", &seed, &name(entity), "--max-hops", "12"];
        let paths = place.objects(&words).await?;
        let hops = |path: &Value| path["hops"].as_u64().unwrap_or_default();
        ensure!(paths.iter().all(|path| hops(path) >= 1), "{paths:?}");
        ensure!(paths.is_sorted_by_key(hops), "{paths:?}");
        longest = longest.max(paths.first().map(hops).unwrap_or_default());
    }
    ensure!(longest > 1, "the scan went nowhere");
    let nobody = ["graph", "path", &seed, "domain:nobody.invalid"];
    place.mirage(&nobody).await?.expect(&[3])?;
    Ok(())
}

async fn everything_hangs_together(place: &Place) -> Result<()> {
    let entities = place.objects(&["entities"]).await?;
    let components = place.objects(&["graph", "components"]).await?;
    let sizes = components.iter().filter_map(|part| part["size"].as_u64());
    ensure!(
        sizes.sum::<u64>() == entities.len() as u64,
        "{components:?}"
    );
    Ok(())
}

async fn the_file_holds_the_edges(place: &Place, edges: &BTreeSet<Edge>) -> Result<()> {
    let file: Value = serde_json::from_slice(&std::fs::read(place.home().join("graph.json"))?)?;
    let list = |member: &str| file[member].as_array().cloned().unwrap_or_default();
    let names: BTreeMap<String, String> = list("nodes")
        .iter()
        .map(|node| (text(node, "id"), name(node)))
        .collect();
    let entities = place.objects(&["entities"]).await?;
    let known: BTreeSet<String> = entities.iter().map(name).collect();
    ensure!(names.values().cloned().collect::<BTreeSet<_>>() == known);
    let told: BTreeSet<Edge> = list("edges")
        .iter()
        .map(|edge| {
            let end = |field| names[&text(edge, field)].clone();
            (end("source"), text(edge, "relation"), end("target"))
        })
        .collect();
    ensure!(&told == edges, "told {told:?}, wanted {edges:?}");
    Ok(())
}

async fn the_past_is_smaller(place: &Place) -> Result<()> {
    let nodes = async |at: &str| -> Result<usize> {
        let words = ["graph", "export", "--format", "dot", "--at", at];
        let ran = place.mirage(&words).await?.expect(&[0])?;
        let is_node = |line: &&str| line.contains("[label=") && !line.contains(" -> ");
        Ok(ran.text()?.lines().filter(is_node).count())
    };
    let head = place.history().await?.len();
    let (early, late) = (
        nodes(&(head / 2).to_string()).await?,
        nodes(&head.to_string()).await?,
    );
    ensure!(0 < early && early < late, "{early} nodes, then {late}");
    Ok(())
}

/// Reads the files by NetworkX, from the folder that `cargo xtask test` makes or the machine's own.
fn other_programs_read_it(place: &Place) -> Result<()> {
    let binary = program("mirage")?;
    let target = binary.parent().and_then(Path::parent);
    let own = target
        .context("a target folder")?
        .join("python/bin/python3");
    let is_own = own.exists();
    let python = if is_own { &own } else { Path::new("python3") };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/read_graphs.py");
    let what = "the graph's files read by NetworkX";
    let Ok(ran) = Command::new(python).arg(script).arg(place.home()).output() else {
        skip(what, "there is no python3");
        return Ok(());
    };
    if ran.status.code() == Some(NO_NETWORKX) {
        skip(what, "python3 has no networkx");
        return Ok(());
    }
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    ensure!(ran.status.success(), "{out}{err}");
    for line in out
        .lines()
        .filter_map(|line| line.strip_prefix("skipped: "))
    {
        skip(what, line);
    }
    Ok(())
}
