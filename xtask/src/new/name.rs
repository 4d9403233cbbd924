//! A name that may become a file, a module and a type.

use std::fmt;
use std::str::FromStr;

use anyhow::{bail, ensure};

use crate::tidy;

/// In snake case, no keyword of Rust, and no name that tidy refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(String);

impl FromStr for Name {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let is_snake_case = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(is_plain)
            && text.split('_').all(|word| !word.is_empty());
        ensure!(
            is_snake_case,
            "{text} is not in snake case, like `hacker_target`"
        );
        ensure!(
            syn::parse_str::<syn::Ident>(text).is_ok(),
            "{text} is a keyword of Rust"
        );
        if tidy::names::REFUSED.contains(&text) {
            bail!("{text} names a layer; say what the thing is");
        }
        Ok(Self(text.to_owned()))
    }
}

impl Name {
    /// As a type: `hacker_target` is `HackerTarget`.
    pub(super) fn camel(&self) -> String {
        let capital = |word: &str| {
            let (first, rest) = word.split_at(1);
            first.to_ascii_uppercase() + rest
        };
        self.0.split('_').map(capital).collect()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_a_type() {
        let camel = |text: &str| text.parse::<Name>().unwrap().camel();
        assert_eq!(camel("crtsh"), "Crtsh");
        assert_eq!(camel("hacker_target"), "HackerTarget");
        assert_eq!(camel("ip2_location"), "Ip2Location");
    }

    #[test]
    fn what_cannot_be_a_file_and_a_type_is_refused() {
        for text in [
            "", "Crtsh", "crt-sh", "crt sh", "_crtsh", "crtsh_", "a__b", "9gag", "é", "../x",
        ] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }

    #[test]
    fn keywords_and_names_of_layers_are_refused() {
        for text in ["match", "self", "utils", "types"] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
