//! robots.txt: whether a path may be fetched (RFC 9309).
//!
//! Read once per origin and scan, from the probe's cache. A host that fails to say is taken to forbid (§2.3.1.4).

use url::{Position, Url};

use crate::collectors::{CollectError, page};
use crate::probe::Probe;

/// Our name in robots.txt.
const AGENT: &str = "mirage";
/// Bytes that are read (§2.5).
const BYTES_MAX: usize = 512 * 1024;
/// Rules of the group that is ours; the longest honest lists have some thousand.
const RULES_MAX: usize = 10_000;

/// Why a page is not fetched.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Disallowed,
    /// The server does not tell.
    Unreachable,
}

/// Asks the URL's origin.
pub(super) async fn ask(url: &Url, probe: &dyn Probe) -> Result<Verdict, CollectError> {
    let Ok(at) = url.join("/robots.txt") else {
        return Ok(Verdict::Unreachable);
    };
    // Redirects that lead to another host or never end are as good as no file (§2.3.1.2).
    Ok(match page::fetch(&at, BYTES_MAX, probe).await? {
        Some((_, page)) => verdict(page.status, &page::text(&page), url),
        None => Verdict::Unreachable,
    })
}

fn verdict(status: u16, text: &str, url: &Url) -> Verdict {
    match status {
        200..=299
            if Rules::parse(text).allows(&url[Position::BeforePath..Position::AfterQuery]) =>
        {
            Verdict::Allowed
        }
        200..=299 => Verdict::Disallowed,
        500..=599 => Verdict::Unreachable,
        _ => Verdict::Allowed,
    }
}

/// The rules that hold for us.
#[derive(Debug, Default)]
struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    allows: bool,
    pattern: String,
}

impl Rules {
    /// The groups that name us, joined; if there is none, those of everybody.
    fn parse(text: &str) -> Self {
        let (mut own, mut everybody) = (None, Self::default());
        let (mut is_own, mut is_everybody, mut in_agents) = (false, false, false);
        for line in text.split(['\n', '\r']) {
            let line = line.split('#').next().unwrap_or_default();
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            if key == "user-agent" {
                if !in_agents {
                    (is_own, is_everybody) = (false, false);
                }
                in_agents = true;
                is_own |= value.eq_ignore_ascii_case(AGENT);
                is_everybody |= value == "*";
                if is_own {
                    own.get_or_insert_with(Self::default);
                }
                continue;
            }
            if !matches!(key.as_str(), "allow" | "disallow") {
                continue;
            }
            in_agents = false;
            let allows = key == "allow";
            if is_own {
                own.get_or_insert_with(Self::default).add(allows, value);
            }
            if is_everybody {
                everybody.add(allows, value);
            }
        }
        own.unwrap_or(everybody)
    }

    fn add(&mut self, allows: bool, value: &str) {
        if !value.is_empty() && self.0.len() < RULES_MAX {
            let pattern = normal(value);
            self.0.push(Rule { allows, pattern });
        }
    }

    /// The longest pattern that matches decides, an allowing one among equals (§2.2.2).
    fn allows(&self, path: &str) -> bool {
        let path = normal(path);
        let matching = self.0.iter().filter(|rule| matches(&rule.pattern, &path));
        let best = matching.max_by_key(|rule| (rule.pattern.len(), rule.allows));
        best.is_none_or(|rule| rule.allows)
    }
}

/// One spelling of a path: other bytes than ASCII in percent form, its digits in upper case (§2.2.2).
fn normal(path: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(path.len());
    let mut digits = 0;
    for byte in path.bytes() {
        match byte {
            b'%' => digits = 3,
            0x80.. => write!(text, "%{byte:02X}").expect("memory takes all"),
            _ => {}
        }
        if byte.is_ascii() {
            let byte = if digits > 0 {
                byte.to_ascii_uppercase()
            } else {
                byte
            };
            text.push(char::from(byte));
        }
        digits = u8::saturating_sub(digits, 1);
    }
    text
}

/// `*` stands for any bytes, a `$` at the end for the end. Taking the first match of each part is enough, and linear.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, is_anchored) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop().filter(|_| is_anchored);
    let is_exact = is_anchored && last.is_none();
    if !is_anchored && !pattern.is_empty() {
        // The last part may stand anywhere, as the others.
        parts = pattern.split('*').skip(1).collect();
    }
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    match last {
        Some(last) => rest.ends_with(last),
        None => !is_exact || rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_the_rfc_says() {
        for (pattern, path, is_match) in [
            ("/", "/any", true),
            ("/fish", "/fish.html", true),
            ("/fish", "/Fish", false),
            ("/fish*", "/fishheads?id=x", true),
            ("/*.php", "/index.php?x", true),
            ("/*.php$", "/index.php", true),
            ("/*.php$", "/index.php?x", false),
            ("/*.php$", "/a.php/b.php", true),
            ("/fish*.php", "/fishheads/catfish.php?p", true),
            ("/a$", "/a", true),
            ("/a$", "/ab", false),
            ("*", "/", true),
            ("$", "", true),
            ("/a*b*c", "/a-c-b", false),
        ] {
            assert_eq!(matches(pattern, path), is_match, "{pattern} {path}");
        }
    }

    #[test]
    fn the_longest_rule_of_our_group_decides() {
        let text = "Disallow: /ignored\n\
            User-agent: *\nDisallow: /\n\n\
            user-agent: Other\nUSER-AGENT: Mirage # us\nDisallow: /private\nAllow: /private/open\nDisallow: /%c3%bc\nallow: /tie\ndisallow: /tie\n\
            Sitemap: https://x/\nUser-agent: late\nDisallow: /late\n";
        let rules = Rules::parse(text);
        for (path, is_allowed) in [
            ("/", true),
            ("/private/x", false),
            ("/private/open/x", true),
            ("/%C3%BC", false),
            ("/tie", true),
            ("/late", true),
            ("/ignored", true),
        ] {
            assert_eq!(rules.allows(path), is_allowed, "{path}");
        }
        assert!(!Rules::parse("User-agent: *\r\nDisallow: /x\r\n").allows("/x"));
        assert!(Rules::parse("User-agent: mirage\n\nUser-agent: *\nDisallow:\n").allows("/"));
    }

    #[test]
    fn the_status_decides_before_the_text() {
        let url = Url::parse("https://example.com/a?b").unwrap();
        let text = "User-agent: *\nDisallow: /a?b$";
        for (status, expected) in [
            (200, Verdict::Disallowed),
            (404, Verdict::Allowed),
            (403, Verdict::Allowed),
            (503, Verdict::Unreachable),
        ] {
            assert_eq!(verdict(status, text, &url), expected, "{status}");
        }
    }

    #[test]
    fn half_a_mebibyte_of_stars_is_no_work() {
        let text = format!("User-agent: *\nDisallow: /{}x", "*a".repeat(BYTES_MAX / 2));
        assert!(Rules::parse(&text).allows(&format!("/{}", "a".repeat(2000))));
        let text = format!(
            "User-agent: *\n{}",
            "Disallow: /*a*a*a*a*ab\n".repeat(20_000)
        );
        assert!(Rules::parse(&text).allows(&format!("/{}", "a".repeat(2000))));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*", path in ".*") {
            let _ = Rules::parse(&format!("User-agent: *\nDisallow: {text}\n{text}")).allows(&path);
        }
    }
}
