//! Mutations of a label: stages of a service beside it, and its neighbours by number.

use std::collections::BTreeSet;

/// What people put before or behind the name of a service, sorted.
const AFFIXES: &[&str] = &[
    "admin", "api", "backup", "beta", "dev", "new", "old", "prod", "qa", "stage", "staging",
    "test", "uat",
];
/// Digits of a number that is counted up and down; longer ones are dates, serials and hashes.
const DIGITS_MAX: usize = 5;

/// Labels like this one. One with an affix gets no second one, so that mutations of mutations end.
pub(super) fn of(label: &str) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = neighbours(label).collect();
    let has_affix = label.split('-').any(|part| AFFIXES.contains(&part));
    if !has_affix && !label.starts_with('_') {
        all.extend(AFFIXES.iter().map(|affix| format!("{affix}-{label}")));
        all.extend(AFFIXES.iter().map(|affix| format!("{label}-{affix}")));
    }
    all
}

/// The label with its last number one higher and one lower, as wide as it was.
fn neighbours(label: &str) -> impl Iterator<Item = String> {
    let end = label.rfind(|c: char| c.is_ascii_digit()).map(|at| at + 1);
    let end = end.unwrap_or(0);
    let head = label[..end].trim_end_matches(|c: char| c.is_ascii_digit());
    let (digits, tail) = (&label[head.len()..end], &label[end..]);
    let number: Option<u32> = digits.parse().ok().filter(|_| digits.len() <= DIGITS_MAX);
    let near = number.map(|number| [number.checked_sub(1), Some(number + 1)]);
    let near = near.into_iter().flatten().flatten();
    let width = digits.len();
    near.map(move |number| format!("{head}{number:0width$}{tail}"))
        .collect::<Vec<_>>()
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_in_their_width() {
        let near = |label: &str| neighbours(label).collect::<Vec<_>>();
        assert_eq!(near("web09-eu"), ["web08-eu", "web10-eu"]);
        assert_eq!(near("a1b0"), ["a1b1"]);
        assert_eq!(near("99"), ["98", "100"]);
        assert_eq!(near("www"), [""; 0]);
        assert_eq!(near("x20260101"), [""; 0]);
        assert_eq!(near(""), [""; 0]);
    }

    #[test]
    fn an_affix_is_put_once() {
        assert!(AFFIXES.is_sorted());
        let shop = of("shop");
        assert!(shop.contains("dev-shop") && shop.contains("shop-dev"));
        assert_eq!(shop.len(), 2 * AFFIXES.len());
        assert!(of("dev-shop").is_empty());
        assert_eq!(of("shop2-test").len(), 2);
        assert!(of("_dmarc").is_empty());
    }
}
