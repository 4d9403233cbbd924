//! What is asked of the gateway in every interface: each question and each change once.
//!
//! REST and gRPC read a request each in its own way, ask here, and tell the answer each in its own words.

pub(crate) mod findings;
pub(crate) mod scans;
pub(crate) mod start;
pub(crate) mod why;
