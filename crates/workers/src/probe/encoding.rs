//! Content-Encoding: decoding a body that wants to be a bomb (RFC 9110 §8.4).
//!
//! **Invariant:** at most the cap, and at most [`RATIO_MAX`] times the payload and [`SLACK_BYTES`], comes out.
//! **Never:** an error; what cannot be decoded to its end is cut.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Bytes out per byte in. Honest text stays below 20.
const RATIO_MAX: usize = 100;
/// What a small payload may grow by regardless.
const SLACK_BYTES: usize = 1024 * 1024;
/// Largest window of a zstd frame, in bytes (RFC 9659 §3).
const ZSTD_WINDOW_MAX: u64 = 8 * 1024 * 1024;
const BROTLI_BUFFER: usize = 4096;

/// A body, and whether some of it is missing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) body: Vec<u8>,
    pub(crate) is_cut: bool,
}

/// Decodes what `codings` (the header's value) says was done last, and only that; the rest would be a nested bomb.
pub(crate) fn decode(payload: &[u8], codings: &str, bytes_max: usize) -> Decoded {
    let named = |coding: &str| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity");
    let mut codings = codings.split(',').map(str::trim).rev().filter(|c| named(c));
    let last = codings.next().unwrap_or_default().to_ascii_lowercase();
    let is_nested = codings.next().is_some();
    let ratio_max = payload.len().saturating_mul(RATIO_MAX) + SLACK_BYTES;
    let bytes_max = bytes_max.min(ratio_max);
    let mut decoded = match last.as_str() {
        "gzip" | "x-gzip" => read(MultiGzDecoder::new(payload), bytes_max),
        "deflate" if is_zlib(payload) => read(ZlibDecoder::new(payload), bytes_max),
        "deflate" => read(DeflateDecoder::new(payload), bytes_max),
        "br" => read(brotli::Decompressor::new(payload, BROTLI_BUFFER), bytes_max),
        "zstd" => zstd(payload, bytes_max),
        _ => read(payload, bytes_max),
    };
    decoded.is_cut |= is_nested;
    decoded
}

fn read(from: impl Read, bytes_max: usize) -> Decoded {
    let mut body = Vec::new();
    let outcome = from.take(bytes_max as u64 + 1).read_to_end(&mut body);
    let is_cut = outcome.is_err() || body.len() > bytes_max;
    body.truncate(bytes_max);
    Decoded { body, is_cut }
}

/// Some servers send raw deflate under this name, against RFC 9110 §8.4.1.2; the header tells (RFC 1950 §2.2).
fn is_zlib(payload: &[u8]) -> bool {
    match *payload {
        [method, flags, ..] => method & 0x0f == 8 && u16::from_be_bytes([method, flags]) % 31 == 0,
        _ => false,
    }
}

fn zstd(payload: &[u8], bytes_max: usize) -> Decoded {
    let nothing = Decoded {
        body: Vec::new(),
        is_cut: true,
    };
    if zstd_window(payload).is_none_or(|window| window > ZSTD_WINDOW_MAX) {
        return nothing;
    }
    match ruzstd::decoding::StreamingDecoder::new(payload) {
        Ok(decoder) => read(decoder, bytes_max),
        Err(_) => nothing,
    }
}

/// The window that the first frame asks for, in bytes (RFC 8878 §3.1.1.1.2); the decoder would reserve it at once.
fn zstd_window(payload: &[u8]) -> Option<u64> {
    let frame = payload.strip_prefix(&[0x28, 0xb5, 0x2f, 0xfd])?;
    let (descriptor, rest) = frame.split_first()?;
    if descriptor & 0x20 == 0 {
        let window = *rest.first()?;
        let base = 1_u64 << (10 + u32::from(window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A single segment: the content's size is the window.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = rest.get(dictionary..)?;
    let number = |bytes: usize| {
        let field = size.get(..bytes)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    match descriptor >> 6 {
        0 => number(1),
        1 => number(2).map(|size| size + 256),
        2 => number(4),
        _ => number(8),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(bytes: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn br(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        brotli::CompressorWriter::new(&mut out, 4096, 5, 22)
            .write_all(bytes)
            .unwrap();
        out
    }

    fn zst(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    type Encoder = fn(&[u8]) -> Vec<u8>;
    const CODINGS: [(&str, Encoder); 5] = [
        ("gzip", gzip),
        ("deflate", zlib),
        ("deflate", raw),
        ("br", br),
        ("zstd", zst),
    ];

    proptest! {
        #[test]
        fn no_damage_to_a_payload_makes_a_decoder_panic(
            text in proptest::collection::vec(0..9_u8, 0..2000),
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        ) {
            for (coding, encode) in CODINGS {
                let mut payload = encode(&text);
                for (at, byte) in &damage {
                    let at = at.index(payload.len());
                    payload[at] = *byte;
                }
                prop_assert!(decode(&payload, coding, 10_000).body.len() <= 10_000);
            }
        }
    }

    #[test]
    fn each_coding_gives_back_what_went_in() {
        let text = b"Mirage ".repeat(100);
        for (coding, encode) in CODINGS {
            let decoded = decode(&encode(&text), coding, 4096);
            assert_eq!(decoded.body, text, "{coding}");
            assert!(!decoded.is_cut, "{coding}");
        }
        let plain = decode(&text, "identity", 4096);
        assert_eq!(plain.body, text);
        assert_eq!(decode(&text, "", 10).body.len(), 10);
    }

    #[test]
    fn a_bomb_is_cut_at_the_cap_and_at_the_ratio() {
        let zeros = vec![0; 64 * 1024 * 1024];
        for (coding, encode) in CODINGS {
            let bomb = encode(&zeros);
            let decoded = decode(&bomb, coding, 100_000);
            assert_eq!(decoded.body.len(), 100_000, "{coding}");
            assert!(decoded.is_cut, "{coding}");
            let by_ratio = decode(&bomb, coding, usize::MAX - 1);
            assert!(by_ratio.body.len() <= bomb.len() * RATIO_MAX + SLACK_BYTES);
            assert!(by_ratio.is_cut, "{coding}");
        }
    }

    #[test]
    fn of_nested_codings_one_is_undone() {
        let inner = gzip(b"text");
        let decoded = decode(&gzip(&inner), "gzip, gzip", 4096);
        assert_eq!((decoded.body, decoded.is_cut), (inner, true));
    }

    #[test]
    fn a_cut_or_lying_payload_gives_what_could_be_read() {
        let text: Vec<u8> = (0..5000_u32).flat_map(|n| n.to_be_bytes()).collect();
        for (coding, encode) in CODINGS {
            let encoded = encode(&text);
            let decoded = decode(&encoded[..encoded.len() / 2], coding, 100_000);
            assert!(decoded.is_cut, "{coding}");
            assert!(text.starts_with(&decoded.body), "{coding}");
        }
        assert!(decode(b"no gzip", "gzip", 100).is_cut);
    }

    #[test]
    fn a_zstd_frame_with_a_huge_window_is_not_decoded() {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 0, 0];
        assert!(zstd_window(&frame).unwrap() > ZSTD_WINDOW_MAX);
        assert!(decode(&frame, "zstd", 100).is_cut);
    }
}
