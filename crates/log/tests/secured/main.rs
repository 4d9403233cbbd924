//! Servers that want credentials and TLS: each way by a real one, each refusal with its fix, and no secret told.

#![expect(clippy::unwrap_used, reason = "all of it is tests")]

mod nats;
mod s3;
