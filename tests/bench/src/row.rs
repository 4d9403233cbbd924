//! One row of a report: ours, the baseline, their ratio, and what DESIGN wants.

use std::fmt;

/// Heading of the table.
pub(crate) const HEAD: &str =
    "| what | ours | bare | ratio | wanted | remark |\n|---|---|---|---|---|---|";

/// A figure beside its baseline.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) ours: String,
    pub(crate) bare: String,
    pub(crate) ratio: Option<f64>,
    pub(crate) wanted: String,
    pub(crate) remark: String,
}

impl Row {
    /// Two rates; the ratio is ours over the bare one's.
    pub(crate) fn rates(what: &str, unit: &str, (ours, bare): (f64, f64), wanted: &str) -> Self {
        let rate = |rate: f64| format!("{} {unit}/s", grouped(rate));
        Self {
            what: what.to_owned(),
            ours: rate(ours),
            bare: rate(bare),
            ratio: Some(ours / bare),
            wanted: wanted.to_owned(),
            remark: String::new(),
        }
    }

    /// A row as another process printed it.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", what, ours, bare, ratio, wanted, remark, ""] = cells[..] else {
            return None;
        };
        let [what, ours, bare, wanted, remark] =
            [what, ours, bare, wanted, remark].map(str::to_owned);
        let ratio = ratio.strip_suffix('×').and_then(|ratio| ratio.parse().ok());
        Some(Self {
            what,
            ours,
            bare,
            ratio,
            wanted,
            remark,
        })
    }

    pub(crate) fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = remark.into();
        self
    }
}

/// A number with three significant digits and spaces between thousands.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self
            .ratio
            .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}×"));
        let Self {
            what,
            ours,
            bare,
            wanted,
            remark,
            ..
        } = self;
        write!(
            f,
            "| {what} | {ours} | {bare} | {ratio} | {wanted} | {remark} |"
        )
    }
}

/// The middle of some measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
