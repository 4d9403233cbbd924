//! Cards: the few properties of a jCard (RFC 7095) that name somebody.
//!
//! **Never:** a guess: a property of another shape than the RFC's is not there.

use mirage_domain::entity::{Entity, Kind};
use serde_json::Value;

use crate::collectors::registries::{is_withheld, shown};

/// Properties of one card that are read.
const PROPERTIES_MAX: usize = 100;
/// Mailboxes of one card.
const EMAILS_MAX: usize = 8;

/// Somebody, as a card names them.
#[derive(Debug, Default)]
pub(super) struct Card {
    /// Organization, person and mailboxes, each as written.
    pub(super) named: Vec<(Entity, String)>,
    /// The country of the postal address: its code if there is one.
    pub(super) country: Option<String>,
}

impl Card {
    /// Reads a `vcardArray`. Properties that `is_hidden` are not there; `is_firm` says that whom it names is no person.
    pub(super) fn read(array: &Value, is_firm: bool, is_hidden: &dyn Fn(&str) -> bool) -> Self {
        let of = |name: &str| match is_hidden(name) {
            true => Vec::new(),
            false => properties(array, name),
        };
        let first = |name: &str| of(name).first().and_then(|own| text(own.get(3)?));
        let kind = first("kind").unwrap_or("individual").to_ascii_lowercase();
        let (organization, full) = (first("org"), first("fn"));
        // Without a kind a card is of a person (RFC 6350 §6.1.4). A group is a desk, whose name names nobody.
        let (firm, person) = match (&*kind, is_firm) {
            (_, true) | ("org", _) => (organization.or(full), None),
            ("individual", _) => (organization, full),
            _ => (organization, None),
        };
        let firm = firm.and_then(|name| named(Kind::Organization, name));
        let person = person.and_then(|name| named(Kind::Person, name));
        // Registries without a field for it repeat the organization as the name.
        let is_other = |person: &(Entity, String)| {
            firm.as_ref()
                .is_none_or(|firm| firm.0.key() != person.0.key())
        };
        let person = person.filter(is_other);
        let emails = of("email");
        let emails = emails
            .iter()
            .filter_map(|own| named(Kind::Email, text(own.get(3)?)?));
        Self {
            country: of("adr").first().and_then(|own| country(own)),
            named: emails.take(EMAILS_MAX).chain(firm).chain(person).collect(),
        }
    }
}

/// The properties of one name: `[name, parameters, type, value…]`.
fn properties<'a>(array: &'a Value, name: &str) -> Vec<&'a Value> {
    let all = array.get(1).and_then(Value::as_array);
    let all = all.map_or(&[][..], Vec::as_slice).iter();
    let is = |own: &&Value| {
        let own = own.get(0).and_then(Value::as_str);
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    all.take(PROPERTIES_MAX).filter(is).collect()
}

/// A value's text; of a structured one (an organization with its units) the first component.
fn text(value: &Value) -> Option<&str> {
    let text = value.as_str().or_else(|| value.get(0)?.as_str())?.trim();
    (!text.is_empty()).then_some(text)
}

fn named(kind: Kind, text: &str) -> Option<(Entity, String)> {
    let entity = Entity::new(kind, text).ok()?;
    (!is_withheld(text)).then_some(())?;
    Some((entity, shown(text)?))
}

fn country(address: &Value) -> Option<String> {
    // The last component of seven; a code stands in a parameter (RFC 8605).
    let code = address.pointer("/1/cc").and_then(Value::as_str);
    let name = address.pointer("/3/6").and_then(Value::as_str);
    code.or(name).and_then(shown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(properties: Value, is_firm: bool) -> Vec<String> {
        let card = Card::read(&json!(["vcard", properties]), is_firm, &|_| false);
        card.named
            .iter()
            .map(|(entity, _)| entity.to_string())
            .collect()
    }

    #[test]
    fn a_card_names_an_organization_a_person_and_mailboxes() {
        let of = |kind: &str| {
            json!([["version", {}, "text", "4.0"], ["kind", {}, "text", kind], ["fn", {}, "text", "Ada Lovelace"],
                ["org", {"type": "work"}, "text", ["Example GmbH", "Engines"]],
                ["email", {}, "text", "Ada@Example.com"], ["email", {}, "text", "no mail box"]])
        };
        let all = [
            "email:ada@example.com",
            "organization:example gmbh",
            "person:ada lovelace",
        ];
        assert_eq!(read(of("individual"), false), all);
        assert_eq!(read(of("org"), false), all[..2]);
        assert_eq!(read(of("individual"), true), all[..2]);
        assert_eq!(read(of("device"), false), all[..2]);
        assert_eq!(
            read(json!([["fn", {}, "text", "Example AG"]]), true),
            ["organization:example ag"]
        );
        assert_eq!(
            read(json!([["fn", {}, "text", "Ada"]]), false),
            ["person:ada"]
        );
        let twice = json!([
            ["fn", {}, "text", "Example AG"],
            ["org", {}, "text", "EXAMPLE AG"]
        ]);
        assert_eq!(read(twice, false), ["organization:example ag"]);
    }

    #[test]
    fn what_is_no_card_names_nobody() {
        for array in [
            json!(null),
            json!("vcard"),
            json!([]),
            json!(["vcard"]),
            json!(["vcard", {"fn": "A"}]),
            json!(["vcard", [null, 7, [], ["fn"], ["fn", {}], ["fn", {}, "text"], ["fn", {}, "text", 7],
                ["fn", {}, "text", [[["A"]]]], ["org", {}, "text", {"a": "b"}], [["email"], {}, "text", "a@b.example"],
                ["email", {}, "text", "REDACTED FOR PRIVACY"], ["org", {}, "text", "Data Redacted"],
                ["adr", {"cc": 7}, "text", [1, 2, 3]]]]),
        ] {
            let card = Card::read(&array, false, &|_| false);
            assert!(
                card.named.is_empty() && card.country.is_none(),
                "{array}: {card:?}"
            );
        }
    }
}
