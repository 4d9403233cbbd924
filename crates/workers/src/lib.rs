//! What happens next: the orchestrator, the collecting workers, the probe and the collectors.
//!
//! **Never:** the network except through [`probe`]; a finding without evidence.

pub mod collectors;
pub mod probe;
