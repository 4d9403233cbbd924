//! The company with every trap set: the scan ends, stays small and says what went wrong.

use std::time::Duration;

use anyhow::{Result, ensure};
use mirage_faults::scan::{Claim, Scanned};
use mirage_scenarios::Place;
use mirage_world::{Config, Trap, World};

use crate::whole::{missed, nothing_hidden_is_found};

/// Two slow pages of 30 s, one after the other, as `http` and then as `crawl` meet them, make most of it.
const END_MAX: Duration = Duration::from_secs(240);
/// DESIGN §8's bound for the embedded node, in KiB.
const RESIDENT_MAX_KIB: u64 = 256 * 1024;
/// Traps whose answer never ends, or not as it promised: what is kept of it must be marked as cut.
const CUT: [&str; 6] = [
    "deep-html",
    "endless-body",
    "gzip-bomb",
    "long-length",
    "lying-chunks",
    "slow-body",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_company_is_scanned_within_bounds_and_every_trap_leaves_a_trace() -> Result<()> {
    let world = World::start(Config {
        hostile: true,
        ..Config::default()
    })
    .await?;
    let place = Place::new()?;
    let running = place.session(&world)?.usual(&world).start()?;
    let ran = running.end_within(END_MAX).await?.expect(&[0, 7])?;
    ensure!(
        ran.peak_kib <= RESIDENT_MAX_KIB,
        "{} KiB were resident",
        ran.peak_kib
    );
    ensure!(ran.peak_kib > 0, "the memory was not seen");
    ensure!(world.canary() == 0, "the canary was touched");
    let findings = place.objects(&["findings"]).await?;
    let missed = missed(&world, &findings, &["ports"]);
    ensure!(missed.is_empty(), "missed among the traps: {missed:#?}");
    nothing_hidden_is_found(&world, &findings)?;
    let scanned = place.scanned().await?;
    let silent: Vec<_> = world
        .expected()
        .traps
        .iter()
        .filter(|trap| !leaves_a_trace(trap, &scanned))
        .collect();
    ensure!(silent.is_empty(), "traps without a trace: {silent:#?}");
    endless_answers_are_marked_as_cut(&place).await?;
    no_escape_reaches_a_terminal(&place).await
}

/// An answer that was kept as evidence, a failure or a remark: what it did stands in the log.
fn leaves_a_trace(trap: &Trap, scanned: &Scanned) -> bool {
    let address = trap.address.to_string();
    let names = |text: &str| text.contains(&trap.name) || text.contains(&format!("{address}:"));
    let is_told = scanned
        .troubles
        .iter()
        .any(|(_, input, _, detail)| names(input) || names(detail));
    let is_answered = |(_, parent, relation, _, entity): &Claim| {
        entity.starts_with("url:") && names(entity) || relation == "alias-of" && names(parent)
    };
    is_told || scanned.claims.iter().any(is_answered)
}

async fn endless_answers_are_marked_as_cut(place: &Place) -> Result<()> {
    let pages = place
        .objects(&["findings", "--module", "http", "--kind", "url"])
        .await?;
    for trap in CUT {
        let host = format!("://{trap}.trap.");
        let of_trap = pages
            .iter()
            .filter(|page| page["key"].as_str().is_some_and(|key| key.contains(&host)));
        let mut of_trap = of_trap
            .filter(|page| page["relation"] == "serves")
            .peekable();
        ensure!(of_trap.peek().is_some(), "no page of {trap} was kept");
        for page in of_trap {
            ensure!(
                page["attributes"]["is_cut"] == true,
                "not marked as cut: {page}"
            );
        }
    }
    Ok(())
}

async fn no_escape_reaches_a_terminal(place: &Place) -> Result<()> {
    for words in [
        &["findings"][..],
        &["findings", "--fields", "module,key,attributes"],
        &["entities", "--fields", "kind,key"],
    ] {
        let table = place
            .mirage(&[words, &["-o", "table"]].concat())
            .await?
            .expect(&[0])?;
        let steers = |c: &char| {
            c.is_control() && *c != '\n'
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let steering: Vec<char> = table.text()?.chars().filter(steers).collect();
        ensure!(steering.is_empty(), "{words:?} shows {steering:?}");
        let is_shown = table.text()?.contains("\\x1b]52;c;");
        ensure!(
            is_shown || !words.contains(&"module,key,attributes"),
            "the hostile title is not shown at all"
        );
    }
    Ok(())
}
