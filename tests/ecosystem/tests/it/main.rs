//! What other people's tools say about Mirage's interfaces, in one binary.

mod buf;
mod deploy;
mod descriptions;
mod device;
mod fuzz_rest;
mod grpc_code;
mod http;
mod issuer;
mod prometheus;
mod ran;
mod streams;
mod traces;
