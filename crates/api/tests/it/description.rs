//! The description is made from the code, kept, and names exactly the operations of the table.

use std::collections::BTreeSet;
use std::path::Path;

use mirage_api::auth::operations;
use mirage_api::openapi;
use serde_json::Value;

fn described() -> Value {
    serde_json::from_str(&openapi::document()).unwrap()
}

#[test]
fn the_kept_description_is_the_codes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/openapi.json");
    let made = openapi::document();
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
fn every_operation_has_its_row_and_every_row_its_operation() {
    let described = described();
    let mut operations = BTreeSet::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            operations.insert((path.clone(), method.to_uppercase(), id.to_owned()));
        }
    }
    let rows = operations::ALL.iter().chain(operations::OPEN).map(|row| {
        (
            row.path.to_owned(),
            row.method.to_string(),
            row.id.to_owned(),
        )
    });
    assert_eq!(operations, rows.collect());
    let keys: Vec<_> = operations::ALL
        .iter()
        .map(|row| (row.path, row.method.as_str()))
        .collect();
    assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
}

#[test]
fn every_operation_says_how_it_is_refused() {
    let described = described();
    for item in described["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for status in ["400", "401", "403", "404", "500", "503"] {
                let media = &operation["responses"][status]["content"];
                assert!(media["application/problem+json"].is_object(), "{operation}");
            }
        }
    }
}
