//! Meilisearch, where somebody has put it.

use crate::{Traces, http, kill};

#[test]
fn a_server_keeps_its_indexes_over_a_kill_and_wants_its_key() {
    let Some(server) = mirage_servers::meilisearch() else {
        return;
    };
    let ask = |key: &str| {
        let request = format!("GET /version HTTP/1.0\r\nAuthorization: Bearer {key}\r\n\r\n");
        http(&server.url(), &request)
    };
    assert!(ask(server.master_key()).contains("pkgVersion"));
    assert!(!ask("another").contains("pkgVersion"));
    kill(&server);
    server.restart();
    assert!(ask(server.master_key()).contains("pkgVersion"));
    let traces = Traces::of([&*server]);
    drop(server);
    traces.are_gone();
}
