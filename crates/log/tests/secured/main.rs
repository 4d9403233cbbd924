//! Servers that want credentials and TLS: each way by a real one, each refusal with its fix, and no secret told.

mod nats;
mod s3;
