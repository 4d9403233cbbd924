//! A whole scan of the loopback company: hosts/s, CPU, memory, bytes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use mirage_domain::event::Event;
use mirage_domain::id::Position;
use mirage_domain::{scan, task};
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, Filter, Read};
use serde_json::Value;

use crate::company::{Company, beside};
use crate::row::{Row, grouped};

const HOSTS: usize = 1_000;

pub(crate) fn run(dir: &Path) -> Result<Vec<Row>> {
    let place = tempfile::tempdir_in(dir)?;
    let company = Company::start(HOSTS)?;
    let begun = Instant::now();
    let mut program = command(&company, place.path())?
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let used = follow(&mut program)?;
    let wall = begun.elapsed().as_secs_f64();
    let scans = ask(place.path(), &["scans", "-o", "jsonl"])?;
    let row: Value = serde_json::from_slice(&scans).context("the scan's row")?;
    let findings = row["findings"].as_f64().unwrap_or(0.0);
    let found = ask(
        place.path(),
        &["findings", "--kind", "certificate", "-o", "key"],
    )?;
    let certificates = found.iter().filter(|byte| **byte == b'\n').count();
    ensure!(
        certificates >= HOSTS,
        "{certificates} certificates of {HOSTS} hosts"
    );
    let bytes = size(place.path())? as f64 / findings;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let logged = runtime.block_on(logged(place.path()))?;
    let mut rows = report(&used, wall, findings, bytes);
    rows.extend(answered(&logged, wall));
    Ok(rows)
}

/// What the scan's own log tells.
struct Logged {
    requests: u64,
    first_finding_ms: f64,
}

async fn logged(data: &Path) -> Result<Logged> {
    let log = Sqlite::open(data)?;
    let mut read = log.read(Position(0), Filter::All);
    let (mut requests, mut started, mut first) = (0, None, None);
    while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
        for entry in &recorded.commit.events {
            match &entry.event {
                Event::Scan(scan::Event::Started(_)) => started = Some(entry.at),
                Event::Scan(scan::Event::Finished(finished)) => requests = finished.totals.requests,
                // A seed is no news; what counts is when the finding stood in the log.
                Event::Task(task::Event::Found(finding)) if finding.parent.is_some() => {
                    first.get_or_insert(recorded.commit.recorded_at);
                }
                _ => {}
            }
        }
    }
    let (started, first) = (started.context("no start")?, first.context("no finding")?);
    let first_finding_ms = first.duration_since(started).as_secs_f64() * 1e3;
    Ok(Logged {
        requests,
        first_finding_ms,
    })
}

fn answered(logged: &Logged, wall: f64) -> [Row; 2] {
    let requests = logged.requests as f64;
    let line = |what: &str, ours: String| Row {
        what: format!("scan of {HOSTS} hosts (crtsh, dns, http, tls): {what}"),
        ours,
        bare: "–".to_owned(),
        ratio: None,
        wanted: "–".to_owned(),
        remark: String::new(),
    };
    let a_host = requests / HOSTS as f64;
    [
        line(
            "requests",
            format!("{:.0}/s, {a_host:.1} a host", requests / wall),
        ),
        line(
            "time to first finding",
            format!("{:.0} ms", logged.first_finding_ms),
        ),
    ]
}

fn ask(data: &Path, words: &[&str]) -> Result<Vec<u8>> {
    Ok(Command::new(beside("mirage")?)
        .args(words)
        .arg("--data")
        .arg(data)
        .output()?
        .stdout)
}

fn report(used: &Used, wall: f64, findings: f64, bytes: f64) -> Vec<Row> {
    let line = |what: &str, ours: String, bare: &str, ratio, wanted: &str| Row {
        what: format!("scan of {HOSTS} hosts (crtsh, dns, http, tls): {what}"),
        ours,
        bare: bare.to_owned(),
        ratio,
        wanted: wanted.to_owned(),
        remark: String::new(),
    };
    let rate = HOSTS as f64 / wall;
    let orientation = "3.6 hosts/s (BBOT 3.0, another machine)";
    let memory = format!("{} MiB", used.peak_kib / 1024);
    vec![
        line(
            "hosts",
            format!("{rate:.0} hosts/s"),
            orientation,
            Some(rate / 3.6),
            "≥ 10×",
        ),
        line(
            "findings",
            format!("{}, {:.0}/s", grouped(findings), findings / wall),
            "–",
            None,
            "–",
        ),
        line(
            "CPU",
            format!("{:.1} s of {wall:.1} s", used.cpu_s),
            "103 s",
            None,
            "–",
        ),
        line("peak memory", memory, "269 MB", None, "≤ 256 MiB"),
        line(
            "bytes kept a finding",
            format!("{bytes:.0}"),
            "–",
            None,
            "–",
        ),
    ]
}

fn command(company: &Company, data: &Path) -> Result<Command> {
    let (http, https) = (
        &company.said["ports"]["http"],
        &company.said["ports"]["https"],
    );
    let crtsh = company.text("crtsh_url")?;
    let mut command = Command::new(beside("mirage")?);
    command
        .args([
            "scan",
            company.text("domain")?,
            "--modules",
            "crtsh,dns,http,tls",
            "--rate",
            "0",
        ])
        .args([
            "--resolver",
            company.text("resolver")?,
            "--allow-private",
            "127.20.0.0/16",
        ])
        .args(["--set", &format!("crtsh.url={crtsh}")])
        .args(["--set", &format!("http.plain-ports={http}")])
        .args(["--set", &format!("http.tls-ports={https}")])
        .args(["--set", &format!("tls.ports={https}")])
        .arg("--data")
        .arg(data)
        .env("SSL_CERT_FILE", company.text("ca_file")?);
    Ok(command)
}

/// What a program used.
pub(crate) struct Used {
    pub(crate) cpu_s: f64,
    pub(crate) peak_kib: u64,
}

/// Follows a child to its end and answers what it used, as the system counts it.
pub(crate) fn follow(child: &mut Child) -> Result<Used> {
    let proc = PathBuf::from(format!("/proc/{}", child.id()));
    let mut used = Used {
        cpu_s: 0.0,
        peak_kib: 0,
    };
    while child.try_wait()?.is_none() {
        if let Ok(stat) = std::fs::read_to_string(proc.join("stat")) {
            let fields: Vec<&str> = stat
                .rsplit(')')
                .next()
                .unwrap_or("")
                .split_whitespace()
                .collect();
            let ticks = |at: usize| {
                fields
                    .get(at)
                    .and_then(|text| text.parse::<f64>().ok())
                    .unwrap_or(0.0)
            };
            // Linux counts in hundredths of a second for programs.
            used.cpu_s = used.cpu_s.max((ticks(11) + ticks(12)) / 100.0);
        }
        let status = std::fs::read_to_string(proc.join("status")).unwrap_or_default();
        let peak = status.lines().find(|line| line.starts_with("VmHWM:"));
        let peak = peak.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        used.peak_kib = used.peak_kib.max(peak.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(used)
}

/// Bytes of log and evidence, once what stands in their WALs has moved into the files.
fn size(data: &Path) -> Result<u64> {
    let mut bytes = 0;
    for name in ["log.db", "evidence/small.db"] {
        let path = data.join(name);
        let connection = rusqlite::Connection::open(&path)?;
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        bytes += std::fs::metadata(path)?.len();
    }
    Ok(bytes)
}
