//! `dns-record`: `OWNER TYPE RDATA` in presentation form (RFC 1035 §5.1), without TTL and class.
//!
//! The producer writes bytes that are not printable ASCII as `\DDD`, and quotes every TXT string.

use super::{KeyError, domain};

const FORM: KeyError =
    KeyError::Form("a dns record is OWNER TYPE RDATA, such as `example.com MX 10 mx.example.com.`");

/// Their RDATA is numbers and names, which have no case (RFC 4034 §6.2). A resolver that mixes the
/// case of its question gets it back in compressed names, so one record would have many keys.
const WITHOUT_CASE: &[&str] = &["CNAME", "DNAME", "MX", "NS", "PTR", "SOA", "SRV"];

/// They stand where a type is expected if the text was cut from a zone file.
const CLASSES: &[&str] = &["ANY", "CH", "HS", "IN"];

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let (owner, rest) = word(text).ok_or(FORM)?;
    let (record_type, rest) = word(rest).ok_or(FORM)?;
    let record_type = self::record_type(record_type).ok_or(FORM)?;
    let mut rdata = self::rdata(rest).ok_or(FORM)?;
    if WITHOUT_CASE.contains(&record_type.as_str()) {
        rdata.make_ascii_lowercase();
    }
    let owner = domain::normalise(owner).map_err(|_| FORM)?;
    Ok(format!("{owner} {record_type} {rdata}"))
}

fn word(text: &str) -> Option<(&str, &str)> {
    text.trim_start_matches(is_blank).split_once(is_blank)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Letters and digits, a letter first: `NSEC3PARAM`, `TYPE65534`.
fn record_type(text: &str) -> Option<String> {
    let text = text.to_ascii_uppercase();
    let legal = text.len() <= 16
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && !CLASSES.contains(&text.as_str());
    legal.then_some(text)
}

/// White space is one space outside quotes and kept inside; comments and brackets are refused.
fn rdata(text: &str) -> Option<String> {
    let mut rdata = String::with_capacity(text.len());
    let (mut quoted, mut gap) = (false, false);
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if !quoted && is_blank(c) {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) && !rdata.is_empty() {
            rdata.push(' ');
        }
        rdata.push(c);
        match c {
            '\\' => {
                let escape = escape(characters.as_str())?;
                rdata.push_str(escape);
                characters = characters.as_str()[escape.len()..].chars();
            }
            '"' => quoted = !quoted,
            '(' | ')' | ';' if !quoted => return None,
            ' '..='~' => {}
            _ => return None,
        }
    }
    (!quoted && !rdata.is_empty()).then_some(rdata)
}

/// What follows a backslash: three digits of a byte, or one printable character that is no digit.
fn escape(rest: &str) -> Option<&str> {
    let first = rest.bytes().next()?;
    match first {
        b'0'..=b'9' => {
            let digits = rest
                .get(..3)
                .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse::<u8>().is_ok().then_some(digits)
        }
        b'!'..=b'~' => Some(&rest[..1]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_record_has_one_key() {
        for (text, key) in [
            (
                "Example.COM.  mx\t10  MX.Example.com. ",
                "example.com MX 10 mx.example.com.",
            ),
            (
                r#"example.com TXT  "a  B"  "c;d""#,
                r#"example.com TXT "a  B" "c;d""#,
            ),
            (
                r#"example.com TXT "\"\\\007 \195\188""#,
                r#"example.com TXT "\"\\\007 \195\188""#,
            ),
            (
                "example.com TYPE65534 \\# 1 AB",
                "example.com TYPE65534 \\# 1 AB",
            ),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key), "{text}");
        }
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for text in [
            "example.com MX",
            "example.com MX ",
            "example.com 300 A 192.0.2.1",
            "example.com IN A 192.0.2.1",
            "*.example.com A 192.0.2.1",
            "example.com TXT \"open",
            "example.com TXT \"bell\u{7}\"",
            "example.com TXT \"ü\"",
            "example.com TXT \"tab\tinside\"",
            "example.com TXT a ; comment",
            "example.com TXT \\300",
            "example.com TXT \\",
            "example.com TXT a\\ b",
            "example.com A- 192.0.2.1",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
