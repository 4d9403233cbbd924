//! Colour: only on a terminal, and only if nobody objects.

use std::io::IsTerminal;

/// `--color`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// Writes text in colour, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    /// For one stream. `NO_COLOR` beats `CLICOLOR_FORCE` beats `TERM=dumb` and the stream; the flag beats all.
    pub(crate) fn choose(color: Color, stream: &impl IsTerminal) -> Self {
        let env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let is_forced = env("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let is_dumb = env("TERM").is_some_and(|value| value == "dumb");
        let is_on = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto if env("NO_COLOR").is_some() => false,
            Color::Auto => is_forced || (stream.is_terminal() && !is_dumb),
        };
        Self { is_on }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }
    pub(crate) fn red(self, text: &str) -> String {
        self.with("31", text)
    }
    fn with(self, code: &str, text: &str) -> String {
        match self.is_on {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}
