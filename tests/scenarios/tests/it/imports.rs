//! Files of other tools become scans, once, whole or not at all; scans leave for other programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use mirage_scenarios::{Place, ended_once, same, until};
use serde_json::{Value, json};

/// Events of the file that is killed: enough for many commits.
const MANY: usize = 6_000;

/// A BBOT scan: every name under the one before its own tens, every tenth with an address.
pub(crate) fn events(many: usize) -> Vec<Value> {
    let event = |n: usize| {
        let (parent, name) = match n {
            0 => ("SCAN:s".to_owned(), "company.example".to_owned()),
            n => (
                format!("DNS_NAME:{}", n / 10),
                format!("n{n}.company.example"),
            ),
        };
        json!({
            "type": "DNS_NAME", "id": format!("DNS_NAME:of-{n}"), "uuid": format!("DNS_NAME:{n}"),
            "data": name, "parent": parent, "parent_uuid": parent, "module": "crt",
            "discovery_context": format!("crt saw number {n}"), "tags": ["in-scope"],
        })
    };
    let scan = json!({
        "type": "SCAN", "id": "SCAN:s", "uuid": "SCAN:s", "parent": "SCAN:s", "parent_uuid": "SCAN:s",
        "data_json": {"name": "made", "target": {"seeds": ["company.example"]}}, "module": "SEED",
    });
    std::iter::once(scan).chain((0..many).map(event)).collect()
}

fn file(place: &Place, name: &str, events: &[Value]) -> Result<PathBuf> {
    let path = place.home().join(name);
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n"))?;
    Ok(path)
}

pub(crate) fn import(path: &std::path::Path) -> [&str; 4] {
    [
        "import",
        "--format",
        "bbot",
        path.to_str().unwrap_or_default(),
    ]
}

