//! A scan by the real program in a process of its own, and the set of findings that its log holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use mirage_domain::event::Event;
use mirage_domain::id::{EntityId, Position, ScanId};
use mirage_domain::{plan, task};
use mirage_log::commit::Commit;
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, Filter, Read};
use mirage_world::World;

use crate::{program, without_configuration};

/// Where the company's machines stand.
pub const COMPANY: &str = "127.20.0.0/16";

/// One finding, free of the ids of its workspace and scan: module, parent, relation, direction, entity.
pub type Claim = (String, String, String, String, String);

/// The command that scans the world into a data directory, or goes on with that scan.
pub fn command(world: &World, data: &Path) -> Result<Command> {
    let ports = world.ports();
    let mut command = bare(world, data)?;
    command
        .args(["--idempotency-key", "the-scan", "--rate", "0"])
        .args(["--allow-private", COMPANY])
        .args(["--ports", &format!("{},{}", ports.http, ports.https)]);
    Ok(command)
}

/// The command without key, rate and ports to scan: everything that the world's own ports and servers need.
pub fn bare(world: &World, data: &Path) -> Result<Command> {
    let ports = world.ports();
    let settings = [
        format!("asn.table={}", world.routes_file().display()),
        format!("crtsh.url={}", world.crtsh_url()),
        format!("geoip.database={}", world.places_file().display()),
        format!("http.plain-ports={}", ports.http),
        format!("http.tls-ports={}", ports.https),
        format!("mail-policy.tls-port={}", ports.https),
        format!("rdap.bootstrap={}", world.rdap_url()),
        format!("tls.ports={}", ports.https),
        format!("well-known.plain-ports={}", ports.http),
        format!("well-known.tls-ports={}", ports.https),
        format!("whois.bootstrap={}", world.rdap_url()),
        format!("whois.server={}", world.whois_server()),
        format!("zone.port={}", world.resolver().port()),
    ];
    let mut command = Command::new(program("mirage")?);
    without_configuration(&mut command);
    command
        .args(["scan", world.domain(), "--profile", "active", "--yes"])
        .args(["--resolver", &world.resolver().to_string()])
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
    let mut scans = scans(data).await?.into_values();
    let only = scans.next().unwrap_or_default();
    ensure!(scans.next().is_none(), "more than one scan");
    Ok((only.claims, only.is_over))
}

/// A failure or a remark: module, the input if one is named, reason or code, rule and detail.
pub type Trouble = (String, String, String, String);

/// What the log holds of one scan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scanned {
    pub claims: BTreeSet<Claim>,
    pub is_over: bool,
    /// Tasks that the plan scheduled.
    pub scheduled: BTreeSet<String>,
    /// How often each task ended.
    pub ends: BTreeMap<String, usize>,
    /// What failed, was refused or cut: module, input, reason or code, detail.
    pub troubles: BTreeSet<Trouble>,
}

/// Every scan in a data directory.
pub async fn scans(data: &Path) -> Result<BTreeMap<ScanId, Scanned>> {
    scans_of(&Sqlite::open(data)?).await
}

/// Every scan in a log.
pub async fn scans_of(log: &dyn EventLog) -> Result<BTreeMap<ScanId, Scanned>> {
    scans_after(log, Position(0)).await
}

/// Every scan in a log that began after this.
pub async fn scans_after(log: &dyn EventLog, after: Position) -> Result<BTreeMap<ScanId, Scanned>> {
    let mut names: BTreeMap<EntityId, String> = BTreeMap::new();
    let mut scans: BTreeMap<ScanId, Scanned> = BTreeMap::new();
    let mut read = log.read(after, Filter::All);
    while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
        let Some(scan) = recorded.commit.stream.scan.clone() else {
            continue;
        };
        let scanned = scans.entry(scan).or_default();
        for entry in &recorded.commit.events {
            scanned.apply(&recorded.commit, &entry.event, &mut names)?;
        }
    }
    Ok(scans)
}

impl Scanned {
    fn apply(
        &mut self,
        commit: &Commit,
        event: &Event,
        names: &mut BTreeMap<EntityId, String>,
    ) -> Result<()> {
        match event {
            Event::Task(task::Event::Found(finding)) => {
                let entity = finding.entity().context("an open key")?.to_string();
                names.insert(finding.entity, entity.clone());
                let parent = finding.parent.map(|parent| names[&parent.entity].clone());
                let relation = finding.relation.map(|relation| relation.to_string());
                self.claims.insert((
                    commit.actor.id.clone(),
                    parent.unwrap_or_default(),
                    relation.unwrap_or_default(),
                    finding.direction.as_str().to_owned(),
                    entity,
                ));
            }
            Event::Task(task::Event::Remarked(remark)) => {
                let detail = remark.detail.open().cloned().unwrap_or_default();
                let input = remark.input.and_then(|input| names.get(&input));
                let detail = format!("{} {detail}", remark.rule);
                self.trouble(commit, input, &remark.code, detail);
            }
            Event::Task(event) if event.is_terminal() => {
                let failures = match event {
                    task::Event::Finished(finished) => &*finished.failures,
                    _ => &[],
                };
                for failure in failures {
                    let detail = failure.detail.open().cloned().unwrap_or_default();
                    self.trouble(commit, names.get(&failure.entity), &failure.reason, detail);
                }
                *self.ends.entry(commit.stream.id.to_string()).or_default() += 1;
            }
            Event::Plan(plan::Event::Scheduled(task)) => {
                self.scheduled.insert(task.task.to_string());
            }
            Event::Scan(mirage_domain::scan::Event::Finished(_)) => self.is_over = true,
            _ => {}
        }
        Ok(())
    }

    fn trouble(&mut self, commit: &Commit, input: Option<&String>, reason: &str, detail: String) {
        let input = input.cloned().unwrap_or_default();
        let module = commit.actor.id.clone();
        self.troubles
            .insert((module, input, reason.to_owned(), detail));
    }
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
