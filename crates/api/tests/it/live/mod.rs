//! Live streams over real sockets: all that happened, then what happens, in order and once.

mod asyncapi;
pub(crate) mod reader;
mod replay;
mod sse;
mod tickets;
mod ws;

use mirage_domain::id::Position;
use mirage_domain::role::Role;
use mirage_log::cloud_event::CloudEvent;
use mirage_projections::testing::made_scan::workspace;
use serde_json::json;

use axum::http::Method;

use crate::rig::{Rig, request};
use reader::Message;

/// The events of the `n`-th workspace up to a position, as they are to be told.
pub(crate) async fn expected(rig: &Rig, n: usize, upto: Position) -> Vec<Message> {
    let mut all = Vec::new();
    for at in 1..=upto.0 {
        let recorded = rig.log.commit(Position(at)).await.unwrap();
        if recorded.commit.stream.workspace != workspace(n) {
            continue;
        }
        let streamed = recorded
            .entries()
            .filter(|(_, entry)| !entry.event.kind().starts_with("audit."));
        all.extend(streamed.map(|(cursor, entry)| {
            Message {
                id: cursor.to_string(),
                event: String::new(),
                data: serde_json::to_value(
                    CloudEvent::of(&recorded.commit, cursor, entry).unwrap(),
                )
                .unwrap(),
            }
        }));
    }
    all
}

pub(crate) async fn start_scan(rig: &Rig, n: usize) {
    let key = rig.key(n, Role::Owner);
    let body = json!({"seeds": ["example.com"]});
    let started = request(&key, Method::POST, "/scans", Some(body));
    rig.send(started).await.good();
}
