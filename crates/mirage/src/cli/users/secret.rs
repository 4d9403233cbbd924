//! A password from a terminal, without showing it, or else the first line of stdin.

use std::io::{self, BufRead, Write};

use mirage_api::auth::password;
use mirage_api::error::Problem;

use super::Context;

/// A password as it was typed twice, or as it came once.
pub(super) fn read(context: &Context) -> Result<String, Problem> {
    if !context.may_ask() {
        return line(io::stdin().lock());
    }
    let hidden = Hidden::begin();
    let (first, again) = (ask("Password: ")?, ask("Once more: ")?);
    drop(hidden);
    match first == again {
        true => Ok(first),
        false => Err(Problem::new("bad_value", "the two passwords differ")),
    }
}

/// A password that there is already, typed once.
pub(in crate::cli) fn known(context: &Context) -> Result<String, Problem> {
    if !context.may_ask() {
        return line(io::stdin().lock());
    }
    let _hidden = Hidden::begin();
    ask("Password: ")
}

fn ask(question: &str) -> Result<String, Problem> {
    let mut stderr = io::stderr();
    // Nobody who sees no question is hindered from answering it.
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
    let read = line(io::stdin().lock());
    let _ = writeln!(stderr);
    read
}

fn line(from: impl BufRead) -> Result<String, Problem> {
    let most = password::BYTES_MAX as u64 + 2;
    let mut line = String::new();
    let read = from.take(most).read_line(&mut line);
    read.map_err(|error| Problem::of("input_unreadable", &error))?;
    // Spaces belong to the password, the end of the line does not.
    let text = line.strip_suffix('\n').unwrap_or(&line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text.is_empty() {
        true => {
            Err(Problem::new("usage", "no password came").try_this("give it on stdin, as one line"))
        }
        false => Ok(text.to_owned()),
    }
}

/// As long as this lives, the terminal shows nothing of what is typed.
struct Hidden {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

#[cfg(unix)]
impl Hidden {
    fn begin() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO);
            // A terminal that cannot be quiet still takes the password.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &quiet);
        }
        Self { before }
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
    }
}

#[cfg(not(unix))]
impl Hidden {
    fn begin() -> Self {
        Self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_password_without_its_end() {
        for (given, want) in [("a b \n", "a b "), ("a\r\nmore", "a"), ("a", "a")] {
            assert_eq!(line(given.as_bytes()).unwrap(), want);
        }
        for given in ["", "\n", "\r\n"] {
            assert!(line(given.as_bytes()).is_err());
        }
    }

    #[test]
    fn no_more_is_read_than_a_password_may_have() {
        let endless = io::BufReader::new(io::repeat(b'a'));
        assert_eq!(line(endless).unwrap().len(), password::BYTES_MAX + 2);
    }
}
