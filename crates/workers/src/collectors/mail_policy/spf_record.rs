//! SPF records as text (RFC 7208 §4.6, §5, §6): terms, in their order.
//!
//! Macros are told from names and not expanded.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A record's directives up to its first `all`, and where it leads if none matches.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    /// Ignored beside an `all`, and so not here then.
    pub(super) redirect: Option<Target>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Directive {
    /// Whether a match lets the sender pass; else it fails, fails softly or says nothing.
    pub(super) is_pass: bool,
    pub(super) mechanism: Mechanism,
}

#[derive(Debug, PartialEq)]
pub(super) enum Mechanism {
    All,
    Include(Target),
    /// None is the domain itself.
    A(Option<Target>, Lengths),
    Mx(Option<Target>, Lengths),
    Ptr,
    Net(IpNet),
    Exists(Target),
}

/// Where a term points.
#[derive(Debug, PartialEq)]
pub(super) enum Target {
    Name(String),
    /// Known only when a mail comes in.
    Macro(String),
}

/// Prefix lengths that widen the addresses of a name.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) struct Lengths {
    pub(super) four: u8,
    pub(super) six: u8,
}

impl Lengths {
    const NONE: Self = Self { four: 32, six: 128 };
}

/// Reads a record; the error is the term that is none.
pub(super) fn parse(text: &str) -> Result<Record, String> {
    let mut record = Record {
        directives: Vec::new(),
        redirect: None,
    };
    let mut has_explanation = false;
    let terms = text.split(' ').skip(1).filter(|term| !term.is_empty());
    for term in terms {
        let wrong = || term.to_owned();
        match modifier(term) {
            Some(("redirect", value)) if record.redirect.is_none() => {
                record.redirect = Some(target(value).ok_or_else(wrong)?);
            }
            Some(("exp", _)) if !has_explanation => has_explanation = true,
            Some(("redirect" | "exp", _)) => return Err(wrong()),
            Some(_) => {}
            None => record.directives.push(directive(term).ok_or_else(wrong)?),
        }
    }
    let all = record
        .directives
        .iter()
        .position(|directive| directive.mechanism == Mechanism::All);
    if let Some(at) = all {
        // What stands behind it is never tested (§5.1).
        record.directives.truncate(at + 1);
        record.redirect = None;
    }
    Ok(record)
}

/// `NAME=VALUE`; a name in another case than lower is one of those that are ignored, but for the two that are known.
fn modifier(term: &str) -> Option<(&'static str, &str)> {
    let (name, value) = term.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let known = ["redirect", "exp"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(name));
    is_name.then_some((known.unwrap_or_default(), value))
}

fn directive(term: &str) -> Option<Directive> {
    let (is_pass, term) = match term.split_at_checked(1)? {
        ("+", rest) => (true, rest),
        ("-" | "~" | "?", rest) => (false, rest),
        _ => (true, term),
    };
    let end = term.find([':', '/']).unwrap_or(term.len());
    let (name, rest) = term.split_at(end);
    let mechanism = mechanism(&name.to_ascii_lowercase(), rest)?;
    Some(Directive { is_pass, mechanism })
}

fn mechanism(name: &str, rest: &str) -> Option<Mechanism> {
    let argument = rest.strip_prefix(':');
    match (name, argument) {
        ("all", None) if rest.is_empty() => Some(Mechanism::All),
        ("include", Some(name)) => Some(Mechanism::Include(target(name)?)),
        ("exists", Some(name)) => Some(Mechanism::Exists(target(name)?)),
        ("ptr", None) if rest.is_empty() => Some(Mechanism::Ptr),
        ("ptr", Some(name)) => target(name).map(|_| Mechanism::Ptr),
        ("a", _) => addresses(rest).map(|(name, lengths)| Mechanism::A(name, lengths)),
        ("mx", _) => addresses(rest).map(|(name, lengths)| Mechanism::Mx(name, lengths)),
        ("ip4", Some(text)) => {
            let (address, length) = sized(text, 32)?;
            let net = Ipv4Net::new(address.parse::<Ipv4Addr>().ok()?, length).ok()?;
            Some(Mechanism::Net(net.trunc().into()))
        }
        ("ip6", Some(text)) => {
            let (address, length) = sized(text, 128)?;
            let net = Ipv6Net::new(address.parse::<Ipv6Addr>().ok()?, length).ok()?;
            Some(Mechanism::Net(net.trunc().into()))
        }
        _ => None,
    }
}

fn sized(text: &str, bits: u8) -> Option<(&str, u8)> {
    match text.split_once('/') {
        Some((address, length)) => Some((address, number(length, bits)?)),
        None => Some((text, bits)),
    }
}

