//! Stopping a scan: open tasks are revoked, what was found stays.

use super::{Event, Scan, State, StopRequested};

/// Stops a scan for good; a stopping one stays as it is.
#[derive(Debug, Clone, Copy)]
pub struct StopScan;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    #[error("there is no such scan")]
    Absent,
    #[error("the scan is over")]
    Over,
}

pub(super) fn decide(scan: &Scan, _: &StopScan) -> Result<Vec<Event>, StopError> {
    match scan.state {
        State::Absent => Err(StopError::Absent),
        State::Running | State::Paused => Ok(vec![StopRequested {}.into()]),
        State::Stopping => Ok(Vec::new()),
        State::Finished => Err(StopError::Over),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::testing::{given, started};
    use crate::scan::{Command, Paused};

    #[test]
    fn a_running_and_a_paused_scan_can_be_stopped() {
        given(started())
            .when(Command::Stop(StopScan))
            .then([StopRequested {}.into()]);
        let paused = [started(), vec![Paused {}.into()]].concat();
        given(paused)
            .when(Command::Stop(StopScan))
            .then([StopRequested {}.into()]);
        given([])
            .when(Command::Stop(StopScan))
            .fails(StopError::Absent);
    }
}
