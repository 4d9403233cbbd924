//! How a failure is told: what, why, what to try; with `-o json` as the problem document.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use mirage_api::error::{Exit, Problem};

use crate::output::{Color, Form, Paint, SafeText, json};

/// Writes the problem to stderr.
pub(super) fn show(problem: &Problem, form: Form) {
    let text = match form {
        Form::Json | Form::Jsonl => json::line(&problem.document()),
        Form::Table | Form::Csv | Form::Key => lines(problem),
    };
    // Nobody may be left to read it.
    let _ = writeln!(io::stderr(), "{text}");
}

fn lines(problem: &Problem) -> String {
    let paint = Paint::choose(Color::Auto, &io::stderr());
    let why = match &problem.cause {
        Some(cause) => format!("{}: {cause}", problem.detail),
        None => problem.detail.clone(),
    };
    format!(
        "{} {} [{}]\n  why: {}\n  try: {}",
        paint.red("error:"),
        problem.row.title,
        problem.row.code,
        SafeText(&why),
        SafeText(problem.hint())
    )
}

/// Ends after clap could not, or need not, go on: help and version are no failures.
pub(super) fn of_clap(error: &clap::Error, words: &[OsString]) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe ends quietly, like any other output.
            let _ = error.print();
            Exit::Done.code().into()
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::Usage.code().into()
        }
        _ => {
            let problem = usage(error);
            show(&problem, asked_form(words));
            problem.exit().code().into()
        }
    }
}

fn usage(error: &clap::Error) -> Problem {
    let rendered = error.render().to_string();
    let mut paragraphs = rendered.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let detail: Vec<&str> = first.lines().map(str::trim).collect();
    let detail = detail.join(" ");
    let problem = Problem::new("usage", detail.trim_start_matches("error: "));
    match suggestion(error) {
        Some(word) => problem.try_this(super::suggest::question(&word)),
        None => match usage_line(&rendered) {
            Some(line) => problem.try_this(line),
            None => problem,
        },
    }
}

fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ];
    let found = kinds.into_iter().find_map(|kind| error.get(kind))?;
    match found {
        ContextValue::String(word) => Some(word.clone()),
        ContextValue::Strings(words) => words.first().cloned(),
        _ => None,
    }
}

fn usage_line(rendered: &str) -> Option<&str> {
    rendered
        .lines()
        .find_map(|line| line.strip_prefix("Usage: "))
}

/// The form that was asked for on a command line that does not parse.
fn asked_form(words: &[OsString]) -> Form {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let is_json = |word: &str| matches!(word, "json" | "jsonl");
    let pair = words
        .windows(2)
        .any(|pair| matches!(pair[0], "-o" | "--output") && is_json(pair[1]));
    let joined = words.iter().any(|word| {
        let value = word.strip_prefix("--output=").or(word.strip_prefix("-o"));
        value.is_some_and(|value| is_json(value.trim_start_matches('=')))
    });
    if pair || joined {
        Form::Json
    } else {
        Form::Table
    }
}
