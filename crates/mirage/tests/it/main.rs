//! The built program, run as people and scripts run it.

mod bad_input;
mod forms;
mod log;
mod place;
