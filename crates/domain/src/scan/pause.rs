//! Pausing a scan: nothing more is scheduled until it is resumed; what runs, runs to its end.

use super::{Event, Paused, Scan, State};

/// Pauses a running scan; a paused one stays as it is.
#[derive(Debug, Clone, Copy)]
pub struct PauseScan;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PauseError {
    #[error("there is no such scan")]
    Absent,
    #[error("the scan is over or being stopped")]
    Over,
}

pub(super) fn decide(scan: &Scan, _: &PauseScan) -> Result<Vec<Event>, PauseError> {
    match scan.state {
        State::Absent => Err(PauseError::Absent),
        State::Running => Ok(vec![Paused {}.into()]),
        State::Paused => Ok(Vec::new()),
        State::Stopping | State::Finished => Err(PauseError::Over),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::testing::{given, started};
    use crate::scan::{Command, StopRequested};

    #[test]
    fn a_running_scan_pauses_once() {
        given(started())
            .when(Command::Pause(PauseScan))
            .then([Paused {}.into()]);
        let paused = [started(), vec![Paused {}.into()]].concat();
        given(paused).when(Command::Pause(PauseScan)).then([]);
    }

    #[test]
    fn what_is_over_or_absent_cannot_pause() {
        given([])
            .when(Command::Pause(PauseScan))
            .fails(PauseError::Absent);
        let stopping = [started(), vec![StopRequested {}.into()]].concat();
        given(stopping)
            .when(Command::Pause(PauseScan))
            .fails(PauseError::Over);
    }
}
