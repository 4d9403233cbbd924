//! `device`: a MAC address or BSSID, lower case with colons.

use super::{KeyError, characters};

const FORM: KeyError = KeyError::Form("a device is a MAC address such as 00:00:5e:00:53:01");

const DIGITS: usize = 12;

/// Colons, hyphens, Cisco's dots, or no separators. Groups (broadcast too) and zero are no device.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let grouped = |separator: char, group: usize| {
        text.split(separator).all(|part| part.len() == group)
            && text.matches(separator).count() == DIGITS / group - 1
    };
    let separated = grouped(':', 2) || grouped('-', 2) || grouped('.', 4) || text.len() == DIGITS;
    let digits = text.replace([':', '-', '.'], "").to_ascii_lowercase();
    if !separated || !characters::is_hex(&digits, DIGITS) {
        return Err(FORM);
    }
    let is_group = u8::from_str_radix(&digits[..2], 16).is_ok_and(|first| first & 1 == 1);
    if is_group || digits.bytes().all(|byte| byte == b'0') {
        return Err(FORM);
    }
    let octets: Vec<_> = (0..DIGITS)
        .step_by(2)
        .map(|at| &digits[at..at + 2])
        .collect();
    Ok(octets.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_has_one_key() {
        for text in [
            "00:00:5E:00:53:01",
            "00-00-5e-00-53-01",
            "0000.5e00.5301",
            "00005E005301",
        ] {
            assert_eq!(
                normalise(text).as_deref(),
                Ok("00:00:5e:00:53:01"),
                "{text}"
            );
        }
        for text in [
            "00:00:5e:00:53",
            "00:00:5e:00:53:01:02:03",
            "00:00-5e:00:53:01",
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "00:00:5e:00:53:0g",
            "0:0:5e:0:53:1",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
