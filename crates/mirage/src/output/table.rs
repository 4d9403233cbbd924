//! Tables for people: columns as wide as their first rows, values never cut.

use std::io::{self, Write};

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::SafeText;
use super::cell::{Shape, human};
use super::{Field, Paint};

/// Rows that are looked at before the widths are settled; a listing of any length runs in constant memory.
const LOOKAHEAD: usize = 500;
const GAP: &str = "  ";

pub(super) struct Table {
    fields: Vec<&'static Field>,
    widths: Vec<usize>,
    waiting: Vec<Vec<String>>,
    is_settled: bool,
    paint: Paint,
}

impl Table {
    pub(super) fn new(fields: Vec<&'static Field>, paint: Paint) -> Self {
        let widths = fields.iter().map(|field| field.name.len()).collect();
        Self {
            fields,
            widths,
            waiting: Vec::new(),
            is_settled: false,
            paint,
        }
    }

    pub(super) fn row(&mut self, values: &[Value], out: &mut dyn Write) -> io::Result<()> {
        let cell =
            |(field, value): (&&Field, &Value)| SafeText(&human(value, field.shape)).to_string();
        let cells: Vec<String> = self.fields.iter().zip(values).map(cell).collect();
        if self.is_settled {
            return self.line(&cells, out);
        }
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.width());
        }
        self.waiting.push(cells);
        match self.waiting.len() {
            LOOKAHEAD.. => self.settle(out),
            _ => Ok(()),
        }
    }

    /// Writes what waited; a live listing calls it when it has caught up.
    pub(super) fn settle(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.is_settled {
            self.is_settled = true;
            let names: Vec<String> = self
                .fields
                .iter()
                .map(|field| field.name.to_uppercase().replace('_', " "))
                .collect();
            let head = self.aligned(&names);
            writeln!(out, "{}", self.paint.bold(&head))?;
        }
        for cells in std::mem::take(&mut self.waiting) {
            self.line(&cells, out)?;
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.is_settled
    }

    fn line(&self, cells: &[String], out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.aligned(cells))
    }

    fn aligned(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for ((field, width), cell) in self.fields.iter().zip(&self.widths).zip(cells) {
            let fill = " ".repeat(width.saturating_sub(cell.width()));
            match field.shape {
                Shape::Number => line.extend([&fill, cell.as_str(), GAP]),
                Shape::Text | Shape::Time => line.extend([cell.as_str(), &fill, GAP]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// One thing, a field a line.
pub(super) fn thing(
    fields: &[&'static Field],
    values: &[Value],
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let width = fields.iter().map(|field| field.name.len()).max();
    for (field, value) in fields.iter().zip(values) {
        let name = format!(
            "{:width$}",
            field.name.replace('_', " "),
            width = width.unwrap_or(0)
        );
        let value = human(value, field.shape);
        writeln!(out, "{}{GAP}{}", paint.bold(&name), SafeText(&value))?;
    }
    Ok(())
}
