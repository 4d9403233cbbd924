//! What holds for all views together: schedules of kills and rebuilds, and the past.

mod past;
mod schedules;
