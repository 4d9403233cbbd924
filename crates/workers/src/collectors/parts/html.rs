//! HTML as a row of tags, read in time and memory linear in its bytes.
//!
//! No tree is built: 200 000 nested elements are 200 000 tags, and nobody's stack is asked for. What a browser would
//! repair is taken as it stands; where tag soup is read in two ways, the one with more links is right for us.
//! **Invariant:** each byte is looked at a bounded number of times; caps per tag bound what is kept.

use std::borrow::Cow;

/// Attributes of one tag that are kept.
const ATTRIBUTES_MAX: usize = 256;
/// Elements whose content is text up to their own end tag (HTML 13.2.6.2), and its language if a link may stand in it.
const RAW: [&str; 6] = ["script", "style", "textarea", "title", "xmp", "noembed"];
/// Bytes of a character reference; the longest that is read is `&#x10ffff;`.
const REFERENCE_BYTES_MAX: usize = 12;

/// One piece of a page.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::collectors) enum Piece<'a> {
    /// A start tag: its name as written, and its attributes, names as written, values still with references.
    Tag(&'a str, Vec<(&'a str, &'a str)>),
    /// The content of an element whose content is text, such as `script`: name, content.
    Raw(&'a str, &'a str),
}

/// The tags and raw texts of a page, in order.
pub(in crate::collectors) fn pieces(html: &str) -> Pieces<'_> {
    Pieces {
        rest: html,
        raw: None,
    }
}

pub(in crate::collectors) struct Pieces<'a> {
    rest: &'a str,
    /// The element whose raw text begins at `rest`.
    raw: Option<&'a str>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(name) = self.raw.take() {
            let end = end_tag(self.rest, name);
            let (content, rest) = self.rest.split_at(end);
            self.rest = rest;
            return Some(Piece::Raw(name, content));
        }
        loop {
            let start = self.rest.find('<')?;
            self.rest = &self.rest[start + 1..];
            if let Some(comment) = self.rest.strip_prefix("!--") {
                // An open comment takes the rest of the page, as in a browser.
                let end = comment.find("-->").map_or(comment.len(), |end| end + 3);
                self.rest = &comment[end..];
            } else if self.rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return Some(self.tag());
            }
        }
    }
}

impl<'a> Pieces<'a> {
    /// Reads a start tag whose name begins at `rest`.
    fn tag(&mut self) -> Piece<'a> {
        let end = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>');
        let name = self.until(end);
        let mut attributes = Vec::new();
        loop {
            self.rest = self
                .rest
                .trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            let Some(first) = self.rest.chars().next() else {
                break;
            };
            if first == '>' {
                self.rest = &self.rest[1..];
                break;
            }
            let attribute = self.attribute();
            if attributes.len() < ATTRIBUTES_MAX {
                attributes.push(attribute);
            }
        }
        self.raw = RAW
            .into_iter()
            .any(|raw| raw.eq_ignore_ascii_case(name))
            .then_some(name);
        Piece::Tag(name, attributes)
    }

    /// Reads `name`, `name=value`, `name="value"`; takes at least one character.
    fn attribute(&mut self) -> (&'a str, &'a str) {
        let first = self.rest.chars().next().map_or(0, char::len_utf8);
        let end = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '=');
        let length = self.rest[first..]
            .find(end)
            .map_or(self.rest.len(), |end| first + end);
        let (name, rest) = self.rest.split_at(length);
        let after = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        let Some(value) = after.strip_prefix('=') else {
            self.rest = rest;
            return (name, "");
        };
        self.rest = value.trim_start_matches(|c: char| c.is_ascii_whitespace());
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                self.rest = &self.rest[1..];
                let value = self.until(|c| c == quote);
                self.rest = self.rest.get(1..).unwrap_or_default();
                (name, value)
            }
            _ => (name, self.until(|c| c.is_ascii_whitespace() || c == '>')),
        }
    }

    fn until(&mut self, end: impl Fn(char) -> bool) -> &'a str {
        let length = self.rest.find(end).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

