//! The gateway: what it finds and prints is what the program does on the spot.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mirage_faults::scan::COMPANY;
use mirage_faults::{program, without_configuration};
use mirage_scenarios::python;
use mirage_scenarios::{Place, Ran, Running, listening, until, web_ports};
use mirage_world::{Config, World};
use serde_json::Value;

use crate::imports::{events, import};

/// A node with every role on a data directory, and a key of its workspace.
pub(crate) struct Served {
    pub(crate) place: Place,
    pub(crate) node: Running,
    url: String,
    pub(crate) key: String,
}

impl Served {
    pub(crate) async fn start(world: &World) -> Result<Self> {
        let place = Place::new()?;
        let key = issue(&place, "analyst").await?;
        let (node, url) = Self::node(&place, world).await?;
        Ok(Self {
            place,
            node,
            url,
            key,
        })
    }

    /// Kills the node and starts another one in its place.
    pub(crate) async fn replace(&mut self, world: &World) -> Result<()> {
        self.node.signal("KILL")?;
        (self.node, self.url) = Self::node(&self.place, world).await?;
        Ok(())
    }

    async fn node(place: &Place, world: &World) -> Result<(Running, String)> {
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"])?;
        let ports = world.ports();
        let configured = [
            ("NOTIFY_ALLOW_PRIVATE", "127.0.0.0/8".to_owned()),
            ("NOTIFY_RESOLVER", world.resolver().to_string()),
            ("SCAN_RESOLVER", world.resolver().to_string()),
            ("SCAN_ALLOW_PRIVATE", COMPANY.to_owned()),
            ("SCAN_RATE", "0".to_owned()),
            (
                "MODULES_ASN_TABLE",
                world.routes_file().display().to_string(),
            ),
            ("MODULES_CRTSH_URL", world.crtsh_url()),
            (
                "MODULES_GEOIP_DATABASE",
                world.places_file().display().to_string(),
            ),
            ("MODULES_RDAP_BOOTSTRAP", world.rdap_url()),
            ("MODULES_WHOIS_BOOTSTRAP", world.rdap_url()),
            ("MODULES_WHOIS_SERVER", world.whois_server().to_string()),
            ("MODULES_ZONE_PORT", world.resolver().port().to_string()),
            ("MODULES_HTTP_PLAIN_PORTS", ports.http.to_string()),
            ("MODULES_HTTP_TLS_PORTS", ports.https.to_string()),
            ("MODULES_TLS_PORTS", ports.https.to_string()),
            ("MODULES_MAIL_POLICY_TLS_PORT", ports.https.to_string()),
            ("MODULES_WELL_KNOWN_PLAIN_PORTS", ports.http.to_string()),
            ("MODULES_WELL_KNOWN_TLS_PORTS", ports.https.to_string()),
        ];
        command.envs(configured.map(|(name, value)| (format!("MIRAGE_{name}"), value)));
        command.env("SSL_CERT_FILE", world.ca_file());
        let mut node = Running::start(command)?;
        let url = listening(&mut node).await?;
        Ok((node, url))
    }

    /// A command that knows nothing but the server.
    pub(crate) async fn over(&self, words: &[&str]) -> Result<Ran> {
        let mut command = Command::new(program("mirage")?);
        without_configuration(&mut command);
        command.args(words).args(["--server", &self.url]);
        command.current_dir(self.place.home());
        command
            .env("HOME", self.place.home())
            .env("MIRAGE_SERVER_API_KEY", &self.key);
        Running::start(command)?.end().await
    }

    /// Until a scan of the server is over.
    async fn ends(&self, scan: &str) -> Result<()> {
        until("the scan is over", async || {
            let scan = self.objects(&["scans", "get", scan]).await?;
            Ok((scan[0]["state"] == "finished").then_some(()))
        })
        .await
    }

    pub(crate) async fn objects(&self, words: &[&str]) -> Result<Vec<Value>> {
        let words = [words, &["-o", "jsonl"]].concat();
        self.over(&words).await?.expect(&[0])?.objects()
    }
}

