//! What other people's tools say about Mirage's interfaces, in one binary.

mod buf;
mod grpc_code;
mod prometheus;
mod ran;
