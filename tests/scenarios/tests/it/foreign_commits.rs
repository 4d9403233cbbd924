//! Commits of another log whose id key is another one: their findings become a scan of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use mirage_scenarios::{Place, ended_once};
use mirage_world::{Config, World};
use serde_json::Value;

/// Kind and key, relation and direction, and the same of the parent: what a finding claims, whatever the id key.
type Said = (String, String, String, String, Option<(String, String)>);

/// What was found, without the root of an import; what hangs under it alone stands as a seed.
fn said(findings: &[Value]) -> BTreeSet<Said> {
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let named = |finding: &Value| (text(finding, "kind"), text(finding, "key"));
    let by_id: BTreeMap<_, _> = (findings.iter())
        .map(|finding| (text(finding, "finding_id"), finding))
        .collect();
    let is_root = |finding: &Value| finding["kind"] == "file" && finding["parent_id"].is_null();
    let seen = findings.iter().filter(|finding| !is_root(finding));
    seen.map(|finding| {
        let parent = by_id.get(&text(finding, "parent_id"));
        let parent = parent
            .filter(|parent| !is_root(parent))
            .map(|parent| named(parent));
        let (relation, direction) = match parent {
            Some(_) => (text(finding, "relation"), text(finding, "direction")),
            None => (String::new(), String::new()),
        };
        let (kind, key) = named(finding);
        (kind, key, relation, direction, parent)
    })
    .collect()
}

async fn exported(place: &Place) -> Result<String> {
    let out = place.home().join("scan.commits");
    let out = out.to_str().context("a path")?.to_owned();
    let export = ["export", "@last", "--format", "commits", "--out", &out];
    place.mirage(&export).await?.expect(&[0])?;
    Ok(out)
}

fn import(path: &str) -> [&str; 4] {
    ["import", "--format", "commits", path]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_of_a_log_with_another_key_keep_what_they_say_and_their_parents() -> Result<()> {
    let world = World::start(Config::default()).await?;
    let source = Place::new()?;
    source
        .session(&world)?
        .usual(&world)
        .run()
        .await?
        .expect(&[0, 7])?;
    let path = exported(&source).await?;
    let wanted = source.objects(&["findings"]).await?;
    let place = Place::new()?;
    let ran = place.mirage(&import(&path)).await?.expect(&[0])?;
    ensure!(ran.err.contains("its findings are imported"), "{}", ran.err);
    let found = place.objects(&["findings", "@last"]).await?;
    let (wanted_said, found_said) = (said(&wanted), said(&found));
    ensure!(wanted_said.len() > 50, "{}", wanted_said.len());
    let lost: Vec<_> = wanted_said.difference(&found_said).collect();
    let gained: Vec<_> = found_said.difference(&wanted_said).collect();
    ensure!(
        lost.is_empty() && gained.is_empty(),
        "lost {lost:#?}, gained {gained:#?}"
    );
    the_source_is_told(&wanted, &found)?;
    ended_once(&place.scanned().await?)?;
    // Once more, by another name and through a pipe: it is the same import.
    let before = place.history().await?.len();
    let again = place.mirage(&import(&path)).await?.expect(&[0])?;
    ensure!(again.err.contains("nothing is added"), "{}", again.err);
    let copy = place.home().join("copy");
    std::fs::copy(&path, &copy)?;
    let copy = copy.to_str().context("a path")?;
    place.mirage(&import(copy)).await?.expect(&[0])?;
    ensure!(
        place.history().await?.len() == before,
        "something was added"
    );
    // The source itself has them all, and appends nothing.
    let before = source.history().await?.len();
    source.mirage(&import(&path)).await?.expect(&[0])?;
    ensure!(
        source.history().await?.len() == before,
        "something was added"
    );
    Ok(())
}

/// Each finding names the one of the source that it was, its scan and its module, and has the same scope.
fn the_source_is_told(wanted: &[Value], found: &[Value]) -> Result<()> {
    let by_id: BTreeMap<_, _> = (wanted.iter())
        .map(|finding| (finding["finding_id"].as_str(), finding))
        .collect();
    for finding in found.iter().filter(|f| !f["parent_id"].is_null()) {
        let of = |name: &str| &finding["attributes"][name];
        let source = by_id.get(&of("source_finding").as_str());
        let source = source.with_context(|| format!("no source: {finding}"))?;
        ensure!(of("source_scan") == &source["scan_id"], "{finding}");
        ensure!(of("source_module") == &source["module"], "{finding}");
        ensure!(of("source_task") == &source["task_id"], "{finding}");
        ensure!(
            finding["in_scope"] == source["in_scope"],
            "{source} {finding}"
        );
        ensure!(finding["confidence"] == source["confidence"], "{finding}");
        ensure!(finding["module"] == "commits");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_go_on_otherwise_here_come_as_findings() -> Result<()> {
    let place = Place::new()?;
    let file = place.home().join("made.json");
    let event = r#"{"type":"DNS_NAME","id":"a","uuid":"a","data":"a.example","parent":"a"}"#;
    std::fs::write(&file, event)?;
    let bbot = [
        "import",
        "--format",
        "bbot",
        file.to_str().context("a path")?,
    ];
    place.mirage(&bbot).await?.expect(&[0])?;
    let copied = place.home().join("copy");
    let copy = copied.to_str().context("a path")?;
    place.mirage(&["log", "backup", copy]).await?.expect(&[0])?;
    // The two go on with the same stream, each in its own way.
    for data in [place.data(), Path::new(copy)] {
        let archive = ["scans", "archive", "@last"];
        place.mirage_at(data, &archive).await?.expect(&[0])?;
    }
    let path = exported(&place).await?;
    let there = async |words: &[&str]| place.mirage_at(&copied, words).await;
    let ran = there(&import(&path)).await?.expect(&[0])?;
    ensure!(ran.err.contains("goes on otherwise here"), "{}", ran.err);
    let again = there(&import(&path)).await?.expect(&[0])?;
    ensure!(again.err.contains("nothing is added"), "{}", again.err);
    let found = there(&["findings", "@last", "-o", "jsonl"])
        .await?
        .expect(&[0])?
        .objects()?;
    let is_there = |found: &Value| found["key"] == "a.example" && found["module"] == "commits";
    ensure!(found.iter().any(is_there), "{found:?}");
    there(&["log", "verify"]).await?.expect(&[0])?;
    Ok(())
}

/// The source holds a file of its own, which its import has read, and which this one does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_another_log_has_imported_is_not_read_again() -> Result<()> {
    let source = Place::new()?;
    let file = source.home().join("hosts.ndjson");
    let record =
        r#"{"type":"DNS_NAME","id":"DNS_NAME:1","data":"a.example.com","parent":"SCAN:1"}"#;
    std::fs::write(&file, format!("{record}\n"))?;
    let file = file.to_str().context("a path")?;
    let read = ["import", "--format", "bbot", file];
    source.mirage(&read).await?.expect(&[0])?;
    let path = exported(&source).await?;
    let place = Place::new()?;
    let ran = place.mirage(&import(&path)).await?.expect(&[0])?;
    let found = place.objects(&["findings", "@last"]).await?;
    ensure!(
        found.iter().any(|finding| finding["kind"] == "domain"),
        "{found:?}"
    );
    let said = format!("{}{}", ran.err, ran.text()?);
    ensure!(!said.contains("unavailable"), "{said}");
    Ok(())
}
