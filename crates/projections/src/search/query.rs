//! The language of search: words, "phrases", begin*, -not, and the filters kind:, module:, scan:.
//!
//! All words must match. A word matches a whole word of key or attributes, or with three characters or more any part
//! of the key; a star at its end makes it the beginning of a word. Anything else means itself: there are no further
//! operators, so nothing needs escaping but a quote.

use std::mem::take;

use mirage_domain::entity::{Kind, UnknownKind};
use mirage_domain::id::{IdError, ModuleName, ScanId};

use super::reader::Filter;

/// Longest query, in characters: a question is a line.
pub(super) const QUERY_CHARS_MAX: usize = 500;
/// Most words and phrases of one query; each is a list of the index to walk along.
pub(super) const CLAUSES_MAX: usize = 16;

/// Why a query cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("the query has no word and no filter")]
    Empty,
    #[error("the query has {0} characters, and {QUERY_CHARS_MAX} are the most")]
    TooLong(usize),
    #[error("the query has more than {CLAUSES_MAX} words, phrases and filters")]
    TooMany,
    #[error("a quote is opened and not closed")]
    OpenQuote,
    #[error("`{0}` is a filter without a value")]
    NoValue(String),
    #[error("`{0}` turns a filter around, and only words and phrases can be")]
    NegatedFilter(String),
    #[error(transparent)]
    Kind(UnknownKind),
    #[error("module `{name}`: {reason}")]
    Module { name: String, reason: IdError },
}

impl QueryError {
    /// What to write instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "write a word, a \"phrase\", a beginning*, or kind:KIND",
            Self::TooLong(_) | Self::TooMany => "ask for less at once",
            Self::OpenQuote => "close the quote, or leave it away",
            Self::NoValue(_) => "write kind:KIND, module:NAME or scan:SCAN without a space",
            Self::NegatedFilter(_) => "leave the - away, or put the word in quotes",
            Self::Kind(_) => "put it in quotes to look for the word itself",
            Self::Module { .. } => "`mirage modules ls` lists the modules",
        }
    }
}

/// One word or phrase.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Clause {
    /// Never empty; without control characters.
    pub(super) text: String,
    /// The last word of the text may go on.
    pub(super) is_beginning: bool,
    pub(super) is_negative: bool,
}

/// See the module's doc.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Query {
    pub(super) clauses: Vec<Clause>,
    kinds: Vec<Kind>,
    modules: Vec<ModuleName>,
    scans: Vec<String>,
}

impl Query {
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        let length = text.chars().count();
        if length > QUERY_CHARS_MAX {
            return Err(QueryError::TooLong(length));
        }
        let mut query = Self::default();
        for word in split(text)? {
            query.add(word)?;
        }
        let filters = query.kinds.len() + query.modules.len() + query.scans.len();
        match query.clauses.len() + filters {
            0 => Err(QueryError::Empty),
            1..=CLAUSES_MAX => Ok(query),
            _ => Err(QueryError::TooMany),
        }
    }

    /// The filters of the query. `scan` knows what the beginning of an id, or `@last`, stands for.
    pub fn filter<E>(&self, mut scan: impl FnMut(&str) -> Result<ScanId, E>) -> Result<Filter, E> {
        let scans: Result<_, E> = self.scans.iter().map(|text| scan(text)).collect();
        Ok(Filter {
            scans: scans?,
            kinds: self.kinds.clone(),
            modules: self.modules.clone(),
        })
    }

    fn add(&mut self, word: Word) -> Result<(), QueryError> {
        let filter = word.text.split_once(':').filter(|_| !word.is_quoted);
        match filter {
            Some((name @ ("kind" | "module" | "scan"), value)) => {
                if word.is_negative {
                    return Err(QueryError::NegatedFilter(format!("-{}", word.text)));
                }
                self.add_filter(name, value)
            }
            _ => {
                self.clause(word);
                Ok(())
            }
        }
    }

    fn add_filter(&mut self, name: &str, value: &str) -> Result<(), QueryError> {
        match (name, value) {
            (_, "") => return Err(QueryError::NoValue(format!("{name}:"))),
            ("kind", kind) => self.kinds.push(kind.parse().map_err(QueryError::Kind)?),
            ("module", module) => {
                let refused = |reason| QueryError::Module {
                    name: module.to_owned(),
                    reason,
                };
                self.modules.push(ModuleName::new(module).map_err(refused)?);
            }
            (_, scan) => self.scans.push(scan.to_owned()),
        }
        Ok(())
    }

    fn clause(&mut self, word: Word) {
        let is_beginning = !word.is_quoted && word.text.ends_with('*');
        let text = match is_beginning {
            true => word.text.trim_end_matches('*'),
            false => word.text.trim(),
        };
        if !text.is_empty() {
            self.clauses.push(Clause {
                text: text.to_owned(),
                is_beginning,
                is_negative: word.is_negative,
            });
        }
    }
}

