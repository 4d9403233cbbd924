//! Who may ask: what the outside sees of Mirage, beginning with its errors.
//!
//! **Never:** SQL, or anything of the workers that runs: work starts by a command.

pub mod error;
pub mod health;
pub mod why;
