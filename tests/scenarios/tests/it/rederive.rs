//! Today's modules over what a scan kept: no packet, the same findings, a word on bad evidence.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use mirage_scenarios::Place;
use mirage_world::{Config, World};
use rusqlite::Connection;
use serde_json::Value;

type Claim = (String, String, String, String);

/// A scan's claims as (module, kind, key, relation).
async fn claims(place: &Place, scan: &str) -> Result<BTreeSet<Claim>> {
    let text = |object: &Value, field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let findings = place.objects(&["findings", scan]).await?;
    let claim = |finding: &Value| {
        (
            text(finding, "module"),
            text(finding, "kind"),
            text(finding, "key"),
            text(finding, "relation"),
        )
    };
    Ok(findings.iter().map(claim).collect())
}

async fn scanned(world: &World) -> Result<Place> {
    let place = Place::new()?;
    let ran = place.session(world)?.usual(world).run().await?;
    ran.expect(&[0, 7])?;
    Ok(place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_is_derived_anew_from_its_evidence_without_a_network() -> Result<()> {
    let world = World::start(Config::default()).await?;
    let place = scanned(&world).await?;
    let first = claims(&place, "@last").await?;
    // Files on this machine (routes, places) are read as they are today; the company itself must not be asked.
    let asked = world.counts();
    let ran = place
        .mirage(&["rederive", "@last", "--exit-code", "-o", "jsonl"])
        .await?;
    let differences = ran.expect(&[0, 1])?.objects()?;
    let again = claims(&place, "@last").await?;
    let lost: Vec<_> = first.difference(&again).collect();
    let more: Vec<_> = again.difference(&first).collect();
    ensure!(
        lost.is_empty() && more.is_empty(),
        "lost {lost:#?}\nmore {more:#?}\n{differences:?}"
    );
    let scan = place.scan("@last").await?;
    ensure!(scan["origin"] == "rederivation", "{scan}");
    ensure!(scan["of_scan"].is_string(), "{scan}");
    ensure!(scan["requests"] == 0, "{scan}");
    ensure!(world.counts() == asked, "the company was asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_and_missing_evidence_is_named_before_anything_is_derived() -> Result<()> {
    let world = World::start(Config {
        hosts: 3,
        ..Config::default()
    })
    .await?;
    let place = scanned(&world).await?;
    let findings = place.objects(&["findings", "--module", "tls"]).await?;
    let cited = |at: usize| findings[at]["evidence"][0].as_str();
    let damaged = cited(0).context("evidence")?.to_owned();
    let missing = (1..findings.len())
        .filter_map(cited)
        .find(|digest| *digest != damaged);
    let missing = missing.context("other evidence")?.to_owned();
    let before = place.history().await?.len();
    let small = Connection::open(place.data().join("evidence/small.db"))?;
    let changed = small.execute(
        "UPDATE items SET bytes = x'00' WHERE lower(hex(digest)) = ?1",
        [&damaged],
    )?;
    let gone = small.execute(
        "DELETE FROM items WHERE lower(hex(digest)) = ?1",
        [&missing],
    )?;
    ensure!((changed, gone) == (1, 1));
    let finding = findings[0]["finding_id"].as_str().context("an id")?;
    for words in [
        &["rederive", "@last", "-o", "jsonl"][..],
        &["evidence", "verify", "-o", "jsonl"][..],
    ] {
        let ran = place.mirage(words).await?;
        let told = String::from_utf8_lossy(&ran.out).into_owned();
        ran.expect(&[6])?;
        ensure!(told.contains(&damaged) && told.contains(&missing), "{told}");
    }
    let why = place.mirage(&["why", finding]).await?;
    let told = String::from_utf8_lossy(&why.out).into_owned();
    why.expect(&[6])?;
    ensure!(told.contains(&damaged) && told.contains("FAILED"), "{told}");
    ensure!(
        place.history().await?.len() == before,
        "something was written"
    );
    Ok(())
}
