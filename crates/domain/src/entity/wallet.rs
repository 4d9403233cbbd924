//! `wallet`: `chain:address` with the address's checksum verified.

use sha3::{Digest as _, Keccak256};

use super::{KeyError, characters};

const FORM: KeyError =
    KeyError::Form("a wallet is CHAIN:ADDRESS with a valid checksum, such as bitcoin:1A1z…");

/// A chain whose addresses carry a checksum in Bitcoin's ways.
struct Chain {
    name: &'static str,
    /// First byte of an address in base58check.
    versions: &'static [u8],
    /// What a bech32 address begins with (BIP 173, BIP 350), where there are any.
    prefix: Option<&'static str>,
}

/// Source: `base58Prefixes` and `bech32_hrp` in each chain's `chainparams.cpp`; Tron's 0x41 is its own.
const CHAINS: &[Chain] = &[
    Chain {
        name: "bitcoin",
        versions: &[0x00, 0x05],
        prefix: Some("bc1"),
    },
    Chain {
        name: "litecoin",
        versions: &[0x30, 0x32],
        prefix: Some("ltc1"),
    },
    Chain {
        name: "dogecoin",
        versions: &[0x1e, 0x16],
        prefix: None,
    },
    Chain {
        name: "dash",
        versions: &[0x4c, 0x10],
        prefix: None,
    },
    Chain {
        name: "tron",
        versions: &[0x41],
        prefix: None,
    },
];

/// The longest bech32 address; it also bounds the work of base 58, which is quadratic.
const ADDRESS_BYTES_MAX: usize = 90;

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let (name, address) = characters::slug_and_rest(text).ok_or(FORM)?;
    if address.len() > ADDRESS_BYTES_MAX {
        return Err(FORM);
    }
    let address = match CHAINS.iter().find(|chain| chain.name == name) {
        Some(chain) => on_chain(chain, address),
        None if name == "ethereum" => is_eip55(address).then(|| address.to_owned()),
        None => None,
    };
    Ok(format!("{name}:{}", address.ok_or(FORM)?))
}

fn on_chain(chain: &Chain, address: &str) -> Option<String> {
    // Bech32 is written in one case, lower or upper; its checksum refuses a mixture.
    let lower = address.to_ascii_lowercase();
    if chain.prefix.is_some_and(|prefix| lower.starts_with(prefix)) {
        return bech32::segwit::decode(address).is_ok().then_some(lower);
    }
    let bytes = bs58::decode(address).with_check(None).into_vec().ok()?;
    let known = bytes
        .first()
        .is_some_and(|version| chain.versions.contains(version));
    // A version and a hash of 160 bits.
    (known && bytes.len() == 21).then(|| address.to_owned())
}

/// EIP-55: the case of each letter is a bit of the hash of the address in lower case. An address
/// in one case only carries no checksum, so nothing tells it from any 40 digits.
fn is_eip55(address: &str) -> bool {
    let Some(digits) = address
        .strip_prefix("0x")
        .filter(|text| characters::is_hex(text, 40))
    else {
        return false;
    };
    let hash = Keccak256::digest(digits.to_ascii_lowercase());
    digits.bytes().enumerate().all(|(place, byte)| {
        let nibble = hash[place / 2] >> (if place % 2 == 0 { 4 } else { 0 }) & 0xf;
        byte.is_ascii_digit() || byte.is_ascii_uppercase() == (nibble >= 8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_one_key() {
        for (text, key) in [
            // The first block's address; BIP 173 and BIP 350; EIP-55.
            (
                "Bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
                "bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            ),
            (
                "bitcoin:BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
                "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            ),
            (
                "bitcoin:bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
                "bitcoin:bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            ),
            (
                "ethereum:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
                "ethereum:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            ),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key), "{text}");
        }
    }

    #[test]
    fn an_address_whose_checksum_fails_is_refused() {
        for text in [
            "bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "dogecoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "litecoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            "bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3T4",
            // Version 1 with the checksum of version 0.
            "bitcoin:bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",
            "ethereum:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            "ethereum:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
            "ethereum:5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "solana:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "bitcoin:",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
