//! Fields: the forms in which WHOIS servers write what they know, as key and value.
//!
//! `Key: value`; `[Key] value`; a heading with its value on the next, deeper line; a heading with fields below it,
//! whose keys then begin with the heading's.
//! **Never:** an error, a panic: what has none of these forms is small print.

/// Lines of one answer that are read.
const LINES_MAX: usize = 2000;
/// Characters of a line; a longer one is small print.
const LINE_CHARS_MAX: usize = 600;
/// Characters and words of a key; a longer one is a sentence with a colon in it.
const KEY_CHARS_MAX: usize = 48;
const KEY_WORDS_MAX: usize = 5;

/// One thing that an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    /// In lower case.
    pub(super) key: String,
    pub(super) value: String,
}

/// The heading that lines of a greater indent belong to.
struct Heading {
    indent: usize,
    key: String,
    /// Whether its own value has come.
    is_full: bool,
}

/// Every field, in the order of the answer.
pub(super) fn read(text: &str) -> Vec<Field> {
    let (mut fields, mut heading) = (Vec::new(), None);
    let lines = text.lines().take(LINES_MAX);
    for line in lines.filter(|line| line.chars().count() <= LINE_CHARS_MAX) {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(comment) = line.strip_prefix(['%', '#']) {
            fields.extend(abuse_contact(comment));
            continue;
        }
        if heading
            .as_ref()
            .is_some_and(|own: &Heading| indent <= own.indent)
        {
            heading = None;
        }
        match parts(line) {
            Some((key, "")) => heading = Some(Heading::new(indent, key)),
            Some((key, value)) => {
                let above = heading.as_ref().map(|own| own.key.as_str());
                let key = above.into_iter().chain([key.as_str()]).collect::<Vec<_>>();
                fields.push(field(key.join(" "), value));
            }
            None => match &mut heading {
                Some(own) if !own.is_full => {
                    own.is_full = true;
                    fields.push(field(own.key.clone(), line));
                }
                Some(_) => {}
                None => heading = key_of(line).map(|key| Heading::new(indent, key)),
            },
        }
    }
    fields
}

impl Heading {
    fn new(indent: usize, key: String) -> Self {
        Self {
            indent,
            key,
            is_full: false,
        }
    }
}

fn field(key: String, value: &str) -> Field {
    let value = value.to_owned();
    Field { key, value }
}

/// Key and value of a line; the value of a heading is empty.
fn parts(line: &str) -> Option<(String, &str)> {
    let bracketed = line.split_once('[').filter(|(before, _)| {
        // JPRS numbers its lines: `a. [Domain Name]`.
        before.is_empty() || before.len() <= 4 && before.trim_end().ends_with('.')
    });
    if let Some((key, value)) = bracketed.and_then(|(_, rest)| rest.split_once(']')) {
        return Some((key_of(key)?, value.trim()));
    }
    let (key, value) = line.split_once(':')?;
    Some((key_of(key)?, value.trim()))
}

/// A key in lower case, without the dots that lead to its value.
fn key_of(text: &str) -> Option<String> {
    let key = text.trim().trim_end_matches('.').trim_end().to_lowercase();
    let is_key = !key.is_empty()
        && key.chars().count() <= KEY_CHARS_MAX
        && key.split_whitespace().count() <= KEY_WORDS_MAX
        && !key.chars().any(char::is_control);
    is_key.then_some(key)
}

/// RIPE's comment `Abuse contact for 'RANGE' is 'ADDRESS'`.
fn abuse_contact(comment: &str) -> Option<Field> {
    let rest = comment.trim().strip_prefix("Abuse contact for ")?;
    let value = rest.split('\'').nth(3)?;
    Some(field("abuse-mailbox".to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        let fields = read(text).into_iter();
        fields
            .map(|field| format!("{}={}", field.key, field.value))
            .collect()
    }

    #[test]
    fn every_form_of_a_field_is_read() {
        let flat = "% Note: a comment\r\n\r\nDomain Name: EXAMPLE.TEST\r\nRegistrant Organization:   Example Ltd\r\nStatus:\r\nother";
        assert_eq!(
            of(flat),
            [
                "domain name=EXAMPLE.TEST",
                "registrant organization=Example Ltd"
            ]
        );
        let headed = "    Domain name:\n        example.test\n\n    Registrant:\n        Example Ltd\n        1 Street\n    Dates:\n        Created on: 1999\n";
        assert_eq!(
            of(headed),
            [
                "domain name=example.test",
                "registrant=Example Ltd",
                "dates created on=1999"
            ]
        );
        let sections = "Domain:  example.test\nRegistrant\n  Organization:  Example SpA\n\nTechnical Contacts\n  Organization: Other SpA";
        assert_eq!(
            of(sections),
            [
                "domain=example.test",
                "registrant organization=Example SpA",
                "technical contacts organization=Other SpA"
            ]
        );
        let bracketed = "[Domain Name]   EXAMPLE.TEST\na. [Registrant]  Example KK\nsee [1] here";
        assert_eq!(
            of(bracketed),
            ["domain name=EXAMPLE.TEST", "registrant=Example KK"]
        );
        assert_eq!(of("domain.......: example.test"), ["domain=example.test"]);
        assert_eq!(
            of("% Abuse contact for '192.0.2.0 - 192.0.2.255' is 'abuse@example.test'"),
            ["abuse-mailbox=abuse@example.test"]
        );
    }

    #[test]
    fn small_print_is_no_field() {
        let long = format!(
            "a: {}\nthe data in this record is provided for information only: yes\n\u{1b}[2J: x",
            "x".repeat(1000)
        );
        assert_eq!(of(&long), [""; 0]);
        assert!(of(&"a: b\n".repeat(10_000)).len() <= LINES_MAX);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([ a-z\\[\\]:.%'ü\u{1b}]{0,30}\n){0,20}") {
            let _ = read(&text);
        }
    }
}
