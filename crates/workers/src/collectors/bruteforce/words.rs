//! The words that are guessed: the list that is built in, or a file of the user's.

use std::borrow::Cow;

use tokio::io::AsyncReadExt;

use crate::collectors::CollectError;

/// Our own list: labels that machines of companies have, sorted, one a line.
const BUILT_IN: &str = include_str!("words.txt");
const LINES_MAX: usize = 1_000_000;
const WORD_BYTES_MAX: usize = 64;
const FILE_BYTES_MAX: u64 = (LINES_MAX * (WORD_BYTES_MAX + 1)) as u64;

/// A word list as text.
pub(super) struct Words(Cow<'static, str>);

/// The list at `path`, or the built-in one if that is empty. At most [`FILE_BYTES_MAX`] are read.
pub(super) async fn read(path: &str) -> Result<Words, CollectError> {
    if path.is_empty() {
        return Ok(Words(Cow::Borrowed(BUILT_IN)));
    }
    let wrong = |error| CollectError::Refused(format!("word list {path}: {error}"));
    let file = tokio::fs::File::open(path).await.map_err(wrong)?;
    let mut bytes = Vec::new();
    let mut file = file.take(FILE_BYTES_MAX);
    file.read_to_end(&mut bytes).await.map_err(wrong)?;
    // A word with a replacement character is no label, and is passed over with its like.
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Words(Cow::Owned(text)))
}

impl Words {
    /// Words as they stand; lines that are empty, too long or begin with `#` hold none.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> + Send {
        let lines = self.0.lines().take(LINES_MAX).map(str::trim);
        lines.filter(|word| (1..=WORD_BYTES_MAX).contains(&word.len()) && !word.starts_with('#'))
    }

    /// Whether the list has more than is read.
    pub(super) fn is_cut(&self) -> bool {
        self.0.len() as u64 == FILE_BYTES_MAX || self.0.lines().nth(LINES_MAX).is_some()
    }
}

#[cfg(test)]
mod tests {
    use mirage_domain::entity::{Entity, Kind};

    use super::*;

    #[test]
    fn the_list_is_sorted_and_every_line_is_one_label() {
        let lines: Vec<&str> = BUILT_IN.lines().collect();
        assert!(lines.is_sorted_by(|a, b| a < b));
        assert!((1_800..=2_500).contains(&lines.len()), "{}", lines.len());
        for line in lines {
            let name = Entity::new(Kind::Domain, &format!("{line}.example.com")).unwrap();
            assert_eq!(name.key().split('.').next(), Some(line));
        }
    }

    #[test]
    fn lines_that_hold_no_word_are_passed_over() {
        let text = format!("# list\n\n www \r\n{}\nmail.a\n", "x".repeat(65));
        let words = Words(Cow::Owned(text));
        assert_eq!(words.iter().collect::<Vec<_>>(), ["www", "mail.a"]);
        assert!(!words.is_cut());
        let words = Words(Cow::Owned("a\n".repeat(LINES_MAX + 1)));
        assert_eq!((words.iter().count(), words.is_cut()), (LINES_MAX, true));
    }
}
