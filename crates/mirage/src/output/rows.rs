//! A listing on its way out, row by row, in whatever form was asked for.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};

use mirage_api::csv;
use mirage_api::error::Problem;
use serde_json::Value;

use super::{Failure, Form, Listing, Output, SafeText, json, table};
use crate::cli::suggest;

/// A listing on its way out.
pub(crate) struct Rows {
    form: Form,
    listing: &'static Listing,
    /// Indexes of the chosen fields.
    pub(super) picked: Vec<usize>,
    pub(super) names: Vec<&'static str>,
    key: usize,
    table: table::Table,
    count: u64,
    /// Hashes of the keys that were written, 8 bytes each, under a random seed that no key can aim at.
    written: HashSet<u64>,
    seed: RandomState,
    pub(super) out: BufWriter<Box<dyn Write>>,
    is_quiet: bool,
}

impl Rows {
    pub(super) fn new(
        output: &Output,
        listing: &'static Listing,
        out: Box<dyn Write>,
    ) -> Result<Self, Problem> {
        let picked = pick_fields(output, listing)?;
        let fields: Vec<_> = picked.iter().map(|&at| &listing.fields[at]).collect();
        let key = listing
            .fields
            .iter()
            .position(|field| field.name == listing.key);
        Ok(Self {
            form: output.form,
            listing,
            names: fields.iter().map(|field| field.name).collect(),
            picked,
            key: key.expect("a listing's key is one of its fields"),
            table: table::Table::new(fields, output.paint()),
            count: 0,
            written: HashSet::new(),
            seed: RandomState::new(),
            out: BufWriter::new(out),
            is_quiet: output.is_quiet,
        })
    }

    pub(super) fn pick(&self, values: &[Value]) -> Vec<Value> {
        self.picked.iter().map(|&at| values[at].clone()).collect()
    }

    /// Writes one row: a value for each field of the listing.
    pub(crate) fn push(&mut self, values: Vec<Value>) -> Result<(), Failure> {
        debug_assert_eq!(values.len(), self.listing.fields.len());
        let picked = self.pick(&values);
        let is_first = self.count == 0;
        self.count += 1;
        match self.form {
            Form::Table => self.table.row(&picked, &mut self.out)?,
            Form::Jsonl => {
                writeln!(self.out, "{}", json::object(&self.names, &picked))?;
                self.out.flush()?;
            }
            Form::Json => {
                let lead = if is_first { "{\"items\":[" } else { "," };
                write!(self.out, "{lead}\n{}", json::object(&self.names, &picked))?;
            }
            Form::Csv => {
                if is_first {
                    self.header()?;
                }
                csv::record(&picked, &mut self.out)?;
            }
            Form::Key => self.key_line(&values[self.key])?,
        }
        Ok(())
    }

    fn header(&mut self) -> io::Result<()> {
        let names: Vec<Value> = self.names.iter().map(|name| (*name).into()).collect();
        csv::record(&names, &mut self.out)
    }

    fn key_line(&mut self, key: &Value) -> Result<(), Failure> {
        let key = csv::plain(key, " ");
        if self.written.insert(self.seed.hash_one(&key)) {
            writeln!(self.out, "{}", SafeText(&key))?;
            self.out.flush()?;
        }
        Ok(())
    }

    /// Shows what waits: a live listing has caught up.
    pub(crate) fn settle(&mut self) -> Result<(), Failure> {
        if self.form == Form::Table && !self.table.is_empty() {
            self.table.settle(&mut self.out)?;
        }
        Ok(self.out.flush()?)
    }

    /// Ends the listing; `as_of` is the position that it was made at.
    pub(crate) fn end(mut self, as_of: Option<u64>) -> Result<u64, Failure> {
        match self.form {
            Form::Json => {
                let lead = if self.count == 0 {
                    "{\"items\":["
                } else {
                    "\n"
                };
                let as_of = as_of.map_or("null".to_owned(), |position| position.to_string());
                writeln!(self.out, "{lead}],\"as_of\":{as_of}}}")?;
            }
            Form::Csv if self.count == 0 => self.header()?,
            Form::Table if !self.table.is_empty() => self.table.settle(&mut self.out)?,
            Form::Table if !self.is_quiet => eprintln!("nothing to list"),
            Form::Table | Form::Jsonl | Form::Csv | Form::Key => {}
        }
        self.out.flush()?;
        Ok(self.count)
    }
}

/// The fields that are written, by index: as `--fields` names them, else all, or in a table the brief ones.
pub(super) fn pick_fields(
    output: &Output,
    listing: &'static Listing,
) -> Result<Vec<usize>, Problem> {
    let all = listing.fields;
    if output.fields.is_empty() {
        let is_table = output.form == Form::Table;
        let shown = |at: &usize| !is_table || all[*at].is_brief;
        return Ok((0..all.len()).filter(shown).collect());
    }
    let find = |name: &String| {
        let at = all.iter().position(|field| field.name == name);
        at.ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|field| field.name).collect();
            let hint = suggest::nearest(name, names.iter().copied()).map_or(
                format!("the fields are {}", names.join(", ")),
                suggest::question,
            );
            Problem::new("usage", format!("there is no field `{name}`")).try_this(hint)
        })
    };
    output.fields.iter().map(find).collect()
}
