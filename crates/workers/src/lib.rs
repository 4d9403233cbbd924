//! What happens next: the orchestrator, the collecting workers, the probe and the collectors.
//!
//! [`node`] takes commands; [`orchestrate`] schedules a scan's tasks into its plan; [`collect`] runs one task;
//! [`notify`] tells subscribers what happens; [`probe`] is the way to the network; [`collectors`] know the sources, one a file.
//! **Never:** the network except through [`probe`]; a finding without evidence.

pub mod collect;
pub mod collectors;
pub mod leases;
pub mod node;
pub mod notify;
pub mod orchestrate;
pub mod probe;
pub mod seed;
pub mod settings;
