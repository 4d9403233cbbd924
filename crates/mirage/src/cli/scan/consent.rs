//! Consent to an active scan: asked on a terminal, `--yes` elsewhere, else refused.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use mirage_api::error::Problem;
use mirage_domain::module::Profile;
use mirage_domain::scan::Consent;

use super::super::Context;

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64;

/// How consent was given; `None` where none is needed.
pub(crate) fn obtain(context: &Context, profile: Profile) -> Result<Option<Consent>, Problem> {
    let missing = |detail: &str| Err(Problem::new("consent_missing", detail));
    match profile {
        Profile::Passive | Profile::Standard => Ok(None),
        Profile::Active if context.is_yes => Ok(Some(Consent::Flag)),
        Profile::Active if !context.may_ask() => missing("nobody can be asked here"),
        Profile::Active => match ask() {
            true => Ok(Some(Consent::Terminal)),
            false => missing("the answer was no"),
        },
    }
}

fn ask() -> bool {
    let mut stderr = io::stderr();
    let asked = write!(
        stderr,
        "An active scan also scans ports, guesses names and sweeps; its targets see it.\n\
         Do you have the right to scan them? [y/N] "
    );
    let mut answer = String::new();
    let read = io::stdin()
        .lock()
        .take(ANSWER_BYTES_MAX)
        .read_line(&mut answer);
    let is_yes = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    asked.is_ok() && stderr.flush().is_ok() && read.is_ok() && is_yes
}

impl Context {
    /// Whether somebody sits at a terminal who may be asked.
    pub(crate) fn may_ask(&self) -> bool {
        !self.is_no_input && io::stdin().is_terminal() && io::stderr().is_terminal()
    }
}
