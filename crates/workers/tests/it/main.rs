//! Scans of the loopback company through the real node: log, evidence, probe, orchestrator.

mod collectors;
mod collectors_names;
mod collectors_web;
mod lifecycle;
mod scans;
