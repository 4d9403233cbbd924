//! `verdict`: `SOURCE KIND KEY` of the thing that the source judges.

use super::{KeyError, exposure};

const FORM: KeyError =
    KeyError::Form("a verdict is SOURCE KIND KEY, such as zen.spamhaus.org ip 192.0.2.1");

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    exposure::about(text, &FORM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_verdict_has_one_key() {
        let key = "zen.spamhaus.org ip 192.0.2.1";
        assert_eq!(
            normalise("zen.spamhaus.org ip ::ffff:192.0.2.1").as_deref(),
            Ok(key)
        );
        for text in [
            "zen.spamhaus.org",
            "zen ip",
            "zen address 192.0.2.1",
            "zen verdict a ip ::1",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
