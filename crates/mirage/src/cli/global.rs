//! The flags that every command takes, and the context that is made of them.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use mirage_api::error::Problem;
use mirage_workers::node::Caller;

use super::time::At;
use crate::config::{Config, Layer};
use crate::output::{Color, Form, Output};
use crate::wire::{self, Data};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Global {
    /// The data directory [default: the platform's data folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    pub(crate) data: Option<PathBuf>,
    /// Ask the gateway at this address instead of a data directory
    #[arg(long, global = true, value_name = "URL", help_heading = "Everywhere")]
    pub(crate) server: Option<String>,
    /// The workspace
    #[arg(long, global = true, value_name = "NAME", help_heading = "Everywhere")]
    pub(crate) workspace: Option<String>,
    /// The form of the output
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORM",
        help_heading = "Everywhere"
    )]
    pub(crate) output: Option<Form>,
    /// Only these fields, in this order
    #[arg(
        long,
        global = true,
        value_name = "A,B",
        value_delimiter = ',',
        help_heading = "Everywhere"
    )]
    pub(crate) fields: Vec<String>,
    /// Data and errors only, no talk
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub(crate) quiet: bool,
    /// Tell on stderr what happens inside; twice for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    pub(crate) verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", help_heading = "Everywhere")]
    pub(crate) color: Option<Color>,
    /// Ask nothing, even on a terminal
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) no_input: bool,
    /// Answer yes to every question; also gives the consent to an active scan
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) yes: bool,
    /// Give up waiting after this time (30s, 10m, 2h); the exit code is then 8
    #[arg(long, global = true, value_name = "TIME", help_heading = "Everywhere")]
    pub(crate) timeout: Option<String>,
}

/// Every read can be made of the past.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AtArgument {
    /// As of this position or time: 42, 2026-11-03T10:00:00Z, 2026-11-03, yesterday, -2h
    #[arg(long, value_name = "POSITION|TIME", allow_hyphen_values = true)]
    at: Option<String>,
}

impl AtArgument {
    pub(crate) fn text(&self) -> Option<&str> {
        self.at.as_deref()
    }

    /// As a server reads it: a position, or a time in RFC 3339.
    pub(crate) fn sent(&self) -> Result<Option<String>, Problem> {
        self.text().map(At::sent).transpose()
    }
}

/// Every write can be repeated without a second effect.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct KeyArgument {
    /// The same key does the same thing once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl KeyArgument {
    /// The key alone.
    pub(crate) fn text(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    /// The caller with the key, and the request in these words.
    pub(crate) fn caller(&self, words: &[&str]) -> Caller {
        let sent = words.join(" ").into_bytes();
        Caller {
            key: self.idempotency_key.clone().map(|key| (key, sent)),
            ..wire::caller()
        }
    }
}

/// What a command works with.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) output: Output,
    pub(crate) data: Data,
    pub(crate) timeout: Option<Duration>,
    /// `--yes`
    pub(crate) is_yes: bool,
    /// `--no-input`
    pub(crate) is_no_input: bool,
}

impl Context {
    pub(crate) fn new(global: Global, config: Config) -> Self {
        let chosen = |name| config.get(name).unwrap_or_default().to_owned();
        let output = Output {
            form: Form::from_str(&chosen("output"), false).unwrap_or_default(),
            fields: global.fields,
            color: Color::from_str(&chosen("color"), false).unwrap_or_default(),
            is_quiet: global.quiet,
        };
        Self {
            output,
            // Without a folder of the platform the directory is said on the command line, or is the current one.
            data: Data {
                dir: config.get("data").map_or_else(PathBuf::new, PathBuf::from),
            },
            timeout: config.span("timeout"),
            is_yes: global.yes,
            is_no_input: global.no_input,
            config,
        }
    }

    /// Whether nobody has chosen a form of the output.
    pub(crate) fn is_form_open(&self) -> bool {
        matches!(
            self.config.layers("output").first(),
            None | Some((Layer::Default, _))
        )
    }
}
