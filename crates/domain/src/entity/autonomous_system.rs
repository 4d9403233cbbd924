//! `autonomous-system`: `AS` and the number in decimal (RFC 5396, asplain).

use super::KeyError;

const FORM: KeyError = KeyError::Form("an autonomous system is AS and a number, such as AS64500");

/// The prefix may be missing; 0 names no system (RFC 7607).
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let digits = match text.get(..2) {
        Some(prefix) if prefix.eq_ignore_ascii_case("as") => &text[2..],
        _ => text,
    };
    if digits.starts_with('0') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM);
    }
    let number: u32 = digits.parse().map_err(|_| FORM)?;
    Ok(format!("AS{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_system_has_one_key() {
        for text in ["AS64500", "as64500", "64500"] {
            assert_eq!(normalise(text).as_deref(), Ok("AS64500"));
        }
        for text in [
            "AS0",
            "AS",
            "AS064500",
            "AS4294967296",
            "AS+1",
            "AS1.10",
            "AS-1",
            "ASN1",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
