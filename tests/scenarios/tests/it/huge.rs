//! Files of one line that is longer than the memory that an import may take.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mirage_scenarios::Place;

/// Bytes of the line; it is a hole in the file, so no disk is taken.
const LINE_BYTES: u64 = 1 << 30;
/// Longest that such a file may take, on a busy machine and unoptimised.
const MOST: Duration = Duration::from_secs(15);
/// Most resident memory, in KiB.
const PEAK_KIB: u64 = 256 * 1024;

async fn refuses_one_endless_line(format: &str, begin: &str) -> Result<()> {
    let place = Place::new()?;
    let path = place.home().join("huge");
    let mut file = File::create(&path)?;
    file.write_all(begin.as_bytes())?;
    file.set_len(LINE_BYTES)?;
    let path = path.to_str().context("a path")?;
    let running = place.begin(&["import", "--format", format, path])?;
    let ran = running.end_within(MOST).await?.expect(&[2])?;
    ensure!(ran.err.contains("longer than 4194304 bytes"), "{}", ran.err);
    ensure!(ran.err.contains("nothing was changed"), "{}", ran.err);
    ensure!(ran.peak_kib < PEAK_KIB, "{} KiB", ran.peak_kib);
    ensure!(std::fs::read_dir(place.data())?.next().is_none());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_a_gibibyte_is_passed_over_by_bbot() -> Result<()> {
    refuses_one_endless_line("bbot", r#"{"type":"DNS_NAME","data":""#).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attribute_of_a_gibibyte_is_refused_by_nmap() -> Result<()> {
    refuses_one_endless_line("nmap", r#"<nmaprun args=""#).await
}
