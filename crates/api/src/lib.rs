//! Who may ask: the gateway, and what the outside sees of Mirage, beginning with its errors.
//!
//! **Never:** SQL, or anything of the workers that runs: work starts by a command.

pub mod admit;
mod ask;
pub mod audit;
pub mod auth;
mod buckets;
pub mod csv;
pub mod error;
pub mod export;
pub mod gateway;
pub mod grpc;
pub mod health;
pub mod listener;
pub mod live;
pub mod metrics;
pub mod openapi;
pub mod origin;
pub mod pace;
pub mod rates;
pub mod rest;
pub mod router;
pub mod safe_text;
pub mod trace;
pub mod why;
