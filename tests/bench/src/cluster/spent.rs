//! CPU of processes, as the system counts it.

use std::path::Path;

use anyhow::{Context, Result};

/// Linux counts in hundredths of a second for programs.
const TICKS_A_SECOND: f64 = 100.0;

/// Some processes, and what each had used when it was added.
#[derive(Default)]
pub(super) struct Spent(Vec<(String, u32, f64)>);

impl Spent {
    pub(super) fn add(&mut self, name: &str, pid: u32) -> Result<()> {
        self.0.push((name.to_owned(), pid, seconds(pid)?));
        Ok(())
    }

    /// Seconds of each since then.
    pub(super) fn since(self) -> Result<Vec<(String, f64)>> {
        let since = |(name, pid, before): (String, u32, f64)| Ok((name, seconds(pid)? - before));
        self.0.into_iter().map(since).collect()
    }
}

/// User and system time of a process and all its threads.
fn seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(Path::new(&path)).context(path)?;
    // The name in brackets may hold spaces; what follows it has a fixed order (proc(5)).
    let (_, rest) = stat.rsplit_once(')').context("a name in brackets")?;
    let ticks = rest.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(|text| text.parse::<f64>().context("ticks"));
    Ok(ticks.sum::<Result<f64>>()? / TICKS_A_SECOND)
}
