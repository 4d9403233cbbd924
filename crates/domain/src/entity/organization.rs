//! `organization`: its name folded (NFKC, case, spaces), or `lei:` and its Legal Entity Identifier.

use super::{KeyError, bank_account, characters};

const FORM: KeyError =
    KeyError::Form("an organization is a name such as Example Ltd, or lei: and 20 characters");

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let key = characters::folded(text, &FORM)?;
    match key.strip_prefix("lei:") {
        Some(lei) => legal_entity(lei),
        None => Ok(key),
    }
}

/// ISO 17442: 18 letters and digits and two check digits, in upper case as the registry writes it.
fn legal_entity(lei: &str) -> Result<String, KeyError> {
    let lei = lei.trim_start().to_ascii_uppercase();
    let checked = lei.bytes().rev().take(2).all(|byte| byte.is_ascii_digit());
    if lei.len() != 20 || !checked || bank_account::remainder_97(lei.bytes()) != Some(1) {
        return Err(FORM);
    }
    Ok(format!("lei:{lei}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_organization_has_one_key() {
        for (text, key) in [
            ("  Example   GmbH & Co. KG ", "example gmbh & co. kg"),
            ("EXAMPLE\u{a0}gmbh & co. kg", "example gmbh & co. kg"),
            ("LEI:529900t8bm49aursdo55", "lei:529900T8BM49AURSDO55"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "lei:529900T8BM49AURSDO56",
            "lei:1",
            "...",
            "a\0",
            "a\u{1b}",
            "a\u{202e}b",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text:?}");
        }
    }
}
