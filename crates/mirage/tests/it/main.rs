//! The built program, run as people and scripts run it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_input;
mod care;
mod config;
mod copies;
mod diff;
mod forms;
mod graph;
mod log;
mod login;
mod marks;
mod nodes;
mod place;
mod rederive;
mod scan;
mod search;
