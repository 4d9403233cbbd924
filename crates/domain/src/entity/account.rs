//! `account`: `site:handle`, the handle in lower case where the site ignores case.

use super::{KeyError, characters, handle};

const FORM: KeyError = KeyError::Form("an account is SITE:HANDLE, such as github:alice");

/// Sites that ignore the case of a handle: their host and the name they go by here.
/// Any other site keeps the case: two accounts are never made one by a guess.
const WITHOUT_CASE: &[(&str, &str)] = &[
    ("bitbucket.org", "bitbucket"),
    ("codeberg.org", "codeberg"),
    ("facebook.com", "facebook"),
    ("github.com", "github"),
    ("gitlab.com", "gitlab"),
    ("gravatar.com", "gravatar"),
    ("instagram.com", "instagram"),
    ("keybase.io", "keybase"),
    ("linkedin.com", "linkedin"),
    ("pypi.org", "pypi"),
    ("reddit.com", "reddit"),
    ("t.me", "telegram"),
    ("tiktok.com", "tiktok"),
    ("twitch.tv", "twitch"),
    ("twitter.com", "twitter"),
    ("x.com", "twitter"),
];

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let (site, name) = characters::slug_and_rest(text).ok_or(FORM)?;
    let name = handle::normalise(name).map_err(|_| FORM)?;
    let host = site.strip_prefix("www.").unwrap_or(&site);
    match WITHOUT_CASE
        .iter()
        .find(|known| known.0 == host || known.1 == site)
    {
        Some((_, site)) => Ok(format!("{site}:{}", name.to_ascii_lowercase())),
        None => Ok(format!("{site}:{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_has_one_key() {
        for (text, key) in [
            ("GitHub:Alice", "github:alice"),
            ("www.github.com:@alice", "github:alice"),
            ("x.com:Alice", "twitter:alice"),
            ("news.ycombinator.com:Alice", "news.ycombinator.com:Alice"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "alice",
            "github:",
            ":alice",
            "git hub:alice",
            "github:a b",
            "github:a\0",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text:?}");
        }
    }
}
