//! Scenarios: the real program scans the loopback company, and people do things to it meanwhile.
//!
//! A [`Place`] is a data directory with the program to run on it, a [`Running`] one run of the program.
//! Each test has a world and a place of its own; what it waits for is looked at again and again, up to a deadline.

mod place;
pub mod python;
mod running;

pub use place::{Place, Session};
pub use running::{Ran, Running};

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mirage_faults::scan::{Claim, Scanned};
use mirage_world::World;

/// The longest that a scan without traps may take; about fifty times what it takes on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How often something is looked at that is waited for.
pub const LOOK: Duration = Duration::from_millis(10);

/// Waits until `look` answers something.
///
/// # Errors
/// After [`PATIENCE`], with `what` was waited for; or at once, if looking fails.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    let mut ticks = tokio::time::interval(LOOK);
    let wait = async {
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
        }
    };
    let seen = tokio::time::timeout(PATIENCE, wait).await;
    seen.with_context(|| format!("waited in vain for {what}"))?
}

/// Ports of the web servers, which every machine has.
pub fn web_ports(world: &World) -> String {
    let ports = world.ports();
    format!("{},{}", ports.http, ports.https)
}

/// Ports of every service of the company, the one that never says a word included.
pub fn all_ports(world: &World) -> String {
    let ports = world.ports();
    format!(
        "{},{},{},{}",
        web_ports(world),
        ports.smtp,
        ports.banner,
        ports.silent
    )
}

/// That two sets of claims are one; the error names what one has and the other has not.
pub fn same(wanted: &BTreeSet<Claim>, found: &BTreeSet<Claim>) -> Result<()> {
    let lost: Vec<_> = wanted.difference(found).collect();
    let gained: Vec<_> = found.difference(wanted).collect();
    let is_same = lost.is_empty() && gained.is_empty();
    ensure!(is_same, "lost {lost:#?}, gained {gained:#?}");
    Ok(())
}

/// That a scan is over, and each task that was scheduled has ended, once.
pub fn ended_once(scanned: &Scanned) -> Result<()> {
    ensure!(scanned.is_over, "the scan is not over");
    let wrong: Vec<_> = scanned
        .ends
        .iter()
        .filter(|(_, times)| **times != 1)
        .collect();
    ensure!(wrong.is_empty(), "tasks that did not end once: {wrong:?}");
    let ended: BTreeSet<_> = scanned.ends.keys().cloned().collect();
    ensure!(
        ended == scanned.scheduled,
        "scheduled and not ended: {:?}",
        scanned.scheduled.difference(&ended)
    );
    Ok(())
}
