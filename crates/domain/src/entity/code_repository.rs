//! `code-repository`: `host/path` with the host in lower case, such as `github.com/example/site`.

use super::{Entity, KeyError, Kind, characters};

const FORM: KeyError =
    KeyError::Form("a code repository is HOST/PATH, such as github.com/example/site");

/// Hosts that ignore the case of a path.
const WITHOUT_CASE: &[&str] = &["bitbucket.org", "codeberg.org", "github.com", "gitlab.com"];

/// The host may carry a port. A final `.git` is how a repository is cloned, not part of its name,
/// but a directory `.git` is the repository itself.
pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let legal = |c: char| characters::is_visible(c) && !matches!(c, '?' | '#' | '@' | '\\');
    if text.starts_with('/') || !text.chars().all(legal) {
        return Err(FORM);
    }
    let address = Entity::new(Kind::Url, &format!("https://{text}")).map_err(|_| FORM)?;
    let host = address.host().ok_or(FORM)?;
    if Kind::Domain.normalise(host).is_err() && Kind::Ip.normalise(host).is_err() {
        return Err(FORM);
    }
    let (host, path) = address
        .key()
        .trim_start_matches("https://")
        .split_once('/')
        .ok_or(FORM)?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = if WITHOUT_CASE.contains(&host) {
        path.to_ascii_lowercase()
    } else {
        path.into()
    };
    let path = without_suffix(&path);
    if path.split('/').any(str::is_empty) || path != without_suffix(path) {
        return Err(FORM);
    }
    Ok(format!("{host}/{path}"))
}

fn without_suffix(path: &str) -> &str {
    path.strip_suffix(".git")
        .filter(|path| !path.is_empty() && !path.ends_with('/'))
        .unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_has_one_key() {
        for (text, key) in [
            ("GitHub.com/Example/Site.git", "github.com/example/site"),
            (
                "git.example.com:8443/Team/Site/",
                "git.example.com:8443/Team/Site",
            ),
            (
                "git.example.com:443/~alice/site",
                "git.example.com/~alice/site",
            ),
            ("www.example.com/.git", "www.example.com/.git"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "github.com",
            "github.com/",
            "https://github.com/example/site",
            "git@github.com:example/site.git",
            "github.com//site",
            "!/site",
            "github.com/example/site.git.git",
            "github.com/example/site?tab=1",
            "github.com/a b",
            "github.com/a\0",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text:?}");
        }
    }
}