/// A prefix length: digits alone, no leading zero.
fn number(text: &str, max: u8) -> Option<u8> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zeros = text.len() > 1 && text.starts_with('0');
    let number: u8 = text.parse().ok().filter(|_| is_plain && !has_zeros)?;
    (number <= max).then_some(number)
}

/// `[:NAME][/FOUR][//SIX]`
fn addresses(rest: &str) -> Option<(Option<Target>, Lengths)> {
    let (name, lengths) = match rest.find('/') {
        // A slash inside a macro is one of its delimiters.
        Some(at) if !rest[..at].contains('{') => rest.split_at(at),
        _ => (rest, ""),
    };
    let target = match name {
        "" => None,
        name => Some(target(name.strip_prefix(':')?)?),
    };
    let (four, six) = lengths.split_once("//").unwrap_or((lengths, ""));
    let length = |text: &str, bits| match text {
        "" => Some(bits),
        text => number(text, bits),
    };
    let has_empty = lengths.ends_with('/');
    let four = length(four.strip_prefix('/').unwrap_or(four), Lengths::NONE.four)?;
    let six = length(six, Lengths::NONE.six)?;
    (!has_empty).then_some((target, Lengths { four, six }))
}

/// A name with a dot, in lower case and without its last one; else a macro, which needs a `%`.
fn target(text: &str) -> Option<Target> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_macro = text.contains('%');
    let is_name = text.contains('.')
        && text.len() <= 253
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'='))
        && text.split('.').all(|label| (1..=63).contains(&label.len()));
    match (is_macro, is_name) {
        (true, _) => Some(Target::Macro(text.to_owned())),
        (false, true) => Some(Target::Name(text.to_ascii_lowercase())),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Target {
        Target::Name(text.to_owned())
    }

    #[test]
    fn every_mechanism_is_read() {
        let text = "v=spf1 a -mx:Mail.example.com./24//64 ?include:_spf.example.com ip4:192.0.2.7/24 \
            ip6:2001:db8::1 exists:%{i}.x.example ptr ~ALL a:never.example redirect=never.example";
        let record = parse(text).unwrap();
        let directives: Vec<_> = record
            .directives
            .into_iter()
            .map(|directive| (directive.is_pass, directive.mechanism))
            .collect();
        let widened = Lengths { four: 24, six: 64 };
        assert_eq!(
            directives,
            [
                (true, Mechanism::A(None, Lengths::NONE)),
                (
                    false,
                    Mechanism::Mx(Some(name("mail.example.com")), widened)
                ),
                (false, Mechanism::Include(name("_spf.example.com"))),
                (true, Mechanism::Net("192.0.2.0/24".parse().unwrap())),
                (true, Mechanism::Net("2001:db8::1/128".parse().unwrap())),
                (
                    true,
                    Mechanism::Exists(Target::Macro("%{i}.x.example".into()))
                ),
                (true, Mechanism::Ptr),
                (false, Mechanism::All),
            ]
        );
        assert_eq!(record.redirect, None);
    }

    #[test]
    fn modifiers_that_nobody_knows_are_passed_over_and_known_ones_stand_once() {
        let record = parse("v=spf1 x-y=1 Redirect=a.example exp=b.example").unwrap();
        assert_eq!(record.redirect, Some(name("a.example")));
        for text in [
            "v=spf1 redirect=a.example redirect=b.example",
            "v=spf1 exp=a.example exp=b.example",
            "v=spf1 redirect=",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_term_that_is_none_is_named() {
        for term in [
            "ip4:192.0.2.1/33",
            "ip4:192.0.2",
            "ip4:2001:db8::",
            "ip4",
            "ip6:::1/129",
            "ip4:192.0.2.1/",
            "ip4:192.0.2.1/+8",
            "ip4:192.0.2.1/08",
            "include",
            "include:",
            "include:localhost",
            "a/33",
            "a//129",
            "a/",
            "a:",
            "mx:/24",
            "all:x",
            "-",
            "ptr/24",
            "ip5:1",
            "foo",
            "+-all",
            "a:a..b",
            "\u{fffd}",
        ] {
            assert_eq!(parse(&format!("v=spf1 {term} -all")), Err(term.to_owned()));
        }
        assert!(parse("v=spf1").unwrap().directives.is_empty());
        assert!(
            parse("v=spf1 a:%{d/}.x.example/24 -all").is_ok(),
            "a macro's slash"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = parse(&text);
            let _ = parse(&format!("v=spf1 {text}"));
        }
    }
}
