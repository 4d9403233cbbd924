//! Scans of the loopback company through the real node: log, evidence, probe, orchestrator.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod collectors;
mod collectors_names;
mod collectors_policy;
mod collectors_registries;
mod collectors_web;
mod flaky_store;
mod lifecycle;
mod notify;
mod roles;
mod scans;
mod tenants;
