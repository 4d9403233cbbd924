//! The whole way: an active scan of the company, and every question about it afterwards.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use mirage_faults::scan::COMPANY;
use mirage_scenarios::{Place, all_ports};
use mirage_world::{Claim, Config, World};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// DESIGN §7: the fields of a finding.
const FINDING: [&str; 16] = [
    "finding_id",
    "scan_id",
    "task_id",
    "module",
    "kind",
    "key",
    "attributes",
    "relation",
    "direction",
    "parent_id",
    "in_scope",
    "confidence",
    "observed_at",
    "recorded_at",
    "position",
    "evidence",
];
/// DESIGN §7: the fields of a scan.
const SCAN: [&str; 12] = [
    "scan_id",
    "name",
    "seeds",
    "profile",
    "state",
    "started_at",
    "finished_at",
    "tasks",
    "findings",
    "entities",
    "failures",
    "position",
];
pub(crate) type Findings = Vec<Value>;

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_scan_finds_what_is_there_and_explains_it() -> Result<()> {
    let world = World::start(Config::default()).await?;
    let place = Place::new()?;
    let session = place.session(&world)?;
    let ran = session
        .with(&[
            "--allow-private",
            COMPANY,
            "--rate",
            "0",
            "--ports",
            &all_ports(&world),
        ])
        .run()
        .await?;
    ran.expect(&[0, 7])?;
    let findings = place.objects(&["findings"]).await?;
    each_claim_is_found_by_its_module_alone(&world, &findings)?;
    nothing_hidden_is_found(&world, &findings)?;
    findings_have_their_fields(&findings)?;
    scans_have_their_fields(&place, &findings).await?;
    every_kind_of_finding_explains_itself(&place, &findings).await?;
    evidence_is_what_its_hash_says(&place, &findings).await?;
    the_log_verifies_and_views_are_folds(&place).await?;
    ensure!(world.canary() == 0, "the canary was touched");
    Ok(())
}

fn entity(finding: &Value) -> (&str, &str) {
    (text(finding, "kind"), text(finding, "key"))
}

/// What is reached from the seeds by the findings of all modules but some. The links of a chain inside one task hang on
/// that very chain; what another task began with, it had from any module.
fn reached<'a>(findings: &'a Findings, without: &[&str]) -> BTreeSet<(&'a str, &'a str)> {
    let by_id: BTreeMap<_, _> = findings
        .iter()
        .map(|finding| (text(finding, "finding_id"), finding))
        .collect();
    let (mut known, mut ids) = (BTreeSet::new(), BTreeSet::new());
    loop {
        let before = ids.len();
        for finding in findings {
            let parent = by_id.get(text(finding, "parent_id"));
            let is_reached = parent.is_none_or(|parent| {
                let is_chain = parent["task_id"] == finding["task_id"];
                ids.contains(text(parent, "finding_id"))
                    || !is_chain && known.contains(&entity(parent))
            });
            if is_reached && !without.contains(&text(finding, "module")) {
                ids.insert(text(finding, "finding_id"));
                known.insert(entity(finding));
            }
        }
        if ids.len() == before {
            return known;
        }
    }
}

/// What the world has for one module alone and that module has not found; `without` did not run, or not everywhere.
pub(crate) fn missed<'a>(
    world: &'a World,
    findings: &Findings,
    without: &[&str],
) -> Vec<&'a Claim> {
    let found: BTreeSet<_> = findings
        .iter()
        .map(|finding| (text(finding, "module"), entity(finding)))
        .collect();
    let is_missed = |claim: &&Claim| {
        !without.contains(&claim.module)
            && !found.contains(&(claim.module, (claim.kind, &*claim.key)))
    };
    world.expected().only.iter().filter(is_missed).collect()
}

/// A name's own certificate and page name it as well, but only once it is known: so what counts is the way to it.
fn each_claim_is_found_by_its_module_alone(world: &World, findings: &Findings) -> Result<()> {
    let missed = missed(world, findings, &[]);
    ensure!(missed.is_empty(), "missed: {missed:#?}");
    let modules: BTreeSet<&str> = world
        .expected()
        .only
        .iter()
        .map(|claim| claim.module)
        .collect();
    for module in modules {
        let without = reached(findings, family(&module));
        let mut own = world.expected().of(module);
        let shared = own.find(|entity| without.contains(entity));
        ensure!(shared.is_none(), "found without {module}: {shared:?}");
    }
    Ok(())
}

