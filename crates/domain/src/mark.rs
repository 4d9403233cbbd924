//! Marks: an analyst's word on a finding, and its withdrawal; what falls with it is in `standing`.
//!
//! A mark has a stream of its own, named after the finding, among the streams of the finding's scan.
//! **Never:** an effect on what is scheduled; a change of the finding itself.

use serde::{Deserialize, Serialize};

use crate::sealed::Sealable;

/// Longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 4 * 1024;

crate::event::events! {
    Set = "mark.set" v 1,
    Cleared = "mark.cleared" v 1,
}

/// What an analyst says about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Not so: the finding falls, and with it what hangs on it alone.
    FalsePositive,
    /// Looked at and found right.
    Confirmed,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FalsePositive => "false-positive",
            Self::Confirmed => "confirmed",
        }
    }
}

/// Somebody marked the finding; a later mark takes the place of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    pub verdict: Verdict,
    pub reason: Sealable<String>,
}

/// The mark was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cleared {
    pub reason: Sealable<String>,
}

/// What can be said of a finding. Whether it exists is for the caller to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Set { verdict: Verdict, reason: String },
    Clear { reason: String },
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the finding is not marked")]
    NotMarked,
    #[error("a reason has at most {REASON_BYTES_MAX} bytes")]
    LongReason,
    #[error("a false positive needs a reason")]
    NoReason,
}

/// The mark of one finding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    standing: Option<(Verdict, Sealable<String>)>,
}

/// The event that the command makes; none if the finding is marked so already, for the same reason.
fn decide(mark: &Mark, command: Command) -> Result<Option<Event>, Error> {
    let (Command::Set { reason, .. } | Command::Clear { reason }) = &command;
    if reason.len() > REASON_BYTES_MAX {
        return Err(Error::LongReason);
    }
    match command {
        Command::Clear { .. } if mark.standing.is_none() => Err(Error::NotMarked),
        Command::Clear { reason } => {
            let reason = Sealable::Open(reason);
            Ok(Some(Cleared { reason }.into()))
        }
        Command::Set { verdict, reason } => {
            if verdict == Verdict::FalsePositive && reason.trim().is_empty() {
                return Err(Error::NoReason);
            }
            let reason = Sealable::Open(reason);
            let is_new = mark.standing != Some((verdict, reason.clone()));
            Ok(is_new.then(|| Set { verdict, reason }.into()))
        }
    }
}

crate::aggregate::aggregate!(Mark, "mark");

impl Mark {
    fn fold(&mut self, event: Event) {
        self.standing = match event {
            Event::Set(set) => Some((set.verdict, set.reason)),
            Event::Cleared(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(reason: &str) -> Command {
        Command::Set {
            verdict: Verdict::FalsePositive,
            reason: reason.to_owned(),
        }
    }

    fn after(commands: &[Command]) -> Mark {
        let mut mark = Mark::default();
        for command in commands {
            let event = decide(&mark, command.clone()).unwrap();
            cqrs_es::Aggregate::apply(&mut mark, event.unwrap());
        }
        mark
    }

    #[test]
    fn a_mark_can_be_set_cleared_and_set_again() {
        let clear = Command::Clear {
            reason: String::new(),
        };
        let mark = after(&[set("parked"), clear, set("parked")]);
        assert_eq!(decide(&mark, set("parked")), Ok(None));
    }

    #[test]
    fn another_reason_is_another_mark() {
        let event = decide(&after(&[set("parked")]), set("a test host"));
        assert!(event.unwrap().is_some());
    }

    #[test]
    fn a_false_positive_needs_a_reason_of_bounded_length() {
        let mark = Mark::default();
        assert_eq!(decide(&mark, set(" ")), Err(Error::NoReason));
        let long = "x".repeat(REASON_BYTES_MAX + 1);
        assert_eq!(decide(&mark, set(&long)), Err(Error::LongReason));
        let confirmed = Command::Set {
            verdict: Verdict::Confirmed,
            reason: String::new(),
        };
        assert!(decide(&mark, confirmed).is_ok());
    }

    #[test]
    fn what_is_not_marked_cannot_be_cleared() {
        let clear = Command::Clear {
            reason: "wrong".into(),
        };
        assert_eq!(decide(&Mark::default(), clear), Err(Error::NotMarked));
    }
}
