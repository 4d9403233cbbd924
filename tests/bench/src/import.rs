//! An import of a file of BBOT, against a bare reader of the same lines and as many bytes.
//!
//! Ours is the program itself, from its start to its end: it reads the file twice (once to check it), keeps it as
//! evidence, links parents, normalises keys, commits, and folds the views. The bare one parses each line and writes
//! blobs of the sizes of our commits, as durably.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Result, ensure};
use mirage_log::sqlite::path;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::company::beside;
use crate::row::{Row, grouped};
use crate::scan::follow;

const HOSTS: usize = 40_000;
/// Records of a host; before all stand the scan's own and the domain's.
const HOST_RECORDS: usize = 5;
/// Commits of one bare transaction: as many as come together in ours.
const BATCH: usize = 16;

pub(crate) fn run(dir: &Path) -> Result<Vec<Row>> {
    let place = tempfile::tempdir_in(dir)?;
    let file = place.path().join("output.json");
    let records = write(&file)?;
    let data = place.path().join("data");
    let begun = Instant::now();
    let mut program = Command::new(beside("mirage")?)
        .args(["import", "--format", "bbot"])
        .arg(&file)
        .arg("--data")
        .arg(&data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let used = follow(&mut program)?;
    let ours = begun.elapsed().as_secs_f64();
    ensure!(program.wait()?.success(), "the import failed");
    let sizes = sizes(&data)?;
    let bytes: usize = sizes.iter().sum();
    let begun = Instant::now();
    ensure!(bare(&file, &place.path().join("bare.db"), &sizes)? == records);
    let bare = begun.elapsed().as_secs_f64();
    let rates = (records as f64 / ours, records as f64 / bare);
    let what = format!("import of {} BBOT records", grouped(records as f64));
    let remark = format!(
        "{ours:.1} s ({:.1} s of CPU) against {bare:.1} s; {} bytes of log a record in {} commits; \
         ours also checks, keeps the file, links, normalises and folds the views",
        used.cpu_s,
        bytes / records,
        sizes.len()
    );
    Ok(vec![
        Row::rates(&what, "records", rates, "–").remark(remark),
        Row {
            what: format!("{what}: peak memory"),
            ours: format!("{} MiB", used.peak_kib / 1024),
            bare: "–".to_owned(),
            ratio: None,
            wanted: "≤ 256 MiB".to_owned(),
            remark: String::new(),
        },
    ])
}

/// Writes the file; answers how many records it has.
fn write(path: &Path) -> Result<usize> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut records = 0;
    let mut line = |record: Value| {
        records += 1;
        writeln!(out, "{record}")
    };
    line(
        json!({"type": "SCAN", "id": "SCAN:made", "uuid": "SCAN:made-0",
        "data_json": {"name": "made", "target": {"seeds": ["company.example"]}}}),
    )?;
    line(record(
        "DNS_NAME",
        "d",
        ("SCAN:made", "SCAN:made-0"),
        json!("company.example"),
        0,
    ))?;
    for host in 0..HOSTS {
        for record in of_host(host) {
            line(record)?;
        }
    }
    out.flush()?;
    Ok(records)
}

/// A name, its address, a port of it, a page there and what the page runs on.
fn of_host(host: usize) -> [Value; HOST_RECORDS] {
    let name = format!("host-{host}.company.example");
    let address = format!("198.18.{}.{}", (host / 256) % 256, host % 256);
    let page = format!("https://{name}/");
    let technology =
        json!({"host": name, "technology": format!("nginx/1.{}", host % 30), "url": page});
    let made = [
        ("DNS_NAME", json!(name)),
        ("IP_ADDRESS", json!(address)),
        ("OPEN_TCP_PORT", json!(format!("{name}:443"))),
        ("URL", json!(page)),
        ("TECHNOLOGY", technology),
    ];
    let id = |place: usize| format!("{place}-{host}");
    let mut place = 0;
    made.map(|(kind, data)| {
        // The address and the port hang on the name, the page on the port, the technology on the page.
        let parent = match place {
            0 => "d".to_owned(),
            1 | 2 => id(0),
            above => id(above - 1),
        };
        let own = id(place);
        place += 1;
        record(kind, &own, (&format!("id-{parent}"), &parent), data, host)
    })
}

/// A record with the members that BBOT 3 writes.
fn record(
    kind: &str,
    uuid: &str,
    (parent, parent_uuid): (&str, &str),
    data: Value,
    host: usize,
) -> Value {
    let mut record = json!({
        "type": kind, "id": format!("id-{uuid}"), "uuid": uuid, "scope_description": "in-scope",
        "host": format!("host-{host}.company.example"), "resolved_hosts": ["198.18.0.1"], "port": 443,
        "web_spider_distance": 0, "scope_distance": 0, "scan": "SCAN:made", "timestamp": "2026-11-24T12:00:00+00:00",
        "parent": parent, "parent_uuid": parent_uuid, "tags": ["in-scope", "subdomain", "a-record"],
        "module": "crt", "module_sequence": "crt->A", "parent_chain": [parent_uuid, uuid],
        "discovery_context": format!("crt searched for and found {kind} of host {host}"),
        "discovery_path": ["Scan made seeded with DNS_NAME: company.example"],
    });
    let place = if data.is_string() {
        "data"
    } else {
        "data_json"
    };
    record[place] = data;
    record
}

/// Bytes of each commit of a log.
fn sizes(data: &Path) -> Result<Vec<usize>> {
    let connection = Connection::open_with_flags(path(data), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut statement =
        connection.prepare("SELECT length(bytes) FROM commits ORDER BY position")?;
    let sizes = statement.query_map([], |row| row.get::<_, u32>(0))?;
    let sizes = sizes.map(|size| size.map(|size| size as usize));
    Ok(sizes.collect::<Result<_, _>>()?)
}

/// Parses every line, and on the way writes as many bytes as stand in a log; answers how many lines there were.
fn bare(file: &Path, to: &Path, sizes: &[usize]) -> Result<usize> {
    let connection = Connection::open(to)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection
        .execute_batch("CREATE TABLE bare (position INTEGER PRIMARY KEY, bytes BLOB NOT NULL)")?;
    let mut insert = connection.prepare("INSERT INTO bare (bytes) VALUES (?1)")?;
    let mut lines = BufReader::new(File::open(file)?).lines();
    let (mut records, mut kept) = (0, 0);
    let lines_each = (HOSTS * HOST_RECORDS).div_ceil(sizes.len().div_ceil(BATCH));
    for batch in sizes.chunks(BATCH) {
        for line in lines.by_ref().take(lines_each) {
            let value: Value = serde_json::from_str(&line?)?;
            kept += value["uuid"].as_str().map_or(0, str::len);
            records += 1;
        }
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for size in batch {
            insert.execute([vec![b'x'; *size]])?;
        }
        connection.execute_batch("COMMIT")?;
    }
    for line in lines {
        let value: Value = serde_json::from_str(&line?)?;
        kept += value["uuid"].as_str().map_or(0, str::len);
        records += 1;
    }
    ensure!(kept > 0, "no record has a name");
    Ok(records)
}