/// What was found without the file and the list of seeds.
fn things(findings: &[Value]) -> BTreeSet<(String, String)> {
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let pairs = findings.iter().map(|f| (text(f, "kind"), text(f, "key")));
    pairs.filter(|(kind, _)| kind != "file").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_import_of_the_same_file_adds_nothing_and_says_so() -> Result<()> {
    let place = Place::new()?;
    let path = file(&place, "scan.json", &events(50))?;
    place.mirage(&import(&path)).await?.expect(&[0])?;
    let before = place.history().await?.len();
    let again = place.mirage(&import(&path)).await?.expect(&[0])?;
    ensure!(again.err.contains("imported before"), "{}", again.err);
    // The same bytes under another name are the same import.
    let other = file(&place, "copy.json", &events(50))?;
    place.mirage(&import(&other)).await?.expect(&[0])?;
    ensure!(
        place.history().await?.len() == before,
        "something was added"
    );
    let scanned = place.scanned().await?;
    ended_once(&scanned)?;
    ensure!(scanned.claims.len() == 1 + 51, "{}", scanned.claims.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_record_hangs_under_its_parent_and_the_file_is_the_evidence() -> Result<()> {
    let place = Place::new()?;
    let path = file(&place, "scan.json", &events(200))?;
    place.mirage(&import(&path)).await?.expect(&[0])?;
    let findings = place.objects(&["findings"]).await?;
    let by_id: BTreeMap<_, _> = findings
        .iter()
        .map(|finding| (finding["finding_id"].as_str(), finding))
        .collect();
    let mut linked = 0;
    for finding in findings.iter().filter(|f| f["kind"] == "domain") {
        let parent = by_id
            .get(&finding["parent_id"].as_str())
            .context("a parent")?;
        if parent["kind"] == "domain" {
            let wanted = &finding["attributes"]["parent_uuid"];
            ensure!(parent["attributes"]["uuid"] == *wanted, "{finding}");
            linked += 1;
        }
        ensure!(finding["in_scope"] == true, "{finding}");
    }
    ensure!(linked == 199, "{linked} links");
    let evidence = findings[5]["evidence"][0].as_str().context("evidence")?;
    let kept = place.mirage(&["evidence", "get", evidence]).await?;
    ensure!(kept.expect(&[0])?.out == std::fs::read(&path)?);
    let why = findings[150]["finding_id"].as_str().context("an id")?;
    let why = place.mirage(&["why", why]).await?.expect(&[0])?;
    ensure!(why.text()?.contains("company.example"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_halves_hold_what_the_whole_holds() -> Result<()> {
    let whole = Place::new()?;
    let events = events(300);
    let path = file(&whole, "whole.json", &events)?;
    whole.mirage(&import(&path)).await?.expect(&[0])?;
    let wanted = things(&whole.objects(&["findings"]).await?);
    let halves = Place::new()?;
    for (name, half) in [("one", &events[..150]), ("two", &events[150..])] {
        let path = file(&halves, name, half)?;
        halves.mirage(&import(&path)).await?.expect(&[0])?;
    }
    let found = things(&halves.objects(&["findings", "--all"]).await?);
    ensure!(found == wanted, "{:?}", found.symmetric_difference(&wanted));
    let told = halves
        .mirage(&["log", "tail", "--after", "0", "-o", "jsonl"])
        .await?;
    ensure!(told.text()?.contains("parent-not-in-file"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_killed_goes_on_to_the_same_findings() -> Result<()> {
    let calm = Place::new()?;
    let events = events(MANY);
    let path = file(&calm, "scan.json", &events)?;
    calm.mirage(&import(&path)).await?.expect(&[0])?;
    let wanted = calm.scanned().await?;
    ensure!(wanted.claims.len() == MANY + 2, "{}", wanted.claims.len());
    let killed = Place::new()?;
    // Other places have other id keys and the same scan id: claims are compared by their names.
    for more in [8, 4] {
        let before = commits(&killed).await?;
        let running = killed.begin(&import(&path))?;
        until("some findings", async || {
            Ok((commits(&killed).await? >= before + more).then_some(()))
        })
        .await?;
        running.signal("KILL")?;
        running.end().await?;
    }
    let resumed = killed.mirage(&import(&path)).await?.expect(&[0])?;
    ensure!(resumed.err.contains("and goes on"), "{}", resumed.err);
    let scanned = killed.scanned().await?;
    ended_once(&scanned)?;
    same(&wanted.claims, &scanned.claims)
}

/// How many commits there are; none before there is a log.
async fn commits(place: &Place) -> Result<usize> {
    match place.data().join("log.db").exists() {
        true => Ok(place.history().await.map_or(0, |history| history.len())),
        false => Ok(0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_file_changes_nothing() -> Result<()> {
    let place = Place::new()?;
    let xxe = r#"<!DOCTYPE n [<!ENTITY a SYSTEM "file:///etc/passwd">]><nmaprun args="&a;"/>"#;
    let laughs = r#"<!DOCTYPE n [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><nmaprun>&b;</nmaprun>"#;
    let deep = format!("<nmaprun>{}", "<a>".repeat(200_000));
    let long = "x".repeat(64 * 1024 * 1024);
    for (format, bytes) in [
        ("nmap", xxe),
        ("nmap", laughs),
        ("nmap", &deep),
        ("nmap", "<nmaprun><host>"),
        ("nmap", &format!("<nmaprun args=\"{long}\"/>")),
        ("bbot", ""),
        ("bbot", "\u{1}\u{2}"),
        ("bbot", "\u{1f}\u{8b}"),
        ("bbot", &long),
        ("bbot", r#"{"type":"DNS_NAME","data":"\ud800"}"#),
        ("bbot", &"[".repeat(100_000)),
    ] {
        let path = place.home().join("bad");
        std::fs::write(&path, bytes)?;
        let path = path.to_str().context("a path")?;
        let ran = place.mirage(&["import", "--format", format, path]).await?;
        let said = ran.err.clone();
        let ran = ran.expect(&[2])?;
        ensure!(
            said.contains("bad_file") && said.contains("nothing was changed"),
            "{said}"
        );
        ensure!(ran.peak_kib < 200 * 1024, "{} KiB", ran.peak_kib);
        let made: Vec<_> = std::fs::read_dir(place.data())?.collect();
        ensure!(made.is_empty(), "{made:?}");
    }
    for missing in ["no/such/file", "."] {
        place
            .mirage(&["import", "--format", "bbot", missing])
            .await?
            .expect(&[2])?;
    }
    let unknown = place.mirage(&["import", "--format", "bbt", "x"]).await?;
    ensure!(
        unknown.err.contains("did you mean `bbot`?"),
        "{}",
        unknown.err
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_records_are_told_with_their_line_and_the_rest_is_imported() -> Result<()> {
    let place = Place::new()?;
    let good = events(3).iter().map(Value::to_string).collect::<Vec<_>>();
    let path = place.home().join("mixed");
    std::fs::write(
        &path,
        format!("{}\n{{oops\n{}", good[0], good[1..].join("\n")),
    )?;
    let ran = place.mirage(&import(&path)).await?.expect(&[0])?;
    ensure!(ran.err.contains("line 2"), "{}", ran.err);
    let scanned = place.scanned().await?;
    ensure!(scanned.claims.len() == 1 + 4, "{}", scanned.claims.len());
    let told = scanned
        .troubles
        .iter()
        .any(|trouble| format!("{trouble:?}").contains("line 2"));
    ensure!(told, "{:?}", scanned.troubles);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_leaves_as_cloud_events_and_as_a_table() -> Result<()> {
    let place = Place::new()?;
    let mut events = events(20);
    events[3]["data"] = json!("x.company.example");
    events[3]["type"] = json!("NEW_TYPE");
    events[3]["discovery_context"] = json!("=cmd()");
    let path = file(&place, "scan.json", &events)?;
    place.mirage(&import(&path)).await?.expect(&[0])?;
    let ran = place
        .mirage(&["export", "--format", "jsonl"])
        .await?
        .expect(&[0])?;
    let exported = ran.objects()?;
    let history = place.history().await?;
    let of_scan = history
        .iter()
        .filter(|commit| commit.commit.stream.scan.is_some());
    let wanted: Vec<String> = of_scan
        .flat_map(|recorded| recorded.entries().map(|(cursor, _)| cursor.to_string()))
        .collect();
    let sequence: Vec<&str> = exported
        .iter()
        .filter_map(|e| e["sequence"].as_str())
        .collect();
    ensure!(sequence == wanted, "{sequence:?}");
    for event in &exported {
        is_cloud_event(event)?;
    }
    // The same, into a file, and as it was before.
    let out = place.home().join("out.jsonl");
    let out = out.to_str().context("a path")?;
    place
        .mirage(&["export", "@last", "--format", "jsonl", "--out", out])
        .await?
        .expect(&[0])?;
    ensure!(std::fs::read(out)? == ran.out);
    let at = history[history.len() / 2].position.to_string();
    let early = place
        .mirage(&["export", "--format", "jsonl", "--at", &at])
        .await?
        .expect(&[0])?;
    ensure!(!early.out.is_empty() && ran.out.starts_with(&early.out) && early.out != ran.out);
    let table = place
        .mirage(&["export", "--format", "csv"])
        .await?
        .expect(&[0])?;
    let same = place
        .mirage(&["findings", "-o", "csv"])
        .await?
        .expect(&[0])?;
    ensure!(table.out == same.out && table.text()?.lines().count() == 1 + 22);
    let formula = |line: &str| {
        line.split(',')
            .any(|cell| cell.starts_with(['=', '+', '@', '\t']))
    };
    ensure!(!table.text()?.lines().any(formula));
    let lost = place
        .mirage(&["export", "scn_none", "--format", "csv", "--out", "lost"])
        .await?;
    lost.expect(&[3])?;
    ensure!(!place.home().join("lost").exists());
    Ok(())
}

/// The rules of the CloudEvents 1.0 JSON form: required attributes, their types, names of the extensions.
fn is_cloud_event(event: &Value) -> Result<()> {
    let event = event.as_object().context("an object")?;
    for required in ["specversion", "id", "source", "type"] {
        let text = event
            .get(required)
            .and_then(Value::as_str)
            .unwrap_or_default();
        ensure!(!text.is_empty(), "no {required}: {event:?}");
    }
    ensure!(event["specversion"] == "1.0");
    for (name, value) in event.iter().filter(|(name, _)| *name != "data") {
        let is_name = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        ensure!(is_name && value.is_string(), "{name}: {value}");
    }
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let kind = text("type").strip_prefix("mirage.").context("ours")?;
    let schema = text("dataschema")
        .strip_prefix("mirage:/")
        .context("a path")?;
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    ensure!(
        root.join(schema).is_file() && schema.contains(kind),
        "{schema}"
    );
    ensure!(text("time").ends_with('Z') && !text("subject").is_empty());
    let (commit, index) = text("id").split_once('.').context("COMMIT-ID.INDEX")?;
    ensure!(commit.len() == 36 && index.parse::<u32>()? > 0);
    ensure!(event.get("data").is_some_and(Value::is_object));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_s_commits_go_to_a_log_with_the_same_key_byte_for_byte() -> Result<()> {
    let place = Place::new()?;
    // A log with its key and without the scan: a copy from before it.
    let first = file(&place, "first.json", &events(2))?;
    place.mirage(&import(&first)).await?.expect(&[0])?;
    let other = Place::new()?;
    let copied = other.data().join("copy");
    let copy = copied.to_str().context("a path")?;
    place.mirage(&["log", "backup", copy]).await?.expect(&[0])?;
    let second = file(&place, "second.json", &events(400))?;
    place.mirage(&import(&second)).await?.expect(&[0])?;
    let out = place.home().join("scan.commits");
    let out = out.to_str().context("a path")?;
    let export = ["export", "@last", "--format", "commits", "--out", out];
    place.mirage(&export).await?.expect(&[0])?;
    let wanted = place.objects(&["findings"]).await?;
    let there = async |words: &[&str]| other.mirage_at(&copied, words).await;
    for times in 0..2 {
        let ran = there(&["import", "--format", "commits", out])
            .await?
            .expect(&[0])?;
        ensure!(
            ran.err.contains("nothing is added") == (times == 1),
            "{}",
            ran.err
        );
    }
    let found = there(&["findings", "@last", "-o", "jsonl"])
        .await?
        .expect(&[0])?
        .objects()?;
    let id = |finding: &Value| finding["finding_id"].to_string();
    let ids = |findings: &[Value]| findings.iter().map(id).collect::<BTreeSet<_>>();
    ensure!(ids(&found) == ids(&wanted) && found.len() == 402);
    there(&["log", "verify"]).await?.expect(&[0])?;
    // A damaged one changes nothing, here and in a log with another key.
    let stranger = Place::new()?;
    stranger.mirage(&import(&first)).await?.expect(&[0])?;
    let before = stranger.history().await?.len();
    let text = std::fs::read_to_string(out)?.replace("number 7\"", "number 8\"");
    std::fs::write(out, text)?;
    let damaged = ["import", "--format", "commits", out];
    there(&damaged).await?.expect(&[6])?;
    stranger.mirage(&damaged).await?.expect(&[6])?;
    ensure!(stranger.history().await?.len() == before);
    Ok(())
}
