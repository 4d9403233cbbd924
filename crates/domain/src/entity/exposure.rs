//! `exposure`: `RULE KIND KEY` of the thing that is exposed.

use super::{Entity, KeyError, Kind, characters};

const FORM: KeyError =
    KeyError::Form("an exposure is RULE KIND KEY, such as expired-certificate domain example.com");

pub(super) fn normalise(text: &str) -> Result<String, KeyError> {
    about(text, &FORM)
}

/// `NAME KIND KEY`, the key normalised by its kind; also the form of a `verdict`.
pub(super) fn about(text: &str, form: &KeyError) -> Result<String, KeyError> {
    let (name, subject) = split(text).ok_or(form.clone())?;
    Ok(format!(
        "{name} {} {}",
        subject.0,
        subject.0.normalise(subject.1)?
    ))
}

/// The thing is never an exposure or a verdict itself, so nothing here nests.
fn split(text: &str) -> Option<(&str, (Kind, &str))> {
    let (name, rest) = text.split_once(' ')?;
    let (kind, key) = rest.split_once(' ')?;
    let kind: Kind = kind.parse().ok()?;
    let legal = characters::is_slug(name) && !matches!(kind, Kind::Exposure | Kind::Verdict);
    legal.then_some((name, (kind, key)))
}

impl Entity {
    /// What an `exposure` or `verdict` is about, and the rule or source that says so.
    pub fn subject(&self) -> Option<(&str, Entity)> {
        if !matches!(self.kind(), Kind::Exposure | Kind::Verdict) {
            return None;
        }
        let (name, (kind, key)) = split(self.key())?;
        Some((name, Entity::recorded(kind, key)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exposure_has_one_key() {
        for (text, key) in [
            (
                "takeover domain WWW.Example.com.",
                "takeover domain www.example.com",
            ),
            (
                "weak-tls service [2001:DB8::1]:443/tcp",
                "weak-tls service [2001:db8::1]:443/tcp",
            ),
            (
                "leak organization Example  Ltd",
                "leak organization example ltd",
            ),
        ] {
            assert_eq!(normalise(text).as_deref(), Ok(key));
        }
        for text in [
            "takeover domain",
            "takeover host example.com",
            "Takeover domain example.com",
            "a b domain example.com",
            " domain example.com",
            "a exposure b domain example.com",
            "a verdict b domain example.com",
        ] {
            assert_eq!(normalise(text), Err(FORM), "{text}");
        }
        assert_eq!(
            normalise("takeover domain *.a"),
            Kind::Domain.normalise("*.a")
        );
        assert_eq!(normalise("takeover domain "), Err(KeyError::Empty));
    }

    #[test]
    fn an_exposure_says_what_it_is_about() {
        let exposure = Entity::new(Kind::Exposure, "takeover domain Example.com").unwrap();
        let domain = Entity::new(Kind::Domain, "example.com").unwrap();
        assert_eq!(exposure.subject(), Some(("takeover", domain.clone())));
        assert_eq!(domain.subject(), None);
    }
}
