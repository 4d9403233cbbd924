//! What goes out: data on stdout in the asked form, talk on stderr.
//!
//! A command declares its [`Listing`] once and pushes rows; the forms are made here.
//! **Invariant:** text from outside reaches a terminal only through `SafeText` or as JSON without control characters.
//! **Never:** talk on stdout.

mod cell;
mod csv;
pub(crate) mod json;
mod paint;
mod safe_text;
mod table;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Stdout, Write};

use mirage_api::error::{Exit, Problem};
use serde_json::Value;

pub(crate) use cell::Shape;
pub(crate) use paint::{Color, Paint};
pub(crate) use safe_text::SafeText;

use crate::cli::suggest;

/// `-o`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// Columns for people
    #[default]
    Table,
    /// One document: `{"as_of": POSITION, "items": […]}`, or the object itself
    Json,
    /// One object a line, flushed as it comes
    Jsonl,
    /// RFC 4180 with a header, safe in a spreadsheet
    Csv,
    /// One key a line, once each
    Key,
}

/// One field of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Shown in a table unless `--fields` says otherwise.
    pub(crate) is_brief: bool,
}

impl Field {
    pub(crate) const fn new(name: &'static str, shape: Shape) -> Self {
        let is_brief = true;
        Self {
            name,
            shape,
            is_brief,
        }
    }
    /// A field that a table shows only when asked.
    pub(crate) const fn more(name: &'static str, shape: Shape) -> Self {
        let is_brief = false;
        Self {
            name,
            shape,
            is_brief,
        }
    }
}

/// What a command lists: its fields in order, and which of them is the key of `-o key`.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) key: &'static str,
    pub(crate) fields: &'static [Field],
}

/// Where and how the data goes out.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) form: Form,
    /// `--fields`; empty for all.
    pub(crate) fields: Vec<String>,
    pub(crate) color: Color,
    pub(crate) is_quiet: bool,
}

impl Output {
    /// The same with every field of a listing in tables too, unless `--fields` chooses.
    pub(crate) fn in_full(&self, listing: &'static Listing) -> Self {
        let mut output = self.clone();
        if output.fields.is_empty() {
            output.fields = listing
                .fields
                .iter()
                .map(|field| field.name.to_owned())
                .collect();
        }
        output
    }

    /// Begins a listing.
    pub(crate) fn rows(&self, listing: &'static Listing) -> Result<Rows, Problem> {
        Rows::new(self, listing)
    }

    /// Writes one thing: `values` in the order of the listing's fields.
    pub(crate) fn thing(
        &self,
        listing: &'static Listing,
        values: Vec<Value>,
    ) -> Result<(), Failure> {
        let mut rows = self.rows(listing)?;
        let picked = rows.pick(&values);
        let out = &mut rows.out;
        match self.form {
            Form::Table => {
                let fields: Vec<_> = rows.picked.iter().map(|&at| &listing.fields[at]).collect();
                table::thing(&fields, &picked, self.paint(), out)?;
            }
            Form::Json => {
                writeln!(out, "{}", json::document(&rows.names, &picked))?;
            }
            Form::Jsonl | Form::Csv | Form::Key => {
                rows.push(values)?;
                rows.end(None)?;
                return Ok(());
            }
        }
        Ok(out.flush()?)
    }

    /// Says something to the person at the terminal, unless `-q`.
    pub(crate) fn say(&self, text: impl std::fmt::Display) {
        if !self.is_quiet {
            for line in text.to_string().lines() {
                // A closed stderr is no reason to stop.
                let _ = writeln!(io::stderr(), "{}", SafeText(line));
            }
        }
    }

    pub(crate) fn paint(&self) -> Paint {
        Paint::choose(self.color, &io::stdout())
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    Problem(Box<Problem>),
    /// A failure under `--exit-code`, where 1 means something else.
    Beside(Box<Problem>),
    /// Whoever read our output has seen enough.
    ClosedPipe,
}

impl Failure {
    /// The failure of a command that was asked for `--exit-code`: 1 means something else there.
    pub(crate) fn beside(self) -> Self {
        match self {
            Self::Problem(problem) if problem.exit() == Exit::Failed => Self::Beside(problem),
            failure => failure,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Problem(Box::new(Problem::of("output_failed", &error))),
        }
    }
}

macro_rules! failures {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Problem(Box::new(error.into()))
            }
        })+
    };
}
failures!(
    Problem,
    mirage_log::ReadError,
    mirage_log::AppendError,
    mirage_log::OpenError,
    mirage_log::evidence::Error,
    mirage_projections::Error
);

/// The members of a serialised thing, in the order of a listing's fields.
pub(crate) fn values(listing: &Listing, thing: &impl serde::Serialize) -> Vec<Value> {
    let mut object = serde_json::to_value(thing).unwrap_or_default();
    let mut take = |field: &Field| object.get_mut(field.name).map(Value::take);
    listing
        .fields
        .iter()
        .map(|field| take(field).unwrap_or_default())
        .collect()
}

/// A listing on its way out.
pub(crate) struct Rows {
    form: Form,
    listing: &'static Listing,
    /// Indexes of the chosen fields.
    picked: Vec<usize>,
    names: Vec<&'static str>,
    key: usize,
    table: table::Table,
    count: u64,
    /// Hashes of the keys that were written, 8 bytes each, under a random seed that no key can aim at.
    written: HashSet<u64>,
    seed: RandomState,
    out: BufWriter<Stdout>,
    is_quiet: bool,
}

impl Rows {
    fn new(output: &Output, listing: &'static Listing) -> Result<Self, Problem> {
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
            out: BufWriter::new(io::stdout()),
            is_quiet: output.is_quiet,
        })
    }

    fn pick(&self, values: &[Value]) -> Vec<Value> {
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
        let key = cell::plain(key, " ");
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
fn pick_fields(output: &Output, listing: &'static Listing) -> Result<Vec<usize>, Problem> {
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
