//! `phone`: a number in E.164 form, such as `+442079460958`.

use super::KeyError;

const FORM: KeyError =
    KeyError::Form("a phone is an international number such as +44 20 7946 0958");

/// Longest number as people write it; E.164 itself has 15 digits.
const WRITTEN_BYTES_MAX: usize = 40;

/// Only with the leading `+`: a national number belongs to a country that the text does not name.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let legal = |byte: u8| byte.is_ascii_digit() || b" -./()".contains(&byte);
    let is_digit = |c: char| c.is_ascii_digit();
    let written = text.strip_prefix('+').ok_or(FORM)?;
    if text.len() > WRITTEN_BYTES_MAX
        || !written.bytes().all(legal)
        || !written.starts_with(is_digit)
        || !written.ends_with(is_digit)
    {
        return Err(FORM);
    }
    let number = phonenumber::parse(None, text).map_err(|_| FORM)?;
    if !phonenumber::is_valid(&number) || number.extension().is_some() {
        return Err(FORM);
    }
    Ok(number.format().mode(phonenumber::Mode::E164).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_has_one_key() {
        for (text, key) in [
            ("+44 20 7946 0958", "+442079460958"),
            ("+44 (0)20 7946-0958", "+442079460958"),
            ("+1.202.555.0123", "+12025550123"),
            ("+39 06 6988 3114", "+390669883114"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "020 7946 0958",
            "0044 20 7946 0958",
            "+",
            "+/442079460958",
            "+442079460958-",
            "+999 123",
            "+44 1",
            "+1-800-FLOWERS",
            "+442079460958 ext. 5",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
