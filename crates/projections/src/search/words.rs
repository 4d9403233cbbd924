//! Words and parts of a text as FTS5 sees them, for stores that cannot be asked in its language.
//!
//! **Invariant:** a clause matches here exactly where the indexes `words` and `parts` of the SQLite view say so; a test
//! holds the two against one another.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::query::Clause;

/// Characters without which there is no part of a word.
pub(super) const PART_CHARS: usize = 3;

/// What is searched of a claim.
#[derive(Clone, Copy)]
pub(crate) struct Searched<'a> {
    pub(crate) key: Option<&'a str>,
    pub(crate) text: Option<&'a str>,
    pub(crate) unspaced: Option<&'a str>,
}

impl<'a> Searched<'a> {
    /// Whole words are looked for here,
    pub(super) fn of_words(self) -> impl Iterator<Item = &'a str> {
        [self.key, self.text].into_iter().flatten()
    }

    /// and parts of words here.
    pub(super) fn of_parts(self) -> impl Iterator<Item = &'a str> {
        [self.key, self.unspaced].into_iter().flatten()
    }
}

/// A clause, ready to be held against many claims.
pub(super) struct Matcher {
    /// One behind the other.
    pub(super) words: Vec<String>,
    pub(super) is_beginning: bool,
    /// As it stands within a word; none where it is too short, or the beginning of a word is wanted.
    pub(super) part: Option<String>,
    pub(super) is_negative: bool,
}

impl Matcher {
    pub(super) fn new(clause: &Clause) -> Self {
        let part = part(&clause.text);
        let is_part = !clause.is_beginning && part.chars().count() >= PART_CHARS;
        Self {
            words: words(&clause.text).collect(),
            is_beginning: clause.is_beginning,
            part: is_part.then_some(part),
            is_negative: clause.is_negative,
        }
    }

    /// Whether a claim is what the clause asks for.
    pub(super) fn lets(&self, claim: Searched<'_>) -> bool {
        self.stands_in(claim) != self.is_negative
    }

    fn stands_in(&self, claim: Searched<'_>) -> bool {
        let is_in = |wanted: &String| claim.of_parts().any(|text| part(text).contains(&**wanted));
        self.part.as_ref().is_some_and(is_in) || claim.of_words().any(|text| self.has_words(text))
    }

    fn has_words(&self, text: &str) -> bool {
        let all: Vec<String> = words(text).collect();
        let fits = |window: &[String]| match (self.is_beginning, window, &self.words[..]) {
            (true, [whole @ .., last], [wanted @ .., beginning]) => {
                whole == wanted && last.starts_with(&**beginning)
            }
            (_, whole, wanted) => whole == wanted,
        };
        !self.words.is_empty() && all.windows(self.words.len()).any(fits)
    }
}

/// The words of a text, folded.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
    let is_between = |c: char| !is_of_word(c) && !is_dropped(c);
    let folded = |word: &str| -> String { kept(word).map(|c| plain(folded(c), true)).collect() };
    text.split(is_between)
        .map(folded)
        .filter(|word| !word.is_empty())
}

/// A text in which parts are looked for.
pub(super) fn part(text: &str) -> String {
    kept(text).map(|c| plain(folded(c), false)).collect()
}

fn kept(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| !is_dropped(*c))
}

/// Letters, numbers, and what is for private use. Vowel signs are marks, as the tokenizer sees them, and circled
/// letters are symbols.
fn is_of_word(c: char) -> bool {
    let is_circled = matches!(c, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}');
    let is_private = matches!(c, '\u{e000}'..='\u{f8ff}');
    is_private || (c.is_alphanumeric() && !is_combining_mark(c) && !is_circled)
}

/// Marks that are no part of a word and end none.
fn is_dropped(c: char) -> bool {
    const MARKS: u64 = 0x0003_61f8_0802_9fdf;
    let place = u32::from(c).wrapping_sub(0x300);
    place < 50 && MARKS >> place & 1 == 1
}