/// Where the end tag `</name` begins, in any case; at the end if there is none.
fn end_tag(text: &str, name: &str) -> usize {
    let is_end = |at: &usize| {
        let own = text[at + 2..].get(..name.len());
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    let ends = text.match_indices("</").map(|(at, _)| at);
    ends.into_iter().find(is_end).unwrap_or(text.len())
}

/// A text with its character references resolved: the numeric ones and the five that XML has too.
pub(in crate::collectors) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (c, length) = reference(rest).unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that a text begins with as a reference, and the reference's length.
fn reference(text: &str) -> Option<(char, usize)> {
    let end = text
        .bytes()
        .take(REFERENCE_BYTES_MAX)
        .position(|byte| byte == b';')?;
    let name = &text[1..end];
    let number = |digits: &str, radix| {
        let c = u32::from_str_radix(digits, radix)
            .ok()
            .and_then(char::from_u32);
        c.filter(|c| *c != '\0')
    };
    let c = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        name => match name.strip_prefix('#')? {
            hex if hex.starts_with(['x', 'X']) => number(&hex[1..], 16)?,
            digits => number(digits, 10)?,
        },
    };
    Some((c, end + 1))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn tag<'a>(name: &'a str, attributes: &[(&'a str, &'a str)]) -> Piece<'a> {
        Piece::Tag(name, attributes.to_vec())
    }

    #[test]
    fn tags_are_read_in_every_way_of_writing_them() {
        let html = "<!doctype html><A HREF=/a title='x > y' data-x>b</A><img src=\"/c\"/><!-- <a href=no> --><p\n id = q ><";
        let found: Vec<_> = pieces(html).collect();
        assert_eq!(
            found,
            [
                tag("A", &[("HREF", "/a"), ("title", "x > y"), ("data-x", "")]),
                tag("img", &[("src", "/c")]),
                tag("p", &[("id", "q")]),
            ]
        );
    }

    #[test]
    fn the_text_of_a_script_is_no_markup() {
        let html = "<script>if (a<b) '<a href=no>'</SCRIPT ><a href=yes>";
        let found: Vec<_> = pieces(html).collect();
        assert_eq!(
            found,
            [
                tag("script", &[]),
                Piece::Raw("script", "if (a<b) '<a href=no>'"),
                tag("a", &[("href", "yes")]),
            ]
        );
        assert_eq!(
            pieces("<title>open").last(),
            Some(Piece::Raw("title", "open"))
        );
    }

    #[test]
    fn references_are_resolved() {
        assert_eq!(
            unescape("a&amp;b&#x3C;&#62;&quot;&copy;&#0;&"),
            "a&b<>\"&copy;&#0;&"
        );
        assert_eq!(unescape("&ü;&&amp"), "&ü;&&amp");
    }

    #[test]
    fn hostile_pages_take_linear_time() {
        let size = 512 * 1024;
        let begun = Instant::now();
        for unit in [
            "<",
            "<a ",
            "<div>",
            "a=b ",
            "<script>",
            "</",
            "<!--",
            "<title></tit",
            "&#",
            "'",
            "<a b='",
        ] {
            let page = unit.repeat(size / unit.len());
            for page in [
                page.clone(),
                format!("<p {page}"),
                format!("<script>{page}"),
            ] {
                let kept: usize = pieces(&page)
                    .filter(|p| matches!(p, Piece::Tag(..)))
                    .count();
                assert!(kept <= size / 2);
                assert!(unescape(&page).len() <= page.len());
            }
        }
        // 17 MB: quadratic work would take hours.
        assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(html in "([<>/=\"' \u{fc}!-]|script|title|a|&#x?[0-9]{0,8};?)*") {
            let _ = (pieces(&html).count(), unescape(&html));
        }

        #[test]
        fn no_text_at_all_makes_it_panic(html in ".*") {
            let _ = (pieces(&html).count(), unescape(&html));
        }
    }
}
