//! Subjects: where a stream's commits lie, and what a scan's reader filters by.
//!
//! **Invariant:** all writers of a stream use the same exact subject, so that their expectations exclude one another.

use mirage_domain::id::{ScanId, StreamId};

/// A part of a subject that would be routing.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` cannot be part of a subject: 1 to 64 letters, digits, `-` and `_` can")]
pub(super) struct BadPart(String);

/// The subject of a stream.
pub(super) fn of_stream(prefix: &str, stream: &StreamId) -> Result<String, BadPart> {
    let scan = stream.scan.as_ref().map_or("_", ScanId::as_str);
    let parts = [
        prefix,
        stream.workspace.as_str(),
        scan,
        stream.category.as_str(),
        stream.id.as_str(),
    ];
    join(&parts)
}

/// The subjects of a scan, in whichever workspace it is.
pub(super) fn of_scan(prefix: &str, scan: &ScanId) -> Result<String, BadPart> {
    Ok(format!("{}.*.{}.>", part(prefix)?, part(scan.as_str())?))
}

fn join(parts: &[&str]) -> Result<String, BadPart> {
    let parts: Result<Vec<&str>, BadPart> = parts.iter().map(|text| part(text)).collect();
    Ok(parts?.join("."))
}

/// Checked here again, where it matters: the client lets everything pass but white space.
pub(super) fn part(text: &str) -> Result<&str, BadPart> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match (1..=64).contains(&text.len()) && text.bytes().all(is_plain) {
        true => Ok(text),
        false => Err(BadPart(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use mirage_domain::id::{TaskId, WorkspaceId};
    use proptest::prelude::*;

    use super::*;
    use crate::contract;

    /// Text with what matters to subjects and to the protocol's lines.
    fn hostile() -> impl Strategy<Value = String> {
        "([A-Za-z0-9_-]|[.*> \r\n\t\u{0}$/\\\\]|\\PC|PUB x 0|Nats-){0,12}"
    }

    proptest! {
        #[test]
        fn a_text_becomes_one_part_of_a_subject_or_no_id_at_all(text in hostile()) {
            let json = serde_json::Value::from(text.as_str());
            let workspace = serde_json::from_value::<WorkspaceId>(json.clone());
            prop_assert_eq!(workspace.is_ok(), part(&text).is_ok());
            prop_assert_eq!(serde_json::from_value::<ScanId>(json.clone()).is_ok(), workspace.is_ok());
            prop_assert_eq!(serde_json::from_value::<TaskId>(json).is_ok(), workspace.is_ok());
            if let Ok(workspace) = workspace {
                let subject = of_stream("mirage", &StreamId::workspace(&workspace)).unwrap();
                prop_assert_eq!(subject.split('.').count(), 5, "{}", subject);
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
                prop_assert!(subject.bytes().all(is_plain), "{}", subject);
            }
        }

        #[test]
        fn a_stream_as_text_has_four_parts_or_is_none(text in hostile()) {
            let stream = format!("default/_/{text}/a").parse::<StreamId>();
            prop_assert_eq!(stream.is_ok(), part(&text).is_ok(), "{:?}", text);
        }
    }

    #[test]
    fn a_subject_names_workspace_scan_category_and_id() {
        let scan = contract::scan();
        let subject = of_stream("mirage", &contract::stream(1)).unwrap();
        let (head, tail) = subject.rsplit_once('.').unwrap();
        assert_eq!(head, format!("mirage.default.{scan}.task"));
        assert_eq!(tail, contract::stream(1).id.as_str());
        assert_eq!(
            of_stream("mirage", &StreamId::log()).unwrap(),
            "mirage.system._.log.log"
        );
        assert_eq!(
            of_scan("mirage", &scan).unwrap(),
            format!("mirage.*.{scan}.>")
        );
    }

    #[test]
    fn what_would_be_routing_or_break_the_protocol_is_no_part() {
        let long = "x".repeat(65);
        let bad = [
            "",
            "a.b",
            "*",
            ">",
            "a b",
            "a\r\nPUB x 0",
            "a\tb",
            "é",
            "a/b",
            &long,
        ];
        for text in bad {
            assert!(part(text).is_err(), "{text:?}");
            assert!(join(&["mirage", text, "x"]).is_err(), "{text:?}");
        }
        assert!(part("scn_0-9aZ").is_ok());
    }
}
