//! The seeds of a scan: read from the command line and stdin, recognised, told.
//!
//! **Invariant:** at most `SEEDS_MAX` seeds of bounded length are held, whatever stdin brings.

use std::collections::HashSet;
use std::io::{BufRead, Read};

use mirage_api::error::Problem;
use mirage_domain::entity::{Entity, KEY_BYTES_MAX, Kind, recognise_all};
use mirage_domain::scan::SEEDS_MAX;
use mirage_domain::scope::Rule;

use super::super::{Context, suggest};

/// Longest line: a kind's name, a colon, and the longest key.
const LINE_BYTES_MAX: usize = KEY_BYTES_MAX + 64;
/// Seeds that are told one by one.
const TOLD_MAX: usize = 20;

/// Every seed, once each, in the order in which they were given.
pub(super) fn read(
    plain: &[String],
    explicit: &[String],
    stdin: impl BufRead,
) -> Result<Vec<Entity>, Problem> {
    let mut seeds = Seeds::default();
    let mut stdin = Some(stdin);
    for text in plain {
        match (text.as_str(), stdin.take()) {
            ("-", Some(lines)) => seeds.add_lines(lines)?,
            ("-", None) => {}
            (text, kept) => {
                stdin = kept;
                seeds.add(text, &recognised(text)?)?;
            }
        }
    }
    for text in explicit {
        seeds.add(text, &with_kind(text)?)?;
    }
    match seeds.list.is_empty() {
        true => Err(Problem::new("bad_seed", "no seed was given")
            .try_this("mirage scan example.com, or seeds on stdin with -")),
        false => Ok(seeds.list),
    }
}

#[derive(Default)]
struct Seeds {
    list: Vec<Entity>,
    known: HashSet<Entity>,
}

impl Seeds {
    fn add(&mut self, text: &str, entities: &[Entity]) -> Result<(), Problem> {
        for entity in entities {
            if self.known.insert(entity.clone()) {
                self.list.push(entity.clone());
            }
        }
        match self.list.len() as u64 {
            0..=SEEDS_MAX => Ok(()),
            _ => Err(Problem::new(
                "bad_seed",
                format!("`{text}` is one too many: a scan takes at most {SEEDS_MAX}"),
            )
            .try_this("split them over several scans")),
        }
    }

    /// A seed a line; empty lines and lines that begin with # are passed over.
    fn add_lines(&mut self, mut lines: impl BufRead) -> Result<(), Problem> {
        for number in 1u64.. {
            let mut line = Vec::new();
            let mut bounded = lines.by_ref().take(LINE_BYTES_MAX as u64 + 1);
            let read = bounded.read_until(b'\n', &mut line);
            let at_line = |detail: &dyn std::fmt::Display| {
                Problem::new("bad_seed", format!("line {number} of stdin: {detail}"))
            };
            if read.map_err(|error| at_line(&error))? == 0 {
                break;
            }
            if line.len() > LINE_BYTES_MAX {
                return Err(at_line(&format_args!("longer than {LINE_BYTES_MAX} bytes")));
            }
            let text = std::str::from_utf8(&line)
                .map_err(|_| at_line(&"not UTF-8"))?
                .trim();
            if !text.is_empty() && !text.starts_with('#') {
                let entities = recognised(text).map_err(|problem| at_line(&problem.detail))?;
                self.add(text, &entities)?;
            }
        }
        Ok(())
    }
}

fn recognised(text: &str) -> Result<Vec<Entity>, Problem> {
    recognise_all(text).map_err(|error| {
        let problem = Problem::new("bad_seed", format!("`{text}`: {error}"));
        match unknown_kind(text) {
            Some(word) => problem.try_this(suggest::question(word)),
            None => problem,
        }
    })
}

