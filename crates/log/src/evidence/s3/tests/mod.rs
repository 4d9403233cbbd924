//! The store on a model in memory, fast, and on a real gateway.

mod damage;
mod faults;
mod gateway;
mod in_memory;

use super::Options;

/// A bucket on this machine.
fn local(endpoint: &str, access_key: &str, secret_key: &str) -> Options {
    Options {
        endpoint: Some(endpoint.to_owned()),
        prefix: "mirage/evidence".to_owned(),
        allows_http: true,
        ..Options::of("evidence", access_key, secret_key)
    }
}