/// The modules that read the same place as one: a link is also text, the sweep around an address asks for its names, and
/// a mail policy authorises mail servers and their addresses.
fn family<'a>(module: &'a &'static str) -> &'a [&'static str] {
    match *module {
        "crawl" => &["crawl", "extract"],
        "dns" => &["dns", "mail-policy"],
        "dns-records" => &["dns-records", "mail-policy"],
        "reverse-dns" => &["reverse-dns", "reverse-sweep"],
        _ => std::slice::from_ref(module),
    }
}

pub(crate) fn nothing_hidden_is_found(world: &World, findings: &Findings) -> Result<()> {
    let found: BTreeSet<_> = findings.iter().map(entity).collect();
    let never = world.expected().never.iter();
    let wrong: Vec<_> = never
        .filter(|(kind, key)| found.contains(&(*kind, &**key)))
        .collect();
    ensure!(wrong.is_empty(), "what must not be found: {wrong:?}");
    Ok(())
}

fn fields(object: &Value) -> BTreeSet<&str> {
    object
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys().map(String::as_str))
        .collect()
}

fn findings_have_their_fields(findings: &Findings) -> Result<()> {
    for finding in findings {
        ensure!(fields(finding) == BTreeSet::from(FINDING), "{finding}");
        let is_seed = text(finding, "module") == "seed";
        ensure!(finding["parent_id"].is_null() == is_seed, "{finding}");
        ensure!(
            is_seed
                || finding["evidence"]
                    .as_array()
                    .is_some_and(|all| !all.is_empty()),
            "{finding}"
        );
    }
    Ok(())
}

async fn scans_have_their_fields(place: &Place, findings: &Findings) -> Result<()> {
    let scans = place.objects(&["scans"]).await?;
    let [scan] = &*scans else {
        anyhow::bail!("{} scans", scans.len());
    };
    ensure!(fields(scan) == BTreeSet::from(SCAN), "{scan}");
    ensure!(text(scan, "state") == "finished", "{scan}");
    ensure!(
        scan["findings"] == findings.len(),
        "{} findings in {scan}",
        findings.len()
    );
    Ok(())
}

/// One finding of each module and kind, which is every way in which something becomes known.
async fn every_kind_of_finding_explains_itself(place: &Place, findings: &Findings) -> Result<()> {
    let samples: BTreeMap<_, _> = findings
        .iter()
        .map(|finding| ((text(finding, "module"), text(finding, "kind")), finding))
        .collect();
    for finding in samples.values() {
        let id = text(finding, "finding_id");
        let why = place.mirage(&["why", id, "--json"]).await?.expect(&[0])?;
        let why: Value = serde_json::from_slice(&why.out)?;
        ensure!(why["reaches_seed"] == true, "{why}");
        let steps = why["steps"].as_array().context("steps")?;
        let first = why["chains"][0].as_array().context("a chain")?;
        let last = &steps[first.len() - 1];
        ensure!(last["finding"]["module"] == "seed", "{last}");
        let is_explained = steps
            .iter()
            .all(|step| step["task"]["module_version"].is_number());
        ensure!(is_explained, "a step without its module's version: {why}");
    }
    Ok(())
}

async fn evidence_is_what_its_hash_says(place: &Place, findings: &Findings) -> Result<()> {
    let samples: BTreeMap<_, _> = findings
        .iter()
        .filter_map(|finding| Some((text(finding, "module"), finding["evidence"][0].as_str()?)))
        .collect();
    for (module, hash) in samples {
        let got = place
            .mirage(&["evidence", "get", hash])
            .await?
            .expect(&[0])?;
        let digest = Sha256::digest(&got.out);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        ensure!(digest == hash, "{module}: {hash} is {digest}");
    }
    Ok(())
}

async fn the_log_verifies_and_views_are_folds(place: &Place) -> Result<()> {
    place.mirage(&["log", "verify"]).await?.expect(&[0])?;
    let views = place.objects(&["views", "ls"]).await?;
    ensure!(!views.is_empty(), "no views");
    for view in &views {
        let name = text(view, "view");
        let live = place.mirage(&["views", "dump", name]).await?.expect(&[0])?;
        place
            .mirage(&["views", "rebuild", name])
            .await?
            .expect(&[0])?;
        let anew = place.mirage(&["views", "dump", name]).await?.expect(&[0])?;
        ensure!(
            !live.out.is_empty() && live.out == anew.out,
            "{name} is not the fold of the log"
        );
    }
    Ok(())
}
