//! A stand-in for crt.sh: the names that public certificate logs have seen, in its JSON.
//!
//! As at the original, an entry's names are lines of one string; wildcards and a mail address
//! stand among them, a certificate is listed twice (with its precertificate), a time may be null.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::accept;
use crate::names::{Company, DOMAIN, Door};
use crate::page::Page;
use crate::tally::{Tally, bump};
use crate::web::{respond, serve_http};

/// Names per certificate.
const NAMES: usize = 3;
/// Every so many certificates one has a wildcard among its names.
const WILDCARDS: usize = 7;

/// The whole answer for the company's domain, with `more` names at the end.
pub(crate) fn answer(company: &Company, more: &[String]) -> Bytes {
    let listed = company
        .hosts
        .iter()
        .filter(|host| matches!(host.door, Door::Seed | Door::Common | Door::Only("crtsh")));
    let names: Vec<&str> = listed
        .map(|host| host.name.as_str())
        .chain(more.iter().map(String::as_str))
        .collect();
    let mut entries: Vec<Value> = names
        .chunks(NAMES)
        .enumerate()
        .map(|(number, names)| entry(number, names))
        .collect();
    // The first certificate once more, as its precertificate, and one with nothing but a mailbox.
    entries.push(entry(0, &names[..NAMES.min(names.len())]));
    entries.push(entry(
        entries.len(),
        &[&format!("admin@{DOMAIN}"), &format!("*.wild.{DOMAIN}")],
    ));
    Bytes::from(Value::Array(entries).to_string())
}

fn entry(number: usize, names: &[&str]) -> Value {
    let mut lines = names.join("\n");
    if number % WILDCARDS == WILDCARDS - 1 {
        lines = format!("*.{}\n{lines}", names[0]);
    }
    json!({
        "issuer_ca_id": 1,
        "issuer_name": "C=DE, O=Mirage World, CN=Mirage World Intermediate",
        "common_name": names[0],
        "name_value": lines,
        "id": 9_000_000_000_u64 + number as u64,
        "entry_timestamp": (number != 1).then_some("2025-01-01T00:00:00.001"),
        "not_before": "2025-01-01T00:00:00",
        "not_after": "2026-01-01T00:00:00",
        "serial_number": format!("{number:032x}"),
    })
}

/// Answers `?q=%25.DOMAIN&output=json` with `names`, any other question with an empty list.
pub(crate) async fn serve(listener: TcpListener, names: Bytes, tally: Arc<Tally>) {
    let wanted = format!("q=%25.{DOMAIN}");
    accept::each(listener, |stream, _| {
        bump(&tally.tcp);
        let (names, wanted, tally) = (names.clone(), wanted.clone(), Arc::clone(&tally));
        serve_http(stream, false, move |request| {
            bump(&tally.http);
            let query = request.uri().query().unwrap_or_default();
            let is_known = query
                .split('&')
                .any(|part| part.eq_ignore_ascii_case(&wanted));
            let body = if is_known {
                names.clone()
            } else {
                Bytes::from_static(b"[]")
            };
            respond(Page::new(200, "application/json", body), &request)
        })
    })
    .await;
}
