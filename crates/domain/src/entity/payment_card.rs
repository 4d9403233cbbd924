//! `payment-card`: a keyed hash of a number that passes Luhn's test, in hexadecimal.
//!
//! **Never:** the number, or a hash of it that is not keyed: there are too few numbers to hide.

use super::{KeyError, characters};

const FORM: KeyError =
    KeyError::Form("a payment card is a keyed hash, 32 lower-case hexadecimal digits");

/// Only Mirage makes these, so only its own form is taken.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let exact = characters::is_hex(text, 32) && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    exact.then(|| text.to_owned()).ok_or(FORM)
}

/// Whether `digits` could be a card's number: 12–19 digits (ISO/IEC 7812) with Luhn's check digit,
/// not all zero. Without separators.
pub fn luhn(digits: &str) -> bool {
    let plausible = matches!(digits.len(), 12..=19)
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && digits.bytes().any(|byte| byte != b'0');
    let doubled = |digit: u32| if digit < 5 { digit * 2 } else { digit * 2 - 9 };
    let weighted = digits.bytes().rev().enumerate().map(|(place, byte)| {
        let digit = u32::from(byte.wrapping_sub(b'0'));
        if place % 2 == 1 {
            doubled(digit)
        } else {
            digit
        }
    });
    plausible && weighted.sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hash_is_a_key() {
        let key = "0123456789abcdef".repeat(2);
        assert_eq!(normalise(&key), Ok(key.clone()));
        for text in [&key.to_uppercase(), &key.repeat(2), "4111111111111111"] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }

    #[test]
    fn luhn_tells_numbers_from_digits() {
        for digits in ["4111111111111111", "5555555555554444", "378282246310005"] {
            assert!(luhn(digits), "{digits}");
        }
        for digits in [
            "4111111111111112",
            "4111 1111 1111 1111",
            "0000000000000000",
            "18",
            "",
            "٤١١١١١١",
        ] {
            assert!(!luhn(digits), "{digits}");
        }
    }

    #[test]
    fn luhn_sees_every_wrong_digit() {
        let number = "4111111111111111";
        for (place, digit) in (0..number.len()).flat_map(|place| (0..10).map(move |d| (place, d))) {
            let mut wrong = number.to_owned();
            wrong.replace_range(place..=place, &digit.to_string());
            assert_eq!(luhn(&wrong), wrong == number, "{wrong}");
        }
    }
}
