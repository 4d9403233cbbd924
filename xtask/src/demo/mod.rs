//! `demo`: a scan of a made-up company on the loopback interface, from nothing to findings.
//!
//! **Never:** a packet beyond this machine, a process that outlives the demo.

mod world;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::workspace;
use world::{Answer, World};

/// "Finished with failed modules" (DESIGN §7): the world has broken corners on purpose.
const FINISHED_WITH_FAILURES: i32 = 7;

type Value = fn(&Answer) -> String;

/// Settings that turn the scan from the real world to the made-up one.
const SETTINGS: &[(&str, Value)] = &[
    ("asn.table", |world| world.routes_file.clone()),
    ("crtsh.url", |world| world.crtsh_url.clone()),
    ("geoip.database", |world| world.places_file.clone()),
    ("http.plain-ports", |world| world.ports_of(&["http"])),
    ("http.tls-ports", |world| world.ports_of(&["https"])),
    ("mail-policy.tls-port", |world| world.ports_of(&["https"])),
    ("rdap.bootstrap", |world| world.rdap_url.clone()),
    ("tls.ports", |world| world.ports_of(&["https"])),
    ("well-known.plain-ports", |world| world.ports_of(&["http"])),
    ("well-known.tls-ports", |world| world.ports_of(&["https"])),
    ("whois.bootstrap", |world| world.rdap_url.clone()),
    ("whois.server", |world| world.whois_server.clone()),
    ("zone.port", Answer::dns_port),
];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many hosts the company has
    #[arg(long, value_name = "N", default_value_t = 24)]
    hosts: u32,
    /// The data directory of the scan; by default a folder of the build's, made anew each time
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    build()?;
    let world = World::start(arguments.hosts)?;
    println!(
        "A company of {} hosts stands at {}.",
        arguments.hosts, world.answer.resolver
    );
    let data = match &arguments.data {
        Some(data) => data.clone(),
        None => fresh_folder()?,
    };
    show(&data, &world.answer)?;
    let program = workspace::debug_binary("mirage")?;
    println!("\nLook further, the company is gone and everything is kept:");
    println!("  {} entities --data {}", program.display(), data.display());
    Ok(())
}

/// A folder beside the built programs, emptied of what an earlier demo left.
fn fresh_folder() -> anyhow::Result<PathBuf> {
    let data = workspace::debug_binary("demo-data")?;
    match std::fs::remove_dir_all(&data) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => std::fs::create_dir_all(&data),
    }
    .context("making a folder for the data")?;
    Ok(data)
}

fn build() -> anyhow::Result<()> {
    let mut command = workspace::cargo();
    command.args([
        "build",
        "--locked",
        "--package",
        "mirage",
        "--package",
        "mirage-world",
        "--bins",
    ]);
    let status = command.status().context("starting cargo build")?;
    ensure!(status.success(), "cargo build ended with {status}");
    Ok(())
}

fn show(data: &Path, world: &Answer) -> anyhow::Result<()> {
    let mirage = Mirage { data, world };
    let status = mirage.run(&scan_arguments(world))?;
    let is_finished = status.success() || status.code() == Some(FINISHED_WITH_FAILURES);
    ensure!(is_finished, "mirage scan ended with {status}");
    mirage.must(&["entities", "--kind", "email"])?;
    mirage.must(&["entities", "--kind", "exposure"])?;
    let findings = mirage.output(&["findings", "-o", "jsonl"])?;
    match far_finding(&findings)? {
        Some(id) => mirage.must(&["why", &id])?,
        None => bail!("the scan found nothing"),
    }
    mirage.must(&["search", "portal"])?;
    let seed = format!("domain:{}", world.domain);
    mirage.must(&["graph", "neighbors", &seed, "--kind", "organization"])?;
    // Only what the scan kept is read: the company is not asked again.
    mirage.must(&["rederive", "@last"])?;
    mirage.must(&["log", "verify"])
}

/// A finding worth explaining: what is wrong, if something is, else the last one, which is far from the seed.
fn far_finding(jsonl: &str) -> anyhow::Result<Option<String>> {
    #[derive(Deserialize)]
    struct Finding {
        finding_id: String,
        kind: String,
    }
    let mut findings = Vec::new();
    for line in jsonl.lines() {
        findings.push(serde_json::from_str::<Finding>(line).context("reading the findings")?);
    }
    let exposure = findings
        .iter()
        .rposition(|finding| finding.kind == "exposure");
    let chosen = exposure.or(findings.len().checked_sub(1));
    Ok(chosen.map(|index| findings.swap_remove(index).finding_id))
}