/// Case folding of a character into one.
fn folded(c: char) -> char {
    let one = |mut all: Box<dyn Iterator<Item = char>>| all.next().filter(|_| all.next().is_none());
    let upper = match c {
        // Its capital is that of another letter.
        'ı' => None,
        c => one(Box::new(c.to_uppercase())),
    };
    let lower = |c: char| one(Box::new(c.to_lowercase()));
    upper.and_then(lower).or_else(|| lower(c)).unwrap_or(c)
}

/// A Latin letter without its marks: all of them, or where there is only one.
fn plain(c: char, is_bare: bool) -> char {
    let mut parts = std::iter::once(c).nfd();
    let (letter, marks) = (parts.next(), parts.count());
    match letter {
        Some(letter) if letter.is_ascii_alphabetic() && (marks == 1 || is_bare) => {
            letter.to_ascii_lowercase()
        }
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::{Connection, params};

    use super::*;

    fn fts5() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        let schema = "
            CREATE VIRTUAL TABLE words USING fts5 (key, text, tokenize = 'unicode61 remove_diacritics 2');
            CREATE VIRTUAL TABLE parts USING fts5 (key, unspaced, tokenize = 'trigram remove_diacritics 1');";
        connection.execute_batch(schema).unwrap();
        connection
    }

    /// What the SQLite view answers.
    fn by_fts5(connection: &Connection, claim: Searched<'_>, clause: &Clause) -> bool {
        connection
            .execute_batch("DELETE FROM words; DELETE FROM parts")
            .unwrap();
        let insert = "INSERT INTO words VALUES (?, ?)";
        connection
            .execute(insert, params![claim.key, claim.text])
            .unwrap();
        let insert = "INSERT INTO parts VALUES (?, ?)";
        connection
            .execute(insert, params![claim.key, claim.unspaced])
            .unwrap();
        let matches = |table: &str, expression: &str| -> bool {
            let sql = format!("SELECT count(*) FROM {table} WHERE {table} MATCH ?");
            let count: i64 = connection
                .query_row(&sql, [expression], |row| row.get(0))
                .unwrap();
            count > 0
        };
        let text = format!("\"{}\"", clause.text.replace('"', "\"\""));
        match clause.is_beginning {
            true => matches("words", &format!("{{key text}} : {text} *")),
            false => {
                matches("words", &format!("{{key text}} : {text}"))
                    || clause.text.chars().count() >= 3 && matches("parts", &text)
            }
        }
    }

    const LETTERS: &str = "[abAB1 .:/\\-_éÉüÜçßẞςσΣµıİſøŁếǖ東京都庁ภาน้ำ€😀\u{301}\u{308}\u{35f}Ⓐ²]";

    fn letters(length: &str) -> impl Strategy<Value = String> {
        proptest::string::string_regex(&format!("{LETTERS}{{{length}}}")).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_clause_matches_where_fts5_says_so(
            key in letters("0,12"), text in letters("0,12"), clause in letters("1,4"), is_beginning: bool, from in 0..12_usize
        ) {
            thread_local!(static FTS5: Connection = fts5());
            // Half of the clauses are taken from the key, so that many match.
            let taken: String = key.chars().skip(from).take(1 + from % 5).collect();
            for text_of_clause in [clause, taken].into_iter().filter(|text| !text.is_empty()) {
                let clause = Clause { text: text_of_clause, is_beginning, is_negative: false };
                let claim = Searched { key: Some(&key), text: Some(&text), unspaced: None };
                let expected = FTS5.with(|fts5| by_fts5(fts5, claim, &clause));
                prop_assert_eq!(Matcher::new(&clause).lets(claim), expected, "{:?}", clause);
            }
        }
    }

    #[test]
    fn a_negative_clause_lets_through_what_it_does_not_match() {
        let claim = Searched {
            key: Some("www.mirage.test"),
            text: None,
            unspaced: None,
        };
        let lets = |text: &str, is_negative| {
            let clause = Clause {
                text: text.to_owned(),
                is_beginning: false,
                is_negative,
            };
            Matcher::new(&clause).lets(claim)
        };
        assert!(lets("rage", false) && !lets("rage", true));
        assert!(!lets("other", false) && lets("other", true));
    }
}
