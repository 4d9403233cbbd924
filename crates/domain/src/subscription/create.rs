//! Creating a subscription, and what its fields must look like.

use url::Url;

use super::{Created, Error, Event, Filter, Subscriptions};
use crate::id::{Position, SubscriptionId};
use crate::sealed::Sealable;

/// Subscriptions of a workspace: each follows the log by itself.
pub const SUBSCRIPTIONS_MAX: usize = 64;
/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 200;
/// Longest URL, in bytes.
pub const URL_BYTES_MAX: usize = 2048;
/// Kinds and modules that a filter names, each.
pub const FILTER_MAX: usize = 200;
/// What a secret begins with.
pub const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret (Standard Webhooks).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Begins to tell whoever listens at the URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    pub subscription: SubscriptionId,
    pub name: String,
    pub url: String,
    pub filter: Filter,
    pub secret: String,
    pub after: Position,
}

pub(super) fn decide(all: &Subscriptions, command: Create) -> Result<Vec<Event>, Error> {
    if all.all.contains_key(&command.subscription) {
        return Err(Error::Exists);
    }
    if all.all.len() >= SUBSCRIPTIONS_MAX {
        return Err(Error::TooMany);
    }
    check_name(&command.name)?;
    check_url(&command.url)?;
    check_filter(&command.filter)?;
    check_secret(&command.secret)?;
    let created = Created {
        subscription: command.subscription,
        name: Sealable::Open(command.name),
        url: Sealable::Open(command.url),
        filter: command.filter,
        secret: Sealable::Open(command.secret),
        after: command.after,
    };
    Ok(vec![created.into()])
}

pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let is_sized = (1..=NAME_BYTES_MAX).contains(&name.len());
    match is_sized && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(Error::Name),
    }
}

/// A URL over which can be spoken to a web server. Whether its address may be contacted is seen when it is.
pub(super) fn check_url(text: &str) -> Result<(), Error> {
    let url = Url::parse(text).map_err(|_| Error::Url)?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
    let is_bare = url.username().is_empty() && url.password().is_none();
    let is_plain = url.fragment().is_none() && text.len() <= URL_BYTES_MAX;
    match is_web && is_bare && is_plain {
        true => Ok(()),
        false => Err(Error::Url),
    }
}

pub(super) fn check_filter(filter: &Filter) -> Result<(), Error> {
    if filter.kinds.len() > FILTER_MAX || filter.modules.len() > FILTER_MAX {
        return Err(Error::Filter);
    }
    match filter.unknown_kind() {
        Some(kind) => Err(Error::Kind(kind.clone())),
        None => Ok(()),
    }
}

pub(super) fn check_secret(secret: &str) -> Result<(), Error> {
    let text = secret.strip_prefix(SECRET_PREFIX).unwrap_or_default();
    let bytes = data_encoding::BASE64.decode(text.as_bytes());
    match bytes.is_ok_and(|bytes| SECRET_BYTES.contains(&bytes.len())) {
        true => Ok(()),
        false => Err(Error::Secret),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{create, given, id};
    use super::*;

    fn refused(change: impl FnOnce(&mut Create)) -> Error {
        let mut command = create("a");
        change(&mut command);
        decide(&Subscriptions::default(), command).unwrap_err()
    }

    #[test]
    fn a_subscription_is_created_once_and_its_id_is_then_taken() {
        let all = given(decide(&Subscriptions::default(), create("a")).unwrap());
        assert_eq!(
            all.all[&id("a")].url.open().unwrap(),
            "https://example.com/in"
        );
        assert_eq!(decide(&all, create("a")), Err(Error::Exists));
        assert!(decide(&all, create("b")).is_ok());
    }

    #[test]
    fn a_workspace_bears_a_bounded_number_of_them() {
        let names = (0..SUBSCRIPTIONS_MAX).map(|n| create(&format!("s{n}")));
        let mut all = Subscriptions::default();
        for command in names {
            let events = decide(&all, command).unwrap();
            events.into_iter().for_each(|event| all.fold(event));
        }
        assert_eq!(decide(&all, create("one-more")), Err(Error::TooMany));
    }

    #[test]
    fn a_url_is_one_of_the_web_and_holds_no_password() {
        for url in [
            "",
            "example.com",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://u@example.com/",
            "https://:p@example.com/",
            "https://example.com/#x",
            &format!("https://example.com/{}", "x".repeat(URL_BYTES_MAX)),
        ] {
            assert_eq!(
                refused(|command| command.url = url.into()),
                Error::Url,
                "{url}"
            );
        }
    }

    #[test]
    fn names_kinds_and_secrets_are_held_against_their_form() {
        for name in ["", "a\nb", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert_eq!(refused(|command| command.name = name.into()), Error::Name);
        }
        let kinds = |command: &mut Create| command.filter.kinds = ["scan.exploded".into()].into();
        assert_eq!(refused(kinds), Error::Kind("scan.exploded".into()));
        let many = (0..=FILTER_MAX).map(|n| n.to_string().parse().unwrap());
        let many = |command: &mut Create| command.filter.modules = many.collect();
        assert_eq!(refused(many), Error::Filter);
        let encoded = |bytes| data_encoding::BASE64.encode(&vec![7; bytes]);
        for secret in [
            "".to_owned(),
            encoded(32),
            format!("whsec_{}", encoded(23)),
            format!("whsec_{}", encoded(65)),
            "whsec_?".to_owned(),
        ] {
            assert_eq!(refused(|command| command.secret = secret), Error::Secret);
        }
    }
}
