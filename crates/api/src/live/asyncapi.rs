//! The description of the live streams (AsyncAPI 3.0), kept in `schemas/asyncapi.json`.

use mirage_domain::event::Event;
use serde_json::{Value, json};

use super::ws::{BAD_SUBSCRIBE, FAILED, GOING_AWAY, REVOKED, SLOW};
use crate::router::BASE;

/// The document as it is kept.
pub fn document() -> String {
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Mirage live streams",
            "version": "1",
            "description": "The events of a workspace as CloudEvents 1.0: the whole history, then live, resumed by cursor.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels(),
        "operations": operations(),
        "components": {"messages": messages(), "schemas": schemas()},
    });
    let mut text = serde_json::to_string_pretty(&document).expect("the description is JSON");
    text.push('\n');
    text
}

fn to(place: &str, name: &str) -> Value {
    json!({"$ref": format!("#/{place}/{name}")})
}

fn named(names: &[&str]) -> Value {
    let one = |name: &&str| ((*name).to_owned(), to("components/messages", name));
    Value::Object(names.iter().map(one).collect())
}

fn channels() -> Value {
    let closes = json!({
        SLOW.to_string(): "the client did not read; the reason is the cursor to go on from",
        REVOKED.to_string(): "the credential opens nothing any more; the reason is the cursor",
        BAD_SUBSCRIBE.to_string(): "what the client said is not understood; the reason says why",
        GOING_AWAY.to_string(): "the server stops; the reason is the cursor to go on from",
        FAILED.to_string(): "the log cannot be read; the reason is the cursor to go on from",
    });
    json!({
        "web_socket": {
            "address": format!("{BASE}/events/ws"),
            "description": "The client subscribes once, then hears; a ping every 20 seconds.",
            "messages": named(&["subscribe", "ack", "events", "reset"]),
            "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            "x-close-codes": closes,
        },
        "server_sent_events": {
            "address": format!("{BASE}/events"),
            "description": "The id of each message is its cursor; a comment every 15 seconds.",
            "messages": named(&["event", "head", "close"]),
        },
    })
}

fn operations() -> Value {
    let operation = |action: &str, channel: &str, messages: &[&str]| {
        let place = format!("channels/{channel}/messages");
        let messages: Vec<Value> = messages.iter().map(|name| to(&place, name)).collect();
        json!({"action": action, "channel": to("channels", channel), "messages": messages})
    };
    json!({
        "hear_client": operation("receive", "web_socket", &["subscribe", "ack"]),
        "tell_client": operation("send", "web_socket", &["events", "reset"]),
        "stream": operation("send", "server_sent_events", &["event", "head", "close"]),
    })
}

fn messages() -> Value {
    let object = |properties: Value| json!({"type": "object", "properties": properties});
    let cursor = || to("components/schemas", "Cursor");
    let head = json!({"type": "integer", "minimum": 0});
    let one_of = |name: &str, inner: Value| {
        json!({
            "type": "object",
            "properties": {name: inner},
            "required": [name],
            "additionalProperties": false,
        })
    };
    let event = || to("components/schemas", "CloudEvent");
    let reasons = ["slow", "revoked", "stopped", "failed"];
    json!({
        "event": {"summary": "One event", "payload": event()},
        "events": {
            "summary": "Events in the order of their cursors",
            "payload": {"type": "array", "minItems": 1, "items": event()},
        },
        "subscribe": {
            "summary": "The first message of a client",
            "payload": one_of("subscribe", to("components/schemas", "Subscribe")),
        },
        "ack": {
            "summary": "Everything up to this cursor has arrived",
            "payload": one_of("ack", cursor()),
        },
        "reset": {
            "summary": "The log ends before the cursor; the history begins anew",
            "payload": one_of("reset", object(json!({"head": head}))),
        },
        "head": {
            "name": "reset",
            "summary": "The log ends before the cursor; the history begins anew",
            "payload": object(json!({"head": head})),
        },
        "close": {
            "summary": "The last message: why, and where to go on",
            "payload": object(json!({"reason": {"enum": reasons}, "after": cursor()})),
        },
    })
}

fn schemas() -> Value {
    let text = || json!({"type": "string"});
    let texts = || json!({"type": "array", "items": text()});
    let kinds = || Event::streamed_kinds().map(|(kind, _)| kind);
    let types: Vec<String> = kinds().map(|kind| format!("mirage.{kind}")).collect();
    let kinds: Vec<&str> = kinds().collect();
    let cursor = || to("components/schemas", "Cursor");
    json!({
        "Cursor": {
            "type": "string",
            "pattern": "^[0-9]+(\\.[0-9]+)?$",
            "description": "POSITION.INDEX, or a position: after the last event of that commit",
        },
        "Subscribe": {
            "type": "object",
            "properties": {
                "after": cursor(),
                "scan": text(),
                "kind": {"type": "array", "items": {"enum": kinds}},
                "module": texts(),
            },
            "additionalProperties": false,
        },
        "CloudEvent": {
            "type": "object",
            "properties": {
                "specversion": {"const": "1.0"},
                "id": {"type": "string", "description": "COMMIT-ID.INDEX"},
                "source": {"type": "string", "format": "uri-reference", "description": "/mirage/WORKSPACE"},
                "type": {"enum": types},
                "subject": {"type": "string", "description": "Category and id of the stream"},
                "time": {"type": "string", "format": "date-time"},
                "datacontenttype": {"const": "application/json"},
                "dataschema": {"type": "string", "format": "uri", "description": "mirage:/schemas/events/KIND.vN.json"},
                "sequence": cursor(),
                "traceparent": {"type": "string", "description": "W3C Trace Context"},
                "data": {"type": "object", "description": "As dataschema; what is sealed stands as null"},
            },
            "required": [
                "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "sequence",
                "data",
            ],
            "additionalProperties": false,
        },
    })
}