/// The value of `--seed`: the kind must be said.
fn with_kind(text: &str) -> Result<Vec<Entity>, Problem> {
    let kind = text.split_once(':').map(|(kind, _)| kind.parse::<Kind>());
    match kind {
        Some(Ok(_)) => recognised(text),
        Some(Err(error)) => {
            let problem = Problem::new("bad_seed", format!("`{text}`: {error}"));
            Err(match unknown_kind(text) {
                Some(word) => problem.try_this(suggest::question(word)),
                None => problem.try_this(format_args!(
                    "the kinds are {}",
                    kinds().collect::<Vec<_>>().join(", ")
                )),
            })
        }
        None => Err(Problem::new("bad_seed", format!("`{text}` says no kind"))),
    }
}

fn kinds() -> impl Iterator<Item = &'static str> {
    Kind::ALL.iter().map(|kind| kind.as_str())
}

/// The kind that was meant, where a word stands before a colon that is no kind.
fn unknown_kind(text: &str) -> Option<&'static str> {
    let (word, _) = text.split_once(':')?;
    word.parse::<Kind>()
        .is_err()
        .then(|| suggest::nearest(word, kinds()))?
}

/// Says what each seed is, and the scope that it implies.
pub(super) fn tell(context: &Context, seeds: &[Entity]) {
    for seed in seeds.iter().take(TOLD_MAX) {
        context.output.say(format_args!(
            "{} is of the kind {}; in scope: {}",
            seed.key(),
            seed.kind(),
            scope_of(seed)
        ));
    }
    if seeds.len() > TOLD_MAX {
        context
            .output
            .say(format_args!("and {} more seeds", seeds.len() - TOLD_MAX));
    }
}

/// The scope that a seed implies, in words.
pub(super) fn scope_of(seed: &Entity) -> String {
    match Rule::of_seed(seed) {
        Rule::Below(name) => format!("{name} and all below it"),
        Rule::Name(name) => format!("{name} alone"),
        rule @ Rule::Net(_) if seed.kind() == Kind::Netblock => format!("all of {rule}"),
        rule @ (Rule::Net(_) | Rule::Entity(..)) => format!("{rule} alone"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(plain: &[&str], explicit: &[&str], stdin: &str) -> Result<Vec<String>, Problem> {
        let owned = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let seeds = read(&owned(plain), &owned(explicit), stdin.as_bytes())?;
        Ok(seeds.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn seeds_come_from_three_places_once_each() {
        let seeds = given(
            &["Example.com", "-", "192.0.2.0-192.0.2.2"],
            &["organization:Example Ltd"],
            "# ours\n\nexample.com\r\nwww.example.net\n",
        );
        let expected = [
            "domain:example.com",
            "domain:www.example.net",
            "netblock:192.0.2.0/31",
            "netblock:192.0.2.2/32",
            "organization:example ltd",
        ];
        assert_eq!(seeds.unwrap(), expected);
    }

    #[test]
    fn what_is_no_seed_says_where_it_stood_and_what_was_meant() {
        let error =
            |plain: &[&str], explicit: &[&str], stdin| given(plain, explicit, stdin).unwrap_err();
        assert!(
            error(&["-"], &[], "example.com\nalice\n")
                .detail
                .contains("line 2")
        );
        assert_eq!(
            error(&["domian:example.com"], &[], "").hint(),
            "did you mean `domain`?"
        );
        assert_eq!(
            error(&[], &["emial:a@example.com"], "").hint(),
            "did you mean `email`?"
        );
        assert!(
            error(&[], &["example.com"], "")
                .detail
                .contains("says no kind")
        );
        assert!(error(&[], &[], "").detail.contains("no seed"));
        let long = "a".repeat(LINE_BYTES_MAX + 1);
        assert!(error(&["-"], &[], &long).detail.contains("longer"));
    }

    #[test]
    fn the_implied_scope_is_said_in_words() {
        let scope = |text| scope_of(&recognised(text).unwrap()[0]);
        assert_eq!(scope("example.com"), "example.com and all below it");
        assert_eq!(scope("192.0.2.1"), "192.0.2.1 alone");
        assert_eq!(scope("192.0.2.0/24"), "all of 192.0.2.0/24");
        assert_eq!(scope("https://www.example.com/a"), "www.example.com alone");
    }
}
