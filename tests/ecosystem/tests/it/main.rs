//! What other people's tools say about Mirage's interfaces, in one binary.

mod buf;
mod descriptions;
mod grpc_code;
mod prometheus;
mod ran;
mod streams;
