//! Mail boxes and phones.

use std::sync::LazyLock;

use mirage_domain::entity::{Entity, Kind};
use regex::Regex;

use super::{Mention, pattern};

static EMAIL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)[a-z0-9._%+'-]+@(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*[a-z0-9]"));
/// International numbers only: no text says which country a national one belongs to.
static PHONE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\+[1-9](?:[ .()/-]{0,2}[0-9]){6,14}"));
/// Endings of files that stand where a top-level domain would: `logo@2x.png`.
const FILES: [&str; 10] = [
    "avif", "css", "gif", "jpeg", "jpg", "js", "json", "png", "svg", "webp",
];

pub(super) fn of(text: &str) -> impl Iterator<Item = Mention> {
    emails(text).chain(phones(text)).map(Mention::new)
}

fn emails(text: &str) -> impl Iterator<Item = Entity> {
    EMAIL.find_iter(text).filter_map(|found| {
        let (_, ending) = found.as_str().rsplit_once('.')?;
        let is_file = FILES.iter().any(|file| file.eq_ignore_ascii_case(ending));
        let (local, host) = found.as_str().split_once('@')?;
        // In `mailto:%20a@b.c` the space belongs to nobody.
        let local = local
            .rsplit('%')
            .next()
            .map_or(local, |rest| match rest.len() < local.len() {
                true => rest.get(2..).unwrap_or_default(),
                false => local,
            });
        let local = local.trim_matches(['.', '\'']);
        (!is_file)
            .then(|| Entity::new(Kind::Email, &format!("{local}@{host}")).ok())
            .flatten()
    })
}

fn phones(text: &str) -> impl Iterator<Item = Entity> {
    PHONE.find_iter(text).filter_map(|found| {
        let before = text[..found.start()].chars().next_back();
        let after = text[found.end()..].chars().next();
        let is_inside =
            before.is_some_and(char::is_alphanumeric) || after.is_some_and(char::is_alphanumeric);
        (!is_inside)
            .then(|| Entity::new(Kind::Phone, found.as_str()).ok())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        of(text)
            .map(|mention| mention.entity.key().to_owned())
            .collect()
    }

    #[test]
    fn mail_boxes_are_found_and_file_names_are_not() {
        for (text, key) in [
            (
                "<a href=mailto:Info@Example.com?subject=x>",
                "info@example.com",
            ),
            (
                "write to (alice.b+tag@mail.example.co.uk).",
                "alice.b+tag@mail.example.co.uk",
            ),
            ("mailto:%20bob@example.com", "bob@example.com"),
            ("'carol@example.com'", "carol@example.com"),
        ] {
            assert_eq!(keys(text), [key], "{text}");
        }
        for text in [
            "logo@2x.png",
            "a@b",
            "@example.com",
            "user@192.0.2.1",
            "a @ example.com",
        ] {
            assert_eq!(keys(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn international_numbers_are_found_and_other_digits_are_not() {
        for (text, key) in [
            ("Call +493023125042. Donations", "+493023125042"),
            ("tel:+44-20-7946-0958", "+442079460958"),
            ("+44 (0)20 7946 0958, 9 to 5", "+442079460958"),
        ] {
            assert_eq!(keys(text), [key], "{text}");
        }
        for text in [
            "030 23125042",
            "a+493023125042",
            "+493023125042x",
            "+1 2 3",
            "1+1=2",
            "+999999999999",
        ] {
            assert_eq!(keys(text), [""; 0], "{text}");
        }
    }
}
