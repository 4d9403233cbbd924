//! Rows as documents: what an insert becomes, and what a dump shows of it.

use data_encoding::HEXLOWER;
use mirage_domain::id::Digest;
use serde_json::{Map, Value as Json};

use crate::operations::{Operations, Table, Value};
use crate::search::{DOCUMENTS, Searched, terms};
use crate::store::quarantine::{QUARANTINE, SKIPPED};

/// Bytes of one payload, about: a server takes 100 MB unless it is told otherwise.
const PAYLOAD_BYTES: usize = 4 * 1024 * 1024;

/// Tables by name, each with what orders its documents.
pub(super) static TABLES: [(&Table, &str); 3] = [
    (&DOCUMENTS, "cursor"),
    (&QUARANTINE, "cursor"),
    (&SKIPPED, "position"),
];

/// The documents of a batch, a document a line.
pub(super) fn payloads(operations: &Operations) -> Vec<Vec<u8>> {
    let mut payloads = vec![Vec::new()];
    for rows in operations.tables() {
        let width = rows.table.columns.len();
        for values in rows.values.chunks_exact(width) {
            let document = document(rows.table, values);
            if payloads
                .last()
                .is_some_and(|last| last.len() >= PAYLOAD_BYTES)
            {
                payloads.push(Vec::new());
            }
            let last = payloads.last_mut().expect("there is always one");
            serde_json::to_writer(&mut *last, &document).expect("memory takes it");
            last.push(b'\n');
        }
    }
    payloads.retain(|payload| !payload.is_empty());
    payloads
}

fn document(table: &Table, values: &[Value]) -> Json {
    let mut document = Map::new();
    for (column, value) in table.columns.iter().zip(values) {
        document.insert((*column).to_owned(), shown(value));
    }
    let field = |name: &str| document.get(name).and_then(Json::as_str);
    let id = match table.name {
        "quarantine" => {
            let stream = field("stream").unwrap_or_default();
            format!("q{}", Digest::of(stream.as_bytes()))
        }
        "skipped" => format!("s{}", document["position"]),
        _ => document["cursor"].to_string(),
    };
    if table.name == DOCUMENTS.name {
        let terms = terms::of(Searched {
            key: field("key"),
            text: field("text"),
            unspaced: field("unspaced"),
        });
        document.insert("terms".into(), terms.into_iter().collect());
    }
    document.insert("table".into(), table.name.into());
    document.insert("id".into(), id.into());
    Json::Object(document)
}

/// As the canonical dump shows it, too.
fn shown(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(integer) => (*integer).into(),
        Value::Text(text) => text.as_ref().into(),
        Value::Id(id) => HEXLOWER.encode(id).into(),
        Value::Blob(bytes) => HEXLOWER.encode(bytes).into(),
    }
}
