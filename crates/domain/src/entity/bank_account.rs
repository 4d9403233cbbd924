//! `bank-account`: an IBAN in upper case without spaces, checked by mod 97 (ISO 13616).

use super::KeyError;

const FORM: KeyError =
    KeyError::Form("a bank account is an IBAN with valid check digits, such as GB82 WEST 1234 …");

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let iban = text.replace(' ', "").to_ascii_uppercase();
    let bytes = iban.as_bytes();
    let country = bytes.iter().take(2).all(u8::is_ascii_uppercase);
    let check = iban
        .get(2..4)
        .filter(|check| check.bytes().all(|byte| byte.is_ascii_digit()));
    // Check digits are 98 minus a remainder; 00, 01 and 99 would pass the test as 97, 98 and 02 do.
    let made = check.is_some_and(|check| ("02"..="98").contains(&check));
    if !matches!(bytes.len(), 15..=34) || !country || !made {
        return Err(FORM);
    }
    let turned = bytes[4..].iter().chain(&bytes[..4]).copied();
    (remainder_97(turned) == Some(1))
        .then_some(iban)
        .ok_or(FORM)
}

/// ISO 7064 MOD 97-10: the digits, letters as A = 10 … Z = 35, read as one number.
pub(super) fn remainder_97(characters: impl Iterator<Item = u8>) -> Option<u32> {
    let mut remainder = 0;
    for byte in characters {
        let value = match byte {
            b'0'..=b'9' => u32::from(byte - b'0'),
            b'A'..=b'Z' => u32::from(byte - b'A') + 10,
            _ => return None,
        };
        remainder = (remainder * if value < 10 { 10 } else { 100 } + value) % 97;
    }
    Some(remainder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_has_one_key() {
        for (text, key) in [
            ("gb82 west 1234 5698 7654 32", "GB82WEST12345698765432"),
            ("DE89370400440532013000", "DE89370400440532013000"),
            ("NO93 8601 1117 947", "NO9386011117947"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "GB82WEST12345698765433",
            "GB28WEST12345698765432",
            "8282WEST12345698765432",
            "GB82",
            "GB82-WEST-1234-5698-7654-32",
            "GB82WEST1234569876543ü",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
