//! Charsets: the text of a body, whatever it says about itself.
//!
//! UTF-8 and UTF-16 are read as such, everything else as ISO 8859-1: enough for the ASCII that addresses are made of.
//! **Never:** an error, a panic; a byte that means nothing becomes U+FFFD.

/// The text of `body`: a byte order mark wins over `content_type`, which wins over the look of the bytes.
pub(in crate::collectors) fn text(body: &[u8], content_type: &str) -> String {
    match body {
        [0xef, 0xbb, 0xbf, rest @ ..] => return String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, rest @ ..] => return wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return wide(rest, u16::from_be_bytes),
        _ => {}
    }
    match label(content_type).as_str() {
        "utf-16" | "utf-16le" => wide(body, u16::from_le_bytes),
        "utf-16be" => wide(body, u16::from_be_bytes),
        _ => match std::str::from_utf8(body) {
            Ok(text) => text.to_owned(),
            // A cap may have cut the last character in two.
            Err(error) if error.error_len().is_none() => String::from_utf8_lossy(body).into_owned(),
            Err(_) => body.iter().map(|byte| char::from(*byte)).collect(),
        },
    }
}

fn wide(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

fn label(content_type: &str) -> String {
    let lower = content_type.to_ascii_lowercase();
    let (_, rest) = lower.split_once("charset=").unwrap_or_default();
    let end = |c: char| c == ';' || c.is_ascii_whitespace();
    let label = rest.split(end).next().unwrap_or_default();
    label.trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_read_in_its_charset() {
        let wide =
            |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
        for (body, content_type, text) in [
            (b"gr\xc3\xbcn".to_vec(), "text/html; charset=utf-8", "grün"),
            (b"gr\xfcn".to_vec(), "text/html; charset=iso-8859-1", "grün"),
            (b"gr\xfcn".to_vec(), "", "grün"),
            (
                b"\xef\xbb\xbfgr\xc3\xbcn".to_vec(),
                "text/html; charset=latin1",
                "grün",
            ),
            (wide("\u{feff}grün"), "text/html; charset=utf-8", "grün"),
            (wide("grün"), "text/html; charset=\"UTF-16LE\"; x=y", "grün"),
            (
                b"a+ADw-script".to_vec(),
                "text/html; charset=utf-7",
                "a+ADw-script",
            ),
        ] {
            assert_eq!(super::text(&body, content_type), text, "{content_type}");
        }
        assert_eq!(text(b"cut \xc3", "text/plain"), "cut \u{fffd}");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>, content_type in ".*") {
            let _ = text(&body, &content_type);
        }
    }
}
