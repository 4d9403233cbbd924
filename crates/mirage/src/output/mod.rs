//! What goes out: data on stdout in the asked form, talk on stderr.
//!
//! A command declares its [`Listing`] once and pushes rows; the forms are made here.
//! **Invariant:** text from outside reaches a terminal only through `SafeText` or as JSON without control characters.
//! **Never:** talk on stdout.

mod cell;
mod failure;
pub(crate) mod json;
mod paint;
mod rows;
mod table;

use std::io::{self, Write};

use mirage_api::error::Problem;
pub(crate) use mirage_api::safe_text::SafeText;
use mirage_domain::id::Position;
use serde_json::Value;

pub(crate) use cell::Shape;
pub(crate) use failure::Failure;
pub(crate) use paint::{Color, Paint};
pub(crate) use rows::Rows;

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
        Rows::new(self, listing, Box::new(io::stdout()))
    }

    /// Refuses `--fields` that a listing has not.
    pub(crate) fn must_fit(&self, listing: &'static Listing) -> Result<(), Problem> {
        rows::pick_fields(self, listing).map(drop)
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

    /// Says beside an answer at which position it was made; a list in JSON holds it, too.
    pub(crate) fn say_as_of(&self, position: Position) {
        self.say(format_args!("as of position {position}"));
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
