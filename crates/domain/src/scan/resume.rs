//! Resuming a scan: a paused one goes on; failed inputs may be tried again while it is not over.

use super::{Event, Resumed, Scan, State};

/// Resumes a paused scan, or tries failed inputs again.
#[derive(Debug, Clone, Copy)]
pub struct ResumeScan {
    pub failed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResumeError {
    #[error("there is no such scan")]
    Absent,
    #[error("the scan is over or being stopped; `rerun` starts it anew")]
    Over,
}

pub(super) fn decide(scan: &Scan, command: &ResumeScan) -> Result<Vec<Event>, ResumeError> {
    match scan.state {
        State::Absent => Err(ResumeError::Absent),
        State::Running if !command.failed => Ok(Vec::new()),
        State::Running | State::Paused => Ok(vec![
            Resumed {
                failed: command.failed,
            }
            .into(),
        ]),
        State::Stopping | State::Finished => Err(ResumeError::Over),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Totals;
    use crate::scan::testing::{given, started};
    use crate::scan::{Command, Finished, Outcome, Paused};

    #[test]
    fn a_paused_scan_goes_on() {
        let paused = [started(), vec![Paused {}.into()]].concat();
        let resume = Command::Resume(ResumeScan { failed: false });
        given(paused)
            .when(resume.clone())
            .then([Resumed { failed: false }.into()]);
        given(started()).when(resume).then([]);
    }

    #[test]
    fn failed_inputs_can_be_tried_again_while_it_runs_and_not_after() {
        let again = Command::Resume(ResumeScan { failed: true });
        given(started())
            .when(again.clone())
            .then([Resumed { failed: true }.into()]);
        let finished = Finished {
            outcome: Outcome::Completed,
            totals: Totals::default(),
        };
        let over = [started(), vec![finished.into()]].concat();
        given(over).when(again).fails(ResumeError::Over);
    }
}
