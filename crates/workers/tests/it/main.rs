//! Scans of the loopback company through the real node: log, evidence, probe, orchestrator.

mod lifecycle;
mod scans;
