//! Archiving a scan: hidden from lists, never gone.

use super::{Archived, Event, Scan, State, Unarchived};

/// Hides a scan that is over, or shows it again.
#[derive(Debug, Clone, Copy)]
pub struct ArchiveScan {
    pub archived: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    #[error("there is no such scan")]
    Absent,
    #[error("the scan is not over; stop it first")]
    NotOver,
}

pub(super) fn decide(scan: &Scan, command: &ArchiveScan) -> Result<Vec<Event>, ArchiveError> {
    match scan.state {
        State::Absent => Err(ArchiveError::Absent),
        State::Running | State::Paused | State::Stopping => Err(ArchiveError::NotOver),
        State::Finished if command.archived == scan.is_archived => Ok(Vec::new()),
        State::Finished if command.archived => Ok(vec![Archived {}.into()]),
        State::Finished => Ok(vec![Unarchived {}.into()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Totals;
    use crate::scan::testing::{given, started};
    use crate::scan::{Command, Finished, Outcome};

    #[test]
    fn only_what_is_over_is_archived_and_it_comes_back() {
        let archive = |archived| Command::Archive(ArchiveScan { archived });
        given(started())
            .when(archive(true))
            .fails(ArchiveError::NotOver);
        let finished = Finished {
            outcome: Outcome::Completed,
            totals: Totals::default(),
        };
        let over = [started(), vec![finished.into()]].concat();
        given(over.clone())
            .when(archive(true))
            .then([Archived {}.into()]);
        given(over.clone()).when(archive(false)).then([]);
        let hidden = [over, vec![Archived {}.into()]].concat();
        given(hidden)
            .when(archive(false))
            .then([Unarchived {}.into()]);
    }
}
