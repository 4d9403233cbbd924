//! `person`: the name folded as an organization's is (NFKC, case, spaces).

use super::{KeyError, characters};

const FORM: KeyError = KeyError::Form("a person is a name such as Ada Lovelace");

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    characters::folded(text, &FORM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_has_one_key() {
        for text in ["Ada  LOVELACE", "ada lovelace", " Ada\tLovelace\n"] {
            assert_eq!(normalise(text).as_deref(), Ok("ada lovelace"));
        }
        for text in ["", "-", "Ada\0", "Ada\u{9b}", "\u{2067}Ada"] {
            assert_eq!(normalise(text), Err(FORM), "{text:?}");
        }
    }
}
