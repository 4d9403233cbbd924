//! Upcasts: old events read as today's; one event becomes one of its kind's next version.
//!
//! **Invariant:** an upcast is pure and total for every document that was ever written with its version.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::event::ReadError;

/// One step: data of `kind` at version `from` becomes data of version `from + 1`.
pub struct Upcast {
    pub kind: &'static str,
    pub from: u32,
    pub lift: fn(Value) -> Value,
}

/// Every upcast that this program carries, sorted by kind and version.
pub const ALL: &[Upcast] = &[Upcast {
    kind: "scan.requested",
    from: 1,
    lift: with_origin,
}];

/// A request said only which scan it repeats; all were scans of the world.
fn with_origin(mut request: Value) -> Value {
    if let Some(fields) = request.as_object_mut() {
        let mut origin = serde_json::Map::from_iter([("kind".to_owned(), "scan".into())]);
        if let Some(rerun_of) = fields.remove("rerun_of") {
            origin.insert("rerun_of".to_owned(), rerun_of);
        }
        fields.insert("origin".to_owned(), origin.into());
    }
    request
}

/// Lifts `data` from `version` to `newest` by the steps of `table`.
pub fn lift(
    table: &[Upcast],
    kind: &str,
    version: u32,
    newest: u32,
    data: &RawValue,
) -> Result<String, ReadError> {
    let fault = |source| ReadError::Data {
        kind: kind.to_owned(),
        version,
        source,
    };
    let mut value: Value = serde_json::from_str(data.get()).map_err(fault)?;
    for from in version..newest {
        let step = table
            .iter()
            .find(|step| step.kind == kind && step.from == from);
        let step = step.ok_or_else(|| ReadError::Unknown {
            kind: kind.to_owned(),
            version: from,
        })?;
        value = (step.lift)(value);
    }
    Ok(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Upcast] = &[
        Upcast {
            kind: "thing.seen",
            from: 1,
            lift: |mut data| {
                data["b"] = 2.into();
                data
            },
        },
        Upcast {
            kind: "thing.seen",
            from: 2,
            lift: |mut data| {
                data["c"] = 3.into();
                data
            },
        },
    ];

    #[test]
    fn data_climbs_one_version_at_a_time() {
        let data = RawValue::from_string(r#"{"a":1}"#.into()).unwrap();
        assert_eq!(
            lift(TABLE, "thing.seen", 1, 3, &data).unwrap(),
            r#"{"a":1,"b":2,"c":3}"#
        );
        assert_eq!(
            lift(TABLE, "thing.seen", 2, 3, &data).unwrap(),
            r#"{"a":1,"c":3}"#
        );
    }

    #[test]
    fn a_missing_step_is_an_unknown_version() {
        let data = RawValue::from_string("{}".into()).unwrap();
        let missing = lift(TABLE, "thing.seen", 1, 4, &data);
        assert!(matches!(
            missing,
            Err(ReadError::Unknown { version: 3, .. })
        ));
    }
}
