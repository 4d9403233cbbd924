//! `software`: `name` or `name/version`, folded as names are.

use super::{KeyError, characters};

const FORM: KeyError = KeyError::Form("a software is NAME or NAME/VERSION, such as nginx/1.27.0");

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    let key = characters::folded(text, &FORM)?;
    let Some((name, version)) = key.split_once('/') else {
        return Ok(key);
    };
    let (name, version) = (name.trim_end(), version.trim_start());
    let legal = |part: &str| part.chars().any(char::is_alphanumeric) && !part.contains('/');
    if !legal(name) || !legal(version) {
        return Err(FORM);
    }
    Ok(format!("{name}/{version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_software_has_one_key() {
        for (text, key) in [
            ("NGINX/1.27.0", "nginx/1.27.0"),
            ("Apache  HTTP Server / 2.4.62", "apache http server/2.4.62"),
            ("OpenSSH", "openssh"),
            ("C++", "c++"),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "/1.0",
            "nginx/",
            "nginx//1",
            "a/b/c",
            "ngi\0nx",
            "\u{1b}[2J",
            " ",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
    }
}
