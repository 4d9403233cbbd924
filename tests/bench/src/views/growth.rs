//! What the same work costs at three sizes, and the power of the size with which it grows.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use mirage_log::EventLog;
use mirage_log::contract::encoded;

use super::PARTS;
use super::made::Company;
use super::reads::{READS, Views};
use crate::row::{Row, grouped, median};

/// Appends that are timed at each size, one finding each.
const APPENDS: usize = 101;

/// Milliseconds of each thing by size.
#[derive(Default)]
pub(super) struct Growth {
    looks: Vec<(usize, Vec<f64>)>,
}

impl Growth {
    pub(super) fn look(&mut self, data: &Path, company: &Company, appended: f64) -> Result<()> {
        let views = Views::open(data)?;
        let mut times = vec![appended];
        for read in READS {
            let [time] = read.median_ms(&views, [None], company.hosts())?;
            times.push(time);
        }
        self.looks.push((company.hosts(), times));
        Ok(())
    }

    pub(super) fn rows(&self, findings: usize) -> Vec<Row> {
        let sizes = PARTS
            .map(|part| grouped((findings / part) as f64))
            .join(", ");
        let names = READS.iter().map(|read| read.what);
        let named = std::iter::once("append of one finding, durable")
            .chain(names)
            .enumerate();
        let row = |(at, what): (usize, &str)| {
            let times: Vec<f64> = self.looks.iter().map(|(_, times)| times[at]).collect();
            let told: Vec<String> = times.iter().map(|time| format!("{time:.2}")).collect();
            Row {
                what: format!("growth over {sizes} findings: {what}"),
                ours: format!("{} ms", told.join(", ")),
                bare: "–".to_owned(),
                ratio: Some(times[times.len() - 1] / times[0]),
                wanted: "–".to_owned(),
                remark: format!("grows with the size to the {:.2}", self.exponent(&times)),
            }
        };
        named.map(row).collect()
    }

    /// The slope of the line through the logarithms of sizes and times that errs least in squares.
    fn exponent(&self, times: &[f64]) -> f64 {
        let sizes: Vec<f64> = self
            .looks
            .iter()
            .map(|(size, _)| (*size as f64).ln())
            .collect();
        let times: Vec<f64> = times.iter().map(|time| time.ln()).collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (size, time) = (mean(&sizes), mean(&times));
        let both = sizes
            .iter()
            .zip(&times)
            .map(|(s, t)| (s - size) * (t - time));
        both.sum::<f64>() / sizes.iter().map(|s| (s - size).powi(2)).sum::<f64>()
    }
}

/// Milliseconds of the middle one of some appends, each to a stream of its own; `salt` tells them from earlier ones.
pub(super) async fn append(log: &dyn EventLog, salt: usize) -> Result<f64> {
    let mut times = Vec::with_capacity(APPENDS);
    for n in 0..APPENDS {
        // Beyond the tasks of the company, so that no stream is met twice.
        let commit = encoded(1_000_000_000 + (salt * APPENDS + n) as u64, None);
        let begun = Instant::now();
        log.append(commit, None).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(times))
}
