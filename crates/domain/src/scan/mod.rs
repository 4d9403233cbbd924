//! Scans: what was asked for, and what people did to it since.
//!
//! One command, one file. **Invariant:** status is a fold of events, never a field that someone sets.

mod archive;
mod events;
mod finish;
mod pause;
mod resume;
mod start;
mod stop;

use serde::{Deserialize, Serialize};

pub use archive::{ArchiveError, ArchiveScan};
pub use events::*;
pub use finish::{FinishError, FinishScan};
pub use pause::{PauseError, PauseScan};
pub use resume::{ResumeError, ResumeScan};
pub use start::{DEPTH_MAX, SEEDS_MAX, StartError, StartScan};
pub use stop::{StopError, StopScan};

/// Where a scan is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing was asked for: the stream is empty.
    #[default]
    Absent,
    Running,
    Paused,
    Stopping,
    Finished,
}

/// The state of one scan.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    pub state: State,
    pub is_archived: bool,
}

/// Everything that can be asked of a scan.
#[derive(Debug, Clone)]
pub enum Command {
    Start(Box<StartScan>),
    Pause(PauseScan),
    Resume(ResumeScan),
    Stop(StopScan),
    Finish(FinishScan),
    Archive(ArchiveScan),
}

/// Why a command was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Pause(#[from] PauseError),
    #[error(transparent)]
    Resume(#[from] ResumeError),
    #[error(transparent)]
    Stop(#[from] StopError),
    #[error(transparent)]
    Finish(#[from] FinishError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

fn decide(scan: &Scan, command: Command) -> Result<Vec<Event>, Error> {
    Ok(match &command {
        Command::Start(command) => start::decide(scan, command)?,
        Command::Pause(command) => pause::decide(scan, command)?,
        Command::Resume(command) => resume::decide(scan, command)?,
        Command::Stop(command) => stop::decide(scan, command)?,
        Command::Finish(command) => finish::decide(scan, command)?,
        Command::Archive(command) => archive::decide(scan, command)?,
    })
}

crate::aggregate::aggregate!(Scan, "scan");

impl Scan {
    fn fold(&mut self, event: Event) {
        match event {
            Event::Requested(_) | Event::Started(_) | Event::Resumed(_) => {
                self.state = State::Running
            }
            Event::Paused(_) => self.state = State::Paused,
            Event::StopRequested(_) => self.state = State::Stopping,
            Event::Finished(_) => self.state = State::Finished,
            Event::Archived(_) => self.is_archived = true,
            Event::Unarchived(_) => self.is_archived = false,
        }
    }
}

#[cfg(test)]
mod testing;