#[derive(Default)]
struct Word {
    text: String,
    is_quoted: bool,
    is_negative: bool,
}

/// The words and phrases of a text; a quote within a word begins a phrase, as in a shell's second word.
fn split(text: &str) -> Result<Vec<Word>, QueryError> {
    let (mut words, mut word) = (Vec::new(), Word::default());
    let mut is_open = false;
    for c in text.chars() {
        match c {
            '"' if is_open => {
                is_open = false;
                words.push(take(&mut word));
            }
            '"' => {
                is_open = true;
                if !word.text.is_empty() {
                    words.push(take(&mut word));
                }
                word.is_quoted = true;
            }
            '-' if !is_open && word.text.is_empty() && !word.is_negative => word.is_negative = true,
            c if c.is_whitespace() || c.is_control() => match is_open {
                true => word.text.push(' '),
                false => words.push(take(&mut word)),
            },
            c => word.text.push(c),
        }
    }
    words.push(word);
    match is_open {
        true => Err(QueryError::OpenQuote),
        false => Ok(words),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn clauses(text: &str) -> Vec<(String, bool, bool)> {
        let query = Query::parse(text).unwrap();
        let clause = |clause: Clause| (clause.text, clause.is_beginning, clause.is_negative);
        query.clauses.into_iter().map(clause).collect()
    }

    fn one(text: &str) -> (String, bool, bool) {
        (text.to_owned(), false, false)
    }

    #[test]
    fn words_phrases_beginnings_and_negations_are_told_apart() {
        assert_eq!(
            clauses("nginx  \"not found\" ngin* -www.example.com -\"a b\""),
            [
                one("nginx"),
                one("not found"),
                ("ngin".to_owned(), true, false),
                ("www.example.com".to_owned(), false, true),
                ("a b".to_owned(), false, true),
            ]
        );
    }

    #[test]
    fn filters_are_read_and_quoted_ones_are_words() {
        let query = Query::parse("kind:ip module:dns scan:@last \"kind:ip\" https://x").unwrap();
        assert_eq!(query.kinds, [Kind::Ip]);
        assert_eq!(query.modules, [ModuleName::new("dns").unwrap()]);
        assert_eq!(query.scans, ["@last"]);
        let texts: Vec<&str> = query.clauses.iter().map(|clause| &*clause.text).collect();
        assert_eq!(texts, ["kind:ip", "https://x"]);
    }

    #[test]
    fn what_cannot_be_asked_says_why() {
        let refused = |text: &str| Query::parse(text).unwrap_err();
        assert_eq!(refused(""), QueryError::Empty);
        assert_eq!(refused(" \"\" - * \0"), QueryError::Empty);
        assert_eq!(refused("a \"b"), QueryError::OpenQuote);
        assert_eq!(refused("kind:"), QueryError::NoValue("kind:".into()));
        assert_eq!(
            refused("-kind:ip"),
            QueryError::NegatedFilter("-kind:ip".into())
        );
        assert!(matches!(refused("kind:dommain"), QueryError::Kind(_)));
        assert!(matches!(refused("module:a/b"), QueryError::Module { .. }));
        assert_eq!(refused(&"a ".repeat(17)), QueryError::TooMany);
        assert_eq!(refused(&"a".repeat(10_000)), QueryError::TooLong(10_000));
    }

    #[test]
    fn the_language_of_the_index_means_itself() {
        assert_eq!(
            clauses("a AND NEAR(b) {key}:c ^d a+b"),
            ["a", "AND", "NEAR(b)", "{key}:c", "^d", "a+b"].map(one)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_query_within_bounds_or_an_error(text in ".{0,80}") {
            if let Ok(query) = Query::parse(&text) {
                prop_assert!(query.clauses.len() <= CLAUSES_MAX);
                for clause in &query.clauses {
                    prop_assert!(!clause.text.is_empty());
                    prop_assert!(!clause.text.contains(|c: char| c.is_control() || c == '"'));
                }
            }
        }

        #[test]
        fn quoted_words_come_back_as_they_are(words in prop::collection::vec("[a-zäé東 :*-]{1,8}", 1..8)) {
            let text: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let kept: Vec<_> = words.iter().map(|word| word.trim()).filter(|word| !word.is_empty()).map(one).collect();
            match Query::parse(&text.join(" ")) {
                Ok(query) => prop_assert_eq!(
                    query.clauses.into_iter().map(|clause| (clause.text, clause.is_beginning, clause.is_negative)).collect::<Vec<_>>(),
                    kept
                ),
                Err(error) => prop_assert_eq!((error, kept.len()), (QueryError::Empty, 0)),
            }
        }
    }
}
