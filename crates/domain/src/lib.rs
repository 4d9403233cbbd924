//! What may happen: events, aggregates, entities, scope and the frontier, all of it pure.
//!
//! **Never:** a clock, I/O, randomness or an async runtime; times and ids come in as fields.

pub mod entity;
pub mod id;
pub mod relation;
