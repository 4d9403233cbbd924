//! The description of the live streams is made from the code, kept, whole, and fits what is sent.

use std::path::Path;

use mirage_api::live::asyncapi;
use serde_json::Value;

use super::expected;
use crate::rig::Rig;

fn described() -> Value {
    serde_json::from_str(&asyncapi::document()).unwrap()
}

#[test]
fn the_kept_description_of_streams_is_the_codes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/asyncapi.json");
    let made = asyncapi::document();
    if std::env::var_os("MIRAGE_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == made,
        "run with MIRAGE_BLESS=1 to write {}",
        path.display()
    );
}

#[test]
fn every_reference_leads_somewhere() {
    let described = described();
    let mut found = 0;
    let mut rest = vec![&described];
    while let Some(value) = rest.pop() {
        if let Some(to) = value.get("$ref").and_then(Value::as_str) {
            let to = to.strip_prefix('#').unwrap();
            assert!(described.pointer(to).is_some(), "{to}");
            found += 1;
        }
        match value {
            Value::Object(members) => rest.extend(members.values()),
            Value::Array(items) => rest.extend(items),
            _ => {}
        }
    }
    assert!(found > 10, "{found}");
}

#[tokio::test]
async fn every_event_has_what_the_description_says() {
    let described = described();
    let schema = &described["components"]["schemas"]["CloudEvent"];
    let known = schema["properties"].as_object().unwrap();
    let required = schema["required"].as_array().unwrap();
    let types = known["type"]["enum"].as_array().unwrap();
    let rig = Rig::new().await;
    for message in expected(&rig, 0, rig.head().await).await {
        let event = message.data.as_object().unwrap();
        assert!(event.keys().all(|name| known.contains_key(name)));
        assert!(
            required
                .iter()
                .all(|name| event.contains_key(name.as_str().unwrap()))
        );
        assert!(types.contains(&event["type"]) && event["data"].is_object());
    }
}