pub(crate) async fn issue(place: &Place, role: &str) -> Result<String> {
    let words = ["api-keys", "issue", "test", "--role", role];
    let issued = place.objects(&words).await?;
    let key = issued.first().and_then(|issued| issued["api_key"].as_str());
    Ok(key.context("a key")?.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_that_begins_while_the_node_runs_is_worked_for_and_seen_by_no_other()
-> Result<()> {
    let world = World::start(Config::default()).await?;
    let mut served = Served::start(&world).await?;
    let first = served.key.clone();
    let mut second = served.place.command(&[
        "api-keys", "issue", "test", "--role", "analyst", "-o", "jsonl",
    ])?;
    second.env("MIRAGE_WORKSPACE", "second");
    let issued = Running::start(second)?
        .end()
        .await?
        .expect(&[0])?
        .objects()?;
    let key = issued.first().and_then(|issued| issued["api_key"].as_str());
    served.key = key.context("a key")?.to_owned();
    let scan = [
        "scan",
        world.domain(),
        "--profile",
        "active",
        "--yes",
        "--allow-private",
        COMPANY,
        "--modules",
        "dns",
    ];
    let started = served.objects(&scan).await?;
    let id = started[0]["scan_id"].as_str().context("a scan")?.to_owned();
    served.ends(&id).await?;
    let found = served.objects(&["findings"]).await?;
    ensure!(found.len() > 1, "{found:?}");
    served.key = first;
    ensure!(served.objects(&["scans"]).await?.is_empty());
    served.over(&["scans", "get", &id]).await?.expect(&[3])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_over_the_gateway_is_read_alike_on_both_ways() -> Result<()> {
    let world = World::start(Config::default()).await?;
    let served = Served::start(&world).await?;
    let ports = format!("ports.ports={}", web_ports(&world));
    let scan = [
        "scan",
        world.domain(),
        "--profile",
        "active",
        "--yes",
        "--set",
        &ports,
        "--allow-private",
        COMPANY,
        "--idempotency-key",
        "one",
    ];
    let started = served.objects(&scan).await?;
    let id = started[0]["scan_id"].as_str().context("a scan")?.to_owned();
    ensure!(
        served.objects(&scan).await? == started,
        "the same key started another scan"
    );
    served.ends(&id).await?;
    let here = Place::new()?;
    here.session(&world)?
        .usual(&world)
        .run()
        .await?
        .expect(&[0, 7])?;
    ensure!(served.place.scanned().await?.claims == here.scanned().await?.claims);

    let finding = served.objects(&["findings"]).await?[3]["finding_id"].clone();
    let finding = finding.as_str().context("a finding")?;
    for words in [
        &["findings"][..],
        &["findings", "--kind", "domain,ip", "--in-scope"],
        &[
            "findings",
            "--module",
            "dns",
            "--min-confidence",
            "50",
            "--since",
            "10",
        ],
        &["findings", "--all", "--at", "20"],
        &["entities"],
        &["entities", "--kind", "domain"],
        &["entities", &format!("domain:{}", world.domain())],
        &["scans"],
        &["search", "mail", "--limit", "1000"],
        &["search", "mail", "--facets"],
        &["marks"],
        &["why", finding],
        &["why", finding, "--prov"],
    ] {
        for form in ["jsonl", "json", "csv", "key"] {
            if words[0] == "why" && !form.starts_with("json") {
                continue;
            }
            let words = [words, &["-o", form]].concat();
            let (on_the_spot, over) = (
                served.place.mirage(&words).await?,
                served.over(&words).await?,
            );
            let (on_the_spot, over) = (on_the_spot.expect(&[0])?, over.expect(&[0])?);
            ensure!(
                on_the_spot.text()? == over.text()?,
                "{words:?}:\n{}\n{}",
                on_the_spot.text()?,
                over.text()?
            );
        }
    }
    let evidence = served.objects(&["findings"]).await?[1]["evidence"][0].clone();
    let words = ["evidence", "get", evidence.as_str().context("evidence")?];
    same_bytes(&served, &words).await?;
    exported_alike(&served).await?;
    let domain = format!("domain:{}", world.domain());
    let address = served.objects(&["findings", "--kind", "ip"]).await?[0]["key"].clone();
    let address = format!("ip:{}", address.as_str().context("an address")?);
    for form in ["jsonl", "json", "csv", "key"] {
        for words in [
            &["graph", "neighbors", &domain][..],
            &[
                "graph",
                "neighbors",
                &domain,
                "--kind",
                "ip",
                "--scan",
                "@last",
            ],
            &["graph", "path", &domain, &address],
            &["modules"],
            &["modules", "info", "dns"],
        ] {
            same_bytes(&served, &[words, &["-o", form]].concat()).await?;
        }
    }
    same_bytes(&served, &["graph", "path", &domain, &address]).await?;
    let nowhere = ["graph", "neighbors", "domain:nowhere.example"];
    served.over(&nowhere).await?.expect(&[3])?;
    let views = served.objects(&["views"]).await?;
    ensure!(
        views.iter().any(|view| view["view"] == "graph"),
        "{views:?}"
    );
    // Views are every workspace's.
    let rebuild = ["views", "rebuild", "graph"];
    served.over(&rebuild).await?.expect(&[4])?;
    for words in [
        &["replay", "@last"][..],
        &["replay", "@last", "--from", "10", "--to", "40"],
        &["replay", "@last", "-o", "csv"],
    ] {
        same_bytes(&served, words).await?;
    }
    served
        .over(&["replay", "@last", "--to", "99999"])
        .await?
        .expect(&[3])?;
    derived_alike(&served).await
}

/// A scan derived anew at the server, and what two scans and two moments differ in.
async fn derived_alike(served: &Served) -> Result<()> {
    let scans = served.objects(&["scans"]).await?;
    let of = scans[0]["scan_id"].as_str().context("a scan")?;
    let words = [
        "rederive",
        of,
        "-o",
        "jsonl",
        "--exit-code",
        "--idempotency-key",
        "two",
    ];
    let derived = served.over(&words).await?.expect(&[0, 1])?;
    let again = served.over(&words).await?.expect(&[0, 1])?;
    ensure!(derived.out == again.out, "the same key derived another one");
    let scans = served.objects(&["scans"]).await?;
    ensure!(scans.len() == 2, "{scans:?}");
    let fresh = scans[1]["scan_id"].as_str().context("a scan")?;
    let claims = async |scan: &str| -> Result<BTreeSet<String>> {
        let findings = served.objects(&["findings", scan]).await?;
        let claim = |finding: &Value| {
            let names = ["module", "kind", "key", "relation", "direction"];
            names.map(|name| finding[name].to_string()).concat()
        };
        Ok(findings.iter().map(claim).collect())
    };
    ensure!(claims(of).await? == claims(fresh).await?);
    let diff = served
        .place
        .mirage(&["diff", of, fresh, "-o", "jsonl"])
        .await?;
    ensure!(diff.expect(&[0])?.out == derived.out);
    for form in ["jsonl", "json", "csv", "key"] {
        for words in [
            &["diff", of, "--at", "20.."][..],
            &["diff", of, "--at", "..30"],
            &["diff", of, "--at", "40..20"],
        ] {
            same_bytes(served, &[words, &["-o", form]].concat()).await?;
        }
    }
    served
        .over(&["diff", of, "--at", "1..99999"])
        .await?
        .expect(&[3])?;
    served
        .over(&["diff", of, "--at", "99999.."])
        .await?
        .expect(&[3])?;
    Ok(())
}

/// Every form of an export, of now and of the past.
async fn exported_alike(served: &Served) -> Result<()> {
    for format in ["jsonl", "csv", "commits", "graphml", "gexf"] {
        same_bytes(served, &["export", "@last", "--format", format]).await?;
        same_bytes(served, &["export", "--format", format, "--at", "30"]).await?;
    }
    for format in ["graphml", "gexf", "dot", "json"] {
        same_bytes(served, &["graph", "export", "--format", format]).await?;
    }
    let words = ["export", "--format", "csv", "--fields", "key,kind"];
    same_bytes(served, &words).await?;
    let out = served.place.home().join("over.csv");
    let out = out.to_str().context("a path")?;
    let words = ["export", "--format", "csv", "--out", out];
    served.over(&words).await?.expect(&[0])?;
    let here = served.place.mirage(&words[..3]).await?;
    ensure!(std::fs::read(out)? == here.out);
    let words = ["export", "scn_nothing", "--format", "csv", "--out", out];
    served.over(&words).await?.expect(&[3])?;
    ensure!(std::fs::read(out)? == here.out, "a file was touched");
    Ok(())
}

/// What both ways write to stdout, whatever they say beside it.
async fn same_bytes(served: &Served, words: &[&str]) -> Result<()> {
    let here = served.place.mirage(words).await?.expect(&[0])?;
    let over = served.over(words).await?.expect(&[0])?;
    ensure!(!here.out.is_empty() && here.out == over.out, "{words:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_imported_at_a_server_holds_what_it_holds_on_the_spot() -> Result<()> {
    let world = World::start(Config::default()).await?;
    let served = Served::start(&world).await?;
    let path = served.place.home().join("scan.json");
    let lines: Vec<String> = events(300).iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n"))?;
    let words = import(&path);
    let sent = served.objects(&words).await?;
    let id = sent[0]["scan_id"].as_str().context("a scan")?.to_owned();
    served.ends(&id).await?;
    let again = served.over(&words).await?.expect(&[0])?;
    ensure!(again.err.contains("imported before"), "{}", again.err);
    let here = Place::new()?;
    here.mirage(&words).await?.expect(&[0])?;
    let claims = served.place.scanned().await?.claims;
    ensure!(claims == here.scanned().await?.claims && claims.len() == 302);
    let archive = served.place.home().join("archive");
    let to = archive.to_str().context("a path")?;
    let export = ["export", "--format", "commits", "--out", to];
    here.mirage(&export).await?.expect(&[0])?;
    let words = ["import", "--format", "commits", to];
    let sent = served.objects(&words).await?;
    let id = sent[0]["scan_id"].as_str().context("a scan")?.to_owned();
    served.ends(&id).await?;
    std::fs::write(&path, "no file of theirs")?;
    let refused = served.over(&import(&path)).await?;
    let said = refused.err.clone();
    refused.expect(&[2])?;
    ensure!(said.contains("nothing was changed"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_refuses_ends_as_on_the_spot() -> Result<()> {
    let world = World::start(Config::default()).await?;
    let mut served = Served::start(&world).await?;
    for (words, code) in [
        (&["scans", "get", "scn_nothing"][..], 3),
        (&["findings", "--kind", "nothing"], 2),
        (&["findings", "scn_nothing"], 3),
        (&["findings", "--all", "--at", "99999"], 3),
        (&["log", "verify"], 4),
        (&["log", "backup", "x"], 2),
        (
            &["scan", "example.com", "--set", "asn.table=/etc/passwd"],
            2,
        ),
    ] {
        served
            .over(words)
            .await?
            .expect(&[code])
            .with_context(|| format!("{words:?}"))?;
    }
    served.key = issue(&served.place, "auditor").await?;
    let proven = served.objects(&["log", "verify"]).await?;
    ensure!(proven[0]["verdict"] == "as it was written", "{proven:?}");
    served.key = issue(&served.place, "viewer").await?;
    served.over(&["scan", "example.com"]).await?.expect(&[4])?;
    served.key = "mirage.default.key_x.y".to_owned();
    served.over(&["scans"]).await?.expect(&[4])?;
    served.node.signal("TERM")?;
    until("the node has ended", async || {
        Ok(served.node.is_over()?.then_some(()))
    })
    .await?;
    served.over(&["scans"]).await?.expect(&[9])?;
    Ok(())
}

#[test]
fn the_description_is_one_that_others_read() -> Result<()> {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
    python::run(
        "the gateway's description read by openapi-spec-validator",
        "read_openapi.py",
        &schemas,
    )
}