/// The program under show, in its own data folder and with the world's certificates.
struct Mirage<'a> {
    data: &'a Path,
    world: &'a Answer,
}

impl Mirage<'_> {
    fn command(&self, words: &[&str]) -> anyhow::Result<Command> {
        println!("\n$ mirage {}", words.join(" "));
        let mut command = Command::new(workspace::debug_binary("mirage")?);
        command
            .args(words)
            .arg("--data")
            .arg(self.data)
            .stdin(Stdio::null());
        command.env("SSL_CERT_FILE", &self.world.ca_file);
        Ok(command)
    }

    fn run(&self, words: &[impl AsRef<str>]) -> anyhow::Result<ExitStatus> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        self.command(&words)?.status().context("starting mirage")
    }

    fn must(&self, words: &[&str]) -> anyhow::Result<()> {
        let status = self.run(words)?;
        ensure!(
            status.success(),
            "mirage {} ended with {status}",
            words.join(" ")
        );
        Ok(())
    }

    fn output(&self, words: &[&str]) -> anyhow::Result<String> {
        let output = self
            .command(words)?
            .stderr(Stdio::inherit())
            .output()
            .context("starting mirage")?;
        ensure!(
            output.status.success(),
            "mirage {} ended with {}",
            words.join(" "),
            output.status
        );
        String::from_utf8(output.stdout).context("reading what mirage printed")
    }
}

fn scan_arguments(world: &Answer) -> Vec<String> {
    let ports = world.ports_of(&world.ports.keys().map(String::as_str).collect::<Vec<_>>());
    let fixed = [
        "scan",
        &world.domain,
        "--profile",
        "active",
        "--yes",
        "--resolver",
        &world.resolver,
    ];
    let fixed = fixed
        .into_iter()
        .chain(["--allow-private", "127.0.0.0/8", "--ports", &ports]);
    let settings = SETTINGS
        .iter()
        .map(|(key, value)| format!("{key}={}", value(world)));
    fixed
        .map(str::to_owned)
        .chain(settings.flat_map(|set| ["--set".to_owned(), set]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scan_is_turned_to_the_made_up_world() {
        let line = r#"{"domain":"mirage.example","resolver":"127.0.0.1:5300","ca_file":"ca.pem",
            "routes_file":"routes.tsv","places_file":"places.mmdb",
            "ports":{"banner":2100,"http":8080,"https":8443},"crtsh_url":"http://127.0.0.1:8081",
            "rdap_url":"http://127.0.0.1:8082/","whois_server":"127.0.0.1:4343"}"#;
        let world: Answer = serde_json::from_str(line).unwrap();
        let expected = "scan mirage.example --profile active --yes --resolver 127.0.0.1:5300 \
                        --allow-private 127.0.0.0/8 --ports 2100,8080,8443 \
                        --set asn.table=routes.tsv --set crtsh.url=http://127.0.0.1:8081 \
                        --set geoip.database=places.mmdb --set http.plain-ports=8080 \
                        --set http.tls-ports=8443 --set mail-policy.tls-port=8443 \
                        --set rdap.bootstrap=http://127.0.0.1:8082/ --set tls.ports=8443 \
                        --set well-known.plain-ports=8080 --set well-known.tls-ports=8443 \
                        --set whois.bootstrap=http://127.0.0.1:8082/ --set whois.server=127.0.0.1:4343 \
                        --set zone.port=5300";
        assert_eq!(scan_arguments(&world).join(" "), expected);
    }

    #[test]
    fn an_exposure_is_explained_before_anything_else() {
        let of = |kinds: &[&str]| {
            let line =
                |(i, kind): (usize, &&str)| format!(r#"{{"finding_id":"{i}","kind":"{kind}"}}"#);
            let lines: Vec<_> = kinds.iter().enumerate().map(line).collect();
            far_finding(&lines.join("\n")).unwrap()
        };
        assert_eq!(of(&["domain", "exposure", "url"]).as_deref(), Some("1"));
        assert_eq!(of(&["domain", "ip"]).as_deref(), Some("1"));
        assert_eq!(of(&[]), None);
    }
}
