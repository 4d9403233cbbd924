//! Terms: a claim's words and parts as whole values, for a store that compares nothing else.
//!
//! A term is a letter and hexadecimal digits: `w` and a word, or `p` and three characters of the key or of an unspaced
//! word. So no store folds, cuts or splits it in its own way, and nothing of a user's word is part of a filter's text.
//!
//! **Invariant:** a claim that a clause matches has all terms of one of the clause's ways; the reverse need not hold.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;

use super::query::Clause;
use super::words::{Matcher, PART_CHARS, Searched, part, words};

/// Of a word, in bytes: longer ones share a term.
const WORD_BYTES_MAX: usize = 64;
/// Terms of a way: more would narrow nothing down.
const TERMS_MAX: usize = 24;

/// The terms of a claim.
pub(crate) fn of(claim: Searched<'_>) -> BTreeSet<String> {
    let of_words = claim.of_words().flat_map(words).map(|word| of_word(&word));
    let of_parts = claim.of_parts().flat_map(|text| parts(&part(text)));
    of_words.chain(of_parts).collect()
}

/// Terms that stand together in every claim which the clause matches in this way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) terms: Vec<String>,
    /// And one that begins so.
    pub(super) beginning: Option<String>,
}

/// The ways in which a clause can match; none where nothing does.
pub(super) fn ways(clause: &Clause) -> Vec<Way> {
    let matcher = Matcher::new(clause);
    let mut ways = Vec::new();
    if let Some((last, whole)) = matcher.words.split_last() {
        let mut whole: Vec<String> = whole.iter().map(|word| of_word(word)).collect();
        let last = of_word(last);
        let beginning = match matcher.is_beginning {
            true => Some(last),
            false => {
                whole.push(last);
                None
            }
        };
        ways.push(Way {
            terms: few(whole),
            beginning,
        });
    }
    if let Some(part) = &matcher.part {
        ways.push(Way {
            terms: few(parts(part)),
            beginning: None,
        });
    }
    ways
}

fn few(terms: Vec<String>) -> Vec<String> {
    let terms: BTreeSet<String> = terms.into_iter().take(TERMS_MAX).collect();
    terms.into_iter().collect()
}

fn of_word(word: &str) -> String {
    let bytes = word.as_bytes();
    format!(
        "w{}",
        HEXLOWER.encode(&bytes[..bytes.len().min(WORD_BYTES_MAX)])
    )
}

fn parts(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let term = |chars: &[char]| {
        let part: String = chars.iter().collect();
        format!("p{}", HEXLOWER.encode(part.as_bytes()))
    };
    chars.windows(PART_CHARS).map(term).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_claim_that_matches_has_all_terms_of_a_way(
            key in "\\PC{0,80}", text in "[a-zé東 .]{0,200}", cut in "[a-zé東 .]{1,4}", from in 0..80_usize, length in 1..90_usize, is_beginning: bool
        ) {
            let taken: String = key.chars().skip(from % 20).take(length).collect();
            for clause_text in [cut, taken].into_iter().filter(|text| !text.is_empty()) {
                let clause = Clause { text: clause_text, is_beginning, is_negative: false };
                let claim = Searched { key: Some(&key), text: Some(&text), unspaced: Some(&text) };
                if Matcher::new(&clause).lets(claim) {
                    let terms = of(claim);
                    let holds = |way: &Way| {
                        let begins = |beginning: &String| terms.iter().any(|term| term.starts_with(&**beginning));
                        way.terms.iter().all(|term| terms.contains(term)) && way.beginning.as_ref().is_none_or(begins)
                    };
                    prop_assert!(ways(&clause).iter().any(holds), "{:?}", clause);
                }
            }
        }
    }

    #[test]
    fn a_term_is_a_letter_and_hexadecimal_digits() {
        let claim = Searched {
            key: Some("a'\\.b"),
            text: Some("É"),
            unspaced: None,
        };
        let terms: Vec<String> = of(claim).into_iter().collect();
        let expected = ["p275c2e", "p5c2e62", "p61275c", "w61", "w62", "w65"];
        assert_eq!(terms, expected);
    }
}
