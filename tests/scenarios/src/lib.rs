//! Scenarios: the real program scans the loopback company, and people do things to it meanwhile.
//!
//! A [`Place`] is a data directory with the program to run on it, a [`Running`] one run of the program.
//! Each test has a world and a place of its own; what it waits for is looked at again and again, up to a deadline.

mod node;
mod place;
pub mod python;
mod running;
pub mod subscribers;

pub use mirage_faults::scan::{ended_once, same};
pub use node::{listening, serve, serve_at};
pub use place::{Place, Session};
pub use running::{Ran, Running};

use std::time::Duration;

use anyhow::Result;
use mirage_world::World;

/// The longest that a scan without traps may take; about fifty times what it takes on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How often something is looked at that is waited for.
pub const LOOK: Duration = Duration::from_millis(10);

/// Waits until `look` answers something.
///
/// # Errors
/// After [`PATIENCE`], with `what` was waited for; or at once, if looking fails.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    mirage_faults::cluster::until_within(PATIENCE, what, look).await
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
