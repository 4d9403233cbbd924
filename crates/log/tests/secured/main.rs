//! Servers that want credentials and TLS: each way, each refusal with its fix, no secret told.

#![expect(clippy::unwrap_used, reason = "all of it is tests")]

mod nats;
mod s3;
