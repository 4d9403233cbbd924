//! The first fifty hits of easy and of hard questions.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::reads::Views;
use crate::row::{Row, grouped};

const ROUNDS: usize = 100;
/// Milliseconds in which the first fifty hits are there.
const WANTED: &str = "p99 ≤ 50 ms";

/// What is asked: a name for the report and queries in which `#` is a number of a host.
const QUESTIONS: [(&str, &str); 9] = [
    ("a word of every finding", "example"),
    ("a part of every key", "xampl"),
    ("a rare word", "title-#"),
    ("a part of few keys", "ost-#"),
    ("words that seldom meet", "host-# nginx"),
    ("frequent words that never meet", "apache nginx"),
    ("a filter and a word", "kind:domain -apache example"),
    ("a filter that lets few through", "kind:software example"),
    ("the beginning of a word", "ngi*"),
];

pub(super) fn run(data: &Path, findings: usize) -> Result<Vec<Row>> {
    let views = Views::open(data)?;
    let ask = |(what, text): (&str, &str)| question(&views, what, text, findings);
    QUESTIONS.into_iter().map(ask).collect()
}

fn question(views: &Views, what: &str, text: &str, findings: usize) -> Result<Row> {
    let mut times = Vec::with_capacity(ROUNDS);
    let mut hits = 0;
    for round in 0..ROUNDS {
        // Numbers from all over, none twice.
        let number = round * (findings / 10 / ROUNDS) + round;
        let text = text.replace('#', &number.to_string());
        let begun = Instant::now();
        hits += views.search(None, &text)?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    let (half, most) = (times[ROUNDS / 2], times[ROUNDS * 99 / 100]);
    Ok(Row {
        what: format!("{} findings, search: {what}", grouped(findings as f64)),
        ours: format!("p50 {half:.2} ms, p99 {most:.2} ms"),
        bare: "–".to_owned(),
        ratio: None,
        wanted: WANTED.to_owned(),
        remark: format!("`{text}`, {} hits on average", hits / ROUNDS),
    })
}
