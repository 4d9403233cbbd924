//! Where a hit matches: the attribute that holds a word of the query, and how well the key fits.
//!
//! Looks at one claim and at nothing else, so that an answer about the past does not hang on what came later.

use super::hits::Document;
use super::query::{Clause, Query};

/// Longest snippet, in characters.
const CHARS_MAX: usize = 160;

/// The first line of a text with one of the query's words or phrases, cut to the surroundings of the word.
pub(super) fn of(query: &Query, text: &str) -> Option<String> {
    let words: Vec<String> = wanted(query).map(|clause| folded(&clause.text)).collect();
    text.lines().find_map(|line| {
        let place = words.iter().find_map(|word| find(line, word))?;
        Some(cut(line, place))
    })
}

fn wanted(query: &Query) -> impl Iterator<Item = &Clause> {
    query.clauses.iter().filter(|clause| !clause.is_negative)
}

fn folded(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// At which character a folded word begins.
fn find(line: &str, word: &str) -> Option<usize> {
    let line = folded(line);
    line.find(word).map(|byte| line[..byte].chars().count())
}

fn cut(line: &str, place: usize) -> String {
    let length = line.chars().count();
    if length <= CHARS_MAX {
        return line.to_owned();
    }
    let from = place.saturating_sub(CHARS_MAX / 3).min(length - CHARS_MAX);
    let middle: String = line.chars().skip(from).take(CHARS_MAX).collect();
    let before = if from > 0 { "…" } else { "" };
    let after = if from + CHARS_MAX < length { "…" } else { "" };
    format!("{before}{middle}{after}")
}

/// How well a claim fits, the greater the better: each word by its place in the key.
pub(super) fn rank(query: &Query, document: &Document) -> u32 {
    let key = folded(document.key.as_deref().unwrap_or_default());
    wanted(query)
        .map(|clause| place(&key, &folded(&clause.text)))
        .sum()
}

fn place(key: &str, word: &str) -> u32 {
    let ends_word = |at: usize| !key[..at].ends_with(char::is_alphanumeric);
    match key.find(word) {
        Some(_) if key == word => 4,
        Some(0) => 3,
        Some(at) if ends_word(at) => 2,
        Some(_) => 1,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_with_the_word_is_shown() {
        let query = Query::parse("NGINX").unwrap();
        let text = "title: Größe\nserver: nginx/1.18";
        assert_eq!(of(&query, text).as_deref(), Some("server: nginx/1.18"));
        assert_eq!(of(&query, "title: x"), None);
        assert_eq!(of(&Query::parse("-title").unwrap(), "title: x"), None);
    }

    #[test]
    fn a_long_line_is_cut_around_the_word() {
        let query = Query::parse("needle").unwrap();
        let line = format!("{} needle {}", "ä".repeat(300), "ö".repeat(300));
        let shown = of(&query, &line).unwrap();
        assert!(shown.contains("needle") && shown.starts_with('…') && shown.ends_with('…'));
        assert_eq!(shown.chars().count(), CHARS_MAX + 2);
    }

    #[test]
    fn a_key_that_is_the_word_fits_best() {
        let ranks = ["dns", "dns.example", "a.dns", "xdns", "mail"].map(|key| place(key, "dns"));
        assert_eq!(ranks, [4, 3, 2, 1, 0]);
    }
}
