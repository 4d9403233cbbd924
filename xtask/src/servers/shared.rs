//! The servers of one run of all tests: fetched, two started once for every suite, and the account.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use mirage_servers::{ALL, Kind, LEDGER, NEO4J_GIVEN, Neo4j, POSTGRES_GIVEN, Postgres, REQUIRED};
use tempfile::NamedTempFile;

use super::fetch;

/// Stops what it started when it is dropped.
pub(crate) struct Shared {
    /// Both give a test its own place in one server, and one of them takes ten seconds to start.
    neo4j: Option<Neo4j>,
    postgres: Option<Postgres>,
    had: Vec<&'static str>,
    ledger: NamedTempFile,
}

impl Shared {
    /// Fetches all that can be had. What `MIRAGE_SERVERS_REQUIRED` names and cannot be had is an error.
    pub(crate) fn prepare() -> anyhow::Result<Self> {
        let kinds: Vec<&Kind> = ALL.iter().collect();
        let had: Vec<&str> = fetch::all(&kinds).iter().map(|kind| kind.name).collect();
        let required = std::env::var(REQUIRED).unwrap_or_default();
        let required = required
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let lost: Vec<&str> = required.filter(|name| !had.contains(name)).collect();
        if !lost.is_empty() {
            bail!("{REQUIRED} names what cannot be had: {}", lost.join(", "));
        }
        let wants =
            |name: &str, given: &str| had.contains(&name) && std::env::var_os(given).is_none();
        Ok(Self {
            neo4j: wants("neo4j", NEO4J_GIVEN)
                .then(mirage_servers::neo4j_alone)
                .flatten(),
            postgres: wants("postgres", POSTGRES_GIVEN)
                .then(mirage_servers::postgres_alone)
                .flatten(),
            ledger: NamedTempFile::new().context("making a file for the servers' ledger")?,
            had,
        })
    }

    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let names = ALL.iter().map(|kind| kind.name);
        names.filter(|name| !self.had.contains(name)).collect()
    }

    /// What the tests are told: what must be there, where the shared ones are, where to write what they used.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            (REQUIRED, self.had.join(",")),
            (LEDGER, self.ledger.path().display().to_string()),
        ];
        environment.extend(
            self.neo4j
                .iter()
                .map(|neo4j| (NEO4J_GIVEN, neo4j.bolt().to_owned())),
        );
        environment.extend(
            self.postgres
                .iter()
                .map(|postgres| (POSTGRES_GIVEN, postgres.url())),
        );
        environment
    }

    /// A line per server: version, how often tests used it, in how many suites, and how often they had to do without.
    pub(crate) fn account(&self) -> anyhow::Result<String> {
        let ledger = std::fs::read_to_string(self.ledger.path());
        Ok(account(&ledger.context("reading the servers' ledger")?))
    }
}

#[derive(Default)]
struct Row<'a> {
    versions: BTreeSet<&'a str>,
    suites: BTreeSet<&'a str>,
    uses: usize,
    skips: usize,
}

fn account(ledger: &str) -> String {
    let mut rows: BTreeMap<&str, Row<'_>> = BTreeMap::new();
    rows.extend(ALL.iter().map(|kind| (kind.name, Row::default())));
    for line in ledger.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [server, version, what, suite] = fields[..] else {
            continue;
        };
        let row = rows.entry(server).or_default();
        row.suites.insert(suite);
        if what == "skipped" {
            row.skips += 1;
        } else {
            row.versions.insert(version);
            row.uses += 1;
        }
    }
    let head = format!(
        "{:<12} {:<10} {:>5} {:>8}  suites",
        "server", "version", "uses", "skipped"
    );
    let lines = rows.iter().map(|(server, row)| {
        let join = |words: &BTreeSet<&str>| words.iter().copied().collect::<Vec<_>>().join(", ");
        let version = if row.versions.is_empty() {
            "-".to_owned()
        } else {
            join(&row.versions)
        };
        let Row { uses, skips, .. } = row;
        let suites = join(&row.suites);
        let line = format!("{server:<12} {version:<10} {uses:>5} {skips:>8}  {suites}");
        line.trim_end().to_owned()
    });
    std::iter::once(head)
        .chain(lines)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::account;

    #[test]
    fn the_account_counts_uses_and_skips_of_every_server() {
        let ledger =
            "nats\t2.15.2\tused\tit\nnats\t2.15.2\tused\tlog\nmeilisearch\t-\tskipped\tit\n";
        let expected = "\
server       version     uses  skipped  suites
meilisearch  -              0        1  it
nats         2.15.2         2        0  it, log
neo4j        -              0        0
postgres     -              0        0
promtool     -              0        0
s3           -              0        0";
        assert_eq!(account(ledger), expected);
    }
}
