//! Provenance as other programs read it, and what falls with a mark in a real scan.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use mirage_scenarios::{Place, python};
use mirage_world::{Config, World};
use serde_json::Value;

async fn scanned() -> Result<Place> {
    let world = World::start(Config {
        hosts: 6,
        ..Config::default()
    })
    .await?;
    let place = Place::new()?;
    let ran = place.session(&world)?.usual(&world).run().await?;
    ran.expect(&[0, 7])?;
    Ok(place)
}

async fn keys(place: &Place, more: &[&str]) -> Result<Vec<String>> {
    let words = [&["entities"], more].concat();
    let rows = place.objects(&words).await?;
    let mut keys: Vec<String> = rows.iter().map(|row| row["key"].to_string()).collect();
    keys.sort();
    Ok(keys)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_of_finding_something_is_a_provenance_document_that_others_read() -> Result<()> {
    let place = scanned().await?;
    let findings = place.objects(&["findings"]).await?;
    let samples: BTreeMap<_, _> = findings
        .iter()
        .map(|finding| (finding["module"].as_str(), finding["finding_id"].as_str()))
        .collect();
    let mut last = Value::Null;
    for (module, id) in samples {
        let (module, id) = (module.context("a module")?, id.context("an id")?);
        let why = place.mirage(&["why", id, "--prov"]).await?.expect(&[0])?;
        std::fs::write(place.home().join(format!("{module}.prov.json")), &why.out)?;
        last = serde_json::from_slice(&why.out)?;
    }
    // A finding that no task has made.
    let sections = last.as_object_mut().context("a document")?;
    sections.remove("wasGeneratedBy").context("generations")?;
    std::fs::write(place.home().join("bad.prov.json"), last.to_string())?;
    python::run(
        "provenance read by prov and pyshacl",
        "read_prov.py",
        place.home(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_hangs_on_a_false_positive_falls_and_comes_back() -> Result<()> {
    let place = scanned().await?;
    let before = keys(&place, &[]).await?;
    let seed = place.objects(&["findings", "--module", "seed"]).await?;
    let id = seed[0]["finding_id"].as_str().context("the seed")?;
    let mark = [
        "mark",
        id,
        "--false-positive",
        "--reason",
        "another company",
    ];
    let marked = place.objects(&mark).await?;
    let at = marked[0]["position"].as_u64().context("a position")?;
    // The only seed: everything falls with it, in every view.
    ensure!(keys(&place, &[]).await?.is_empty());
    ensure!(place.objects(&["search", "mirage"]).await?.is_empty());
    let graph = place
        .mirage(&["graph", "export", "--format", "json"])
        .await?;
    let graph: Value = serde_json::from_slice(&graph.expect(&[0])?.out)?;
    ensure!(
        graph["nodes"].as_array().is_some_and(Vec::is_empty),
        "{graph}"
    );
    let then = (at - 1).to_string();
    ensure!(keys(&place, &["--at", &then]).await? == before);
    let why = place.mirage(&["why", id]).await?.expect(&[0])?;
    let told = why.text()?;
    ensure!(
        told.contains("false-positive by") && told.contains("another company"),
        "{told}"
    );
    place.objects(&["unmark", id]).await?;
    ensure!(keys(&place, &[]).await? == before);
    ensure!(!place.objects(&["search", "mirage"]).await?.is_empty());
    Ok(())
}
