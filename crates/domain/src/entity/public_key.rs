//! `public-key`: `pgp:FINGERPRINT` in upper case or `ssh:SHA256:…` as ssh-keygen prints it.

use data_encoding::BASE64_NOPAD;

use super::{KeyError, characters};

const FORM: KeyError =
    KeyError::Form("a public key is pgp: and a fingerprint of 40 or 64 digits, or ssh:SHA256:…");

/// Key ids of 8 or 16 digits are refused: anybody can make a key with a wanted one.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let (scheme, rest) = characters::slug_and_rest(text).ok_or(FORM)?;
    match scheme.as_str() {
        "pgp" => pgp(rest),
        "ssh" => ssh(rest),
        _ => None,
    }
    .ok_or(FORM)
}

/// Fingerprints of version 4 and 6 (RFC 9580), which gpg prints in groups.
fn pgp(fingerprint: &str) -> Option<String> {
    let digits = fingerprint.replace(' ', "").to_ascii_uppercase();
    let legal = characters::is_hex(&digits, 40) || characters::is_hex(&digits, 64);
    legal.then(|| format!("pgp:{digits}"))
}

fn ssh(fingerprint: &str) -> Option<String> {
    let (algorithm, hash) = fingerprint.split_once(':')?;
    let bytes = BASE64_NOPAD.decode(hash.as_bytes()).ok()?;
    let legal = algorithm.eq_ignore_ascii_case("sha256") && bytes.len() == 32;
    legal.then(|| format!("ssh:SHA256:{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_has_one_key() {
        for (text, key) in [
            (
                "PGP:d1a6 6e1a 23b1 82c9 980f  788c fbfc c82a 015e 7330",
                "pgp:D1A66E1A23B182C9980F788CFBFCC82A015E7330",
            ),
            (
                "ssh:sha256:uNiVztksCsDhcc0u9e8BrrJXVGDaXf5LoHVRZjl2tAU",
                "ssh:SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDaXf5LoHVRZjl2tAU",
            ),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key), "{text}");
        }
        for text in [
            "pgp:FBFCC82A015E7330",
            "D1A66E1A23B182C9980F788CFBFCC82A015E7330",
            "ssh:MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
            "ssh:SHA256:short",
            "ssh:SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDaXf5LoHVRZjl2tAU=",
            "ssh:SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDaXf5LoHVRZjl2tAV",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
