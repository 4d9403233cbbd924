//! Wallets, bank accounts, payment cards: each has a checksum, cards a scheme's numbers besides.

use std::sync::LazyLock;

use mirage_domain::entity::{Entity, Kind, payment_card};
use regex::Regex;

use super::{Mention, pattern};

static WALLET: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:0x[0-9a-fA-F]{40}|(?:bc1|BC1|ltc1|LTC1)[0-9a-zA-Z]{11,84}|[13LMDAXT79][1-9A-HJ-NP-Za-km-z]{25,34})\b",
    )
});
static IBAN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}"));
static CARD: LazyLock<Regex> = LazyLock::new(|| pattern(r"\b[0-9](?:[ -]?[0-9]){12,18}\b"));
/// Chains, in the order in which an address is tried; no address is valid on two of them.
const CHAINS: [&str; 6] = [
    "bitcoin", "ethereum", "litecoin", "dogecoin", "dash", "tron",
];
/// Country and length. Source: IBAN registry of SWIFT, release 99.
const LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 \
    ES24 FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 \
    LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 \
    SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20";
/// A number that passes Luhn's test by chance is one of ten.
const CARD_CONFIDENCE: u8 = 60;

/// `keyed` hashes a text under the workspace's key.
pub(super) fn of(text: &str, keyed: &dyn Fn(&str) -> String) -> impl Iterator<Item = Mention> {
    let wallets = WALLET
        .find_iter(text)
        .filter_map(|found| wallet(found.as_str()));
    let accounts = IBAN
        .find_iter(text)
        .filter_map(|found| account(found.as_str()));
    let cards = CARD.find_iter(text).filter_map(|found| {
        let before = text[..found.start()].chars().next_back();
        // A part of a longer number, of an amount, of a version.
        let is_inside =
            before.is_some_and(|c| matches!(c, '.' | ',' | '-' | '+' | '/' | '_' | '='));
        (!is_inside).then(|| card(found.as_str(), keyed)).flatten()
    });
    wallets.chain(accounts).map(Mention::new).chain(cards)
}

fn wallet(address: &str) -> Option<Entity> {
    let on = |chain: &&'static str| Entity::new(Kind::Wallet, &format!("{chain}:{address}")).ok();
    CHAINS.iter().find_map(on)
}

/// The country says where a number ends that the next word may follow.
fn account(text: &str) -> Option<Entity> {
    let country = text.get(..2)?;
    let entry = LENGTHS
        .split_ascii_whitespace()
        .find(|entry| entry.starts_with(country))?;
    let length: usize = entry.get(2..)?.parse().ok()?;
    let digits: String = text.chars().filter(|c| *c != ' ').take(length).collect();
    (digits.len() == length)
        .then(|| Entity::new(Kind::BankAccount, &digits).ok())
        .flatten()
}

fn card(text: &str, keyed: &dyn Fn(&str) -> String) -> Option<Mention> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let scheme = scheme(&digits).filter(|_| payment_card::luhn(&digits))?;
    let key = keyed(&format!("payment-card-number {digits}"));
    let mut mention = Mention::new(Entity::new(Kind::PaymentCard, &key).ok()?);
    mention.confidence = CARD_CONFIDENCE;
    let last = &digits[digits.len() - 4..];
    let masked = format!("{}{last}", "*".repeat(digits.len() - 4));
    mention.attributes = vec![("scheme", scheme.to_owned()), ("masked", masked)];
    Some(mention)
}

/// The scheme by first digits and length (ISO/IEC 7812; the schemes' own lists of ranges).
fn scheme(digits: &str) -> Option<&'static str> {
    let first = |count: usize| digits.get(..count)?.parse::<u32>().ok();
    match (digits.len(), first(2)?, first(4)?) {
        (13 | 16 | 19, 40..=49, _) => Some("visa"),
        (16, 51..=55, _) | (16, _, 2221..=2720) => Some("mastercard"),
        (15, 34 | 37, _) => Some("amex"),
        (14, 36 | 38 | 39, _) | (14, _, 3000..=3059) => Some("diners"),
        (16, 65, _) | (16, _, 6011 | 6440..=6499) => Some("discover"),
        (16, _, 3528..=3589) => Some("jcb"),
        (16..=19, 62, _) => Some("unionpay"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let keyed = |_: &str| "0".repeat(32);
        of(text, &keyed)
            .map(|mention| mention.entity.to_string())
            .collect()
    }

    #[test]
    fn what_passes_its_checksum_is_found() {
        for (text, key) in [
            (
                "Donations: 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa or",
                "wallet:bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            ),
            (
                "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                "wallet:bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            ),
            (
                "(0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed)",
                "wallet:ethereum:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            ),
            (
                "IBAN DE89370400440532013000.",
                "bank-account:DE89370400440532013000",
            ),
            (
                "GB82 WEST 1234 5698 7654 32 AND MORE",
                "bank-account:GB82WEST12345698765432",
            ),
            (
                "card 4111 1111 1111 1111",
                "payment-card:00000000000000000000000000000000",
            ),
        ] {
            assert_eq!(keys(text), [key], "{text}");
        }
    }

    #[test]
    fn what_fails_it_is_not() {
        for text in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
            "DE89370400440532013001",
            "DE8937040044053201300",
            "ZZ89370400440532013000",
            "4111 1111 1111 1112",
            "9999999999999995",
            "-4111111111111111",
            "41111111111111110000000",
        ] {
            assert_eq!(keys(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn of_a_card_only_a_keyed_hash_and_its_last_digits_are_told() {
        let keyed = |text: &str| {
            assert_eq!(text, "payment-card-number 378282246310005");
            "f".repeat(32)
        };
        let card = of("3782-822463-10005", &keyed).next().unwrap();
        let attributes = [
            ("scheme", "amex".to_owned()),
            ("masked", "***********0005".to_owned()),
        ];
        assert_eq!(card.attributes, attributes);
        assert!(!format!("{card:?}").contains("3782"));
    }
}
