//! What was measured on: cores, memory, disk, commit.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::row::median;

/// One paragraph for the head of a report.
pub(crate) fn describe(dir: &Path) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .lines()
        .next()
        .unwrap_or_default()
        .replace("MemTotal:", "");
    let commit = Command::new("git")
        .args(["rev-parse", "--short", "HEAD"])
        .output()?;
    let commit = String::from_utf8_lossy(&commit.stdout);
    let day = jiff::Timestamp::now().to_string();
    Ok(format!(
        "Commit {} on {}, {cores} cores, memory {}, SQLite {}, one fdatasync of 4 KiB {:.2} ms (median).",
        commit.trim(),
        &day[..10],
        memory.trim(),
        rusqlite::version(),
        sync_ms(dir)?,
    ))
}

/// The disk's own price of durability.
fn sync_ms(dir: &Path) -> Result<f64> {
    let path = dir.join("fdatasync");
    let mut file = fs::File::create(&path)?;
    let mut times = Vec::new();
    for _ in 0..100 {
        file.write_all(&[7; 4096])?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(path)?;
    Ok(median(times))
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident() -> u64 {
    status("VmRSS:")
}

/// The most that was ever resident of this process, in bytes.
pub(crate) fn peak() -> u64 {
    status("VmHWM:")
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_default();
    let kib = line
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
