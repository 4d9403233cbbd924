//! A scan by the real program in a process of its own, and the set of findings that its log holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use futures::StreamExt;
use mirage_domain::event::Event;
use mirage_domain::id::{EntityId, Position};
use mirage_domain::task;
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, Filter, Read};
use mirage_world::World;

use crate::program;

/// One finding, free of the ids of its workspace and scan: module, parent, relation, direction, entity.
pub type Claim = (String, String, String, String, String);

/// The command that scans the world into a data directory, or goes on with that scan.
pub fn command(world: &World, data: &Path) -> Result<Command> {
    let ports = world.ports();
    let settings = [
        format!("crtsh.url={}", world.crtsh_url()),
        format!("http.plain-ports={}", ports.http),
        format!("http.tls-ports={}", ports.https),
        format!("tls.ports={}", ports.https),
        format!("well-known.plain-ports={}", ports.http),
        format!("well-known.tls-ports={}", ports.https),
        format!("zone.port={}", world.resolver().port()),
    ];
    let mut command = Command::new(program("mirage")?);
    command
        .arg("scan")
        .arg(world.domain())
        .args([
            "--profile",
            "active",
            "--yes",
            "--allow-private",
            "127.20.0.0/16",
        ])
        .args(["--idempotency-key", "the-scan", "--rate", "0"])
        .args(["--resolver", &world.resolver().to_string()])
        .args(["--ports", &format!("{},{}", ports.http, ports.https)])
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .arg("--data")
        .arg(data)
        .env("SSL_CERT_FILE", world.ca_file())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}

/// Starts the scan, or goes on with it.
pub fn start(world: &World, data: &Path) -> Result<Child> {
    command(world, data)?
        .spawn()
        .context("starting mirage scan")
}

/// Every claim of the one scan in a data directory, and whether the scan is over.
pub async fn claims(data: &Path) -> Result<(BTreeSet<Claim>, bool)> {
    let log = Sqlite::open(data)?;
    let mut names: BTreeMap<EntityId, String> = BTreeMap::new();
    let (mut claims, mut is_over) = (BTreeSet::new(), false);
    let mut read = log.read(Position(0), Filter::All);
    while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
        for entry in &recorded.commit.events {
            match &entry.event {
                Event::Task(task::Event::Found(finding)) => {
                    let entity = finding.entity().context("an open key")?.to_string();
                    names.insert(finding.entity, entity.clone());
                    let parent = finding.parent.map(|parent| names[&parent.entity].clone());
                    claims.insert((
                        recorded.commit.actor.id.clone(),
                        parent.unwrap_or_default(),
                        finding
                            .relation
                            .map(|relation| relation.to_string())
                            .unwrap_or_default(),
                        finding.direction.as_str().to_owned(),
                        entity,
                    ));
                }
                Event::Scan(mirage_domain::scan::Event::Finished(_)) => is_over = true,
                _ => {}
            }
        }
    }
    Ok((claims, is_over))
}
