//! The part of Meilisearch's filter language that is written here, read as its own parser reads it.

use serde_json::Value as Json;

use super::super::filter::Filter;

const ATTRIBUTES: [&str; 10] = [
    "table",
    "workspace",
    "scan",
    "module",
    "kind",
    "finding",
    "stream",
    "terms",
    "cursor",
    "position",
];

pub(in super::super) fn parse(text: &str) -> Result<Filter, String> {
    let mut parser = Parser { rest: text };
    let filter = parser.expression()?;
    match parser.rest {
        "" => Ok(filter),
        rest => Err(format!("`{rest}` stands behind the filter")),
    }
}

/// Attributes of a filter, and whether it compares them.
pub(super) fn attributes(filter: &Filter, take: &mut impl FnMut(&str, bool)) {
    match filter {
        Filter::All(filters) | Filter::Any(filters) => {
            filters.iter().for_each(|filter| attributes(filter, take));
        }
        Filter::Is(attribute, _) | Filter::Among(attribute, _) | Filter::Begins(attribute, _) => {
            take(attribute, false);
        }
        Filter::AtMost(attribute, _) | Filter::AtLeast(attribute, _) => take(attribute, true),
    }
}

/// Whether a document is let through. Strings are compared folded, as the server does.
pub(super) fn lets(filter: &Filter, document: &Json) -> bool {
    let any = |attribute: &str, fits: &dyn Fn(&str) -> bool| match &document[attribute] {
        Json::Array(values) => values
            .iter()
            .filter_map(Json::as_str)
            .any(|value| fits(&value.to_lowercase())),
        Json::String(value) => fits(&value.to_lowercase()),
        _ => false,
    };
    let number = |attribute: &str| document[attribute].as_i64();
    match filter {
        Filter::All(filters) => filters.iter().all(|filter| lets(filter, document)),
        Filter::Any(filters) => filters.iter().any(|filter| lets(filter, document)),
        Filter::Is(attribute, wanted) => any(attribute, &|value| value == wanted.to_lowercase()),
        Filter::Among(attribute, wanted) => any(attribute, &|value| {
            wanted.iter().any(|wanted| value == wanted.to_lowercase())
        }),
        Filter::Begins(attribute, wanted) => any(attribute, &|value| {
            value.starts_with(&wanted.to_lowercase())
        }),
        Filter::AtMost(attribute, wanted) => {
            number(attribute).is_some_and(|value| value <= *wanted)
        }
        Filter::AtLeast(attribute, wanted) => {
            number(attribute).is_some_and(|value| value >= *wanted)
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn expression(&mut self) -> Result<Filter, String> {
        let mut all = vec![self.primary()?];
        let mut between = None;
        while let Some(word) = ["AND", "OR"].into_iter().find(|word| self.takes(word)) {
            match between.replace(word) {
                Some(before) if before != word => return Err("AND and OR without brackets".into()),
                _ => all.push(self.primary()?),
            }
        }
        Ok(match between {
            Some("AND") => Filter::All(all),
            Some(_) => Filter::Any(all),
            None => all.remove(0),
        })
    }

    fn primary(&mut self) -> Result<Filter, String> {
        if self.takes("(") {
            let filter = self.expression()?;
            return self.must(")").map(|()| filter);
        }
        let word = self.value()?;
        let attribute = ATTRIBUTES.into_iter().find(|known| *known == word);
        let attribute = attribute.ok_or_else(|| format!("`{word}` is no attribute"))?;
        if self.takes("<=") {
            return Ok(Filter::AtMost(attribute, self.number()?));
        }
        if self.takes(">=") {
            return Ok(Filter::AtLeast(attribute, self.number()?));
        }
        if self.takes("=") {
            return Ok(Filter::Is(attribute, self.value()?));
        }
        if self.takes("STARTS") {
            self.must("WITH")?;
            return Ok(Filter::Begins(attribute, self.value()?));
        }
        self.must("IN")?;
        self.must("[")?;
        let mut values = vec![self.value()?];
        while self.takes(",") {
            values.push(self.value()?);
        }
        self.must("]").map(|()| Filter::Among(attribute, values))
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = self.rest.trim_start().strip_prefix(word);
        self.rest = found.unwrap_or(self.rest);
        found.is_some()
    }

    fn must(&mut self, word: &str) -> Result<(), String> {
        match self.takes(word) {
            true => Ok(()),
            false => Err(format!("`{word}` is missing before `{}`", self.rest)),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        self.value()?.parse().map_err(|_| "no number".to_owned())
    }

    fn value(&mut self) -> Result<String, String> {
        if self.takes("'") {
            let end = closing(self.rest)?;
            let (inside, rest) = self.rest.split_at(end);
            self.rest = &rest[1..];
            return unescaped(inside);
        }
        let rest = self.rest.trim_start();
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        self.rest = &rest[end..];
        match &rest[..end] {
            "" => Err("a value is missing".into()),
            word => Ok(word.to_owned()),
        }
    }
}

/// Where the quote is that no backslash stands before.
fn closing(text: &str) -> Result<usize, String> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Ok(at),
            '\\' => drop(chars.next()),
            _ => {}
        }
    }
    Err("a quote is not closed".into())
}

/// First the quotes, then the other escapes: the server has two passes.
fn unescaped(text: &str) -> Result<String, String> {
    let text = text.replace("\\'", "'");
    let (mut plain, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | '\'' | '"')) => plain.push(c),
                other => return Err(format!("an escape of {other:?}")),
            },
            c => plain.push(c),
        }
    }
    Ok(plain)
}
