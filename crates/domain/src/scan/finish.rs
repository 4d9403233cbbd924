//! Finishing a scan: follows from `plan.finished` and nothing else.

use super::{Event, Finished, Outcome, Scan, State};
use crate::plan::Totals;

/// Says that a scan is over; its idempotency key is the plan's last commit.
#[derive(Debug, Clone, Copy)]
pub struct FinishScan {
    pub outcome: Outcome,
    pub totals: Totals,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FinishError {
    #[error("there is no such scan")]
    Absent,
}

pub(super) fn decide(scan: &Scan, command: &FinishScan) -> Result<Vec<Event>, FinishError> {
    match scan.state {
        State::Absent => Err(FinishError::Absent),
        State::Finished => Ok(Vec::new()),
        State::Running | State::Paused | State::Stopping => {
            let FinishScan { outcome, totals } = *command;
            Ok(vec![Finished { outcome, totals }.into()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Command;
    use crate::scan::testing::{given, started};

    #[test]
    fn a_scan_finishes_once() {
        let finish = FinishScan {
            outcome: Outcome::Completed,
            totals: Totals::default(),
        };
        let FinishScan { outcome, totals } = finish;
        let finished = Finished { outcome, totals };
        given(started())
            .when(Command::Finish(finish))
            .then([finished.clone().into()]);
        let over = [started(), vec![finished.into()]].concat();
        given(over).when(Command::Finish(finish)).then([]);
        given([])
            .when(Command::Finish(finish))
            .fails(FinishError::Absent);
    }
}
