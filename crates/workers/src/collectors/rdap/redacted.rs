//! Redacted members: what an answer says that it withholds (RFC 9537).
//!
//! Its paths are JSONPath, of which only the strings in quotes are read: the role and the property that they name.
//! **Invariant:** in doubt more is hidden: a path of contacts that names no role is of every role, and likewise for
//! properties. A value put in place of the true one is as hidden as that.

use serde_json::Value;

use super::contacts::ROLES;
use super::{list, text};
use crate::collectors::registries::shown;

/// Redactions of one answer that are read.
const REDACTIONS_MAX: usize = 200;
/// Properties of a card that a path may name.
const PROPERTIES: &[&str] = &[
    "adr",
    "contact-uri",
    "email",
    "fn",
    "kind",
    "n",
    "org",
    "role",
    "tel",
    "title",
    "url",
];

/// What of the contacts is hidden: role and property, none for any.
pub(super) struct Redacted<'a>(Vec<(Option<&'a str>, Option<&'a str>)>);

impl<'a> Redacted<'a> {
    pub(super) fn of(body: &'a Value) -> Self {
        let all = list(body, "redacted").iter().take(REDACTIONS_MAX);
        let paths = all.flat_map(|own| {
            ["prePath", "postPath", "replacementPath"].map(|member| text(own, member))
        });
        let paths = paths.filter(|path| path.contains("entities") || path.contains("vcard"));
        Self(paths.map(named).collect())
    }

    /// Whether a property of a contact with these roles is hidden.
    pub(super) fn hides(&self, roles: &[&str], property: &str) -> bool {
        self.0.iter().any(|(role, own)| {
            role.is_none_or(|role| roles.contains(&role)) && own.is_none_or(|own| own == property)
        })
    }
}

/// The role and the property that stand in quotes in a path.
fn named(path: &str) -> (Option<&str>, Option<&str>) {
    let mut quoted = path.split(['\'', '"']).skip(1).step_by(2);
    let all: Vec<&str> = quoted.by_ref().collect();
    let one_of = |known: &[&str]| all.iter().copied().find(|own| known.contains(own));
    (one_of(ROLES), one_of(PROPERTIES))
}

/// The names of what is withheld, as the answer calls it.
pub(super) fn names(body: &Value) -> impl Iterator<Item = String> {
    let all = list(body, "redacted").iter().take(REDACTIONS_MAX);
    all.filter_map(|own| {
        let name = own.get("name")?;
        let words = [text(name, "description"), text(name, "type")];
        words.into_iter().find_map(shown)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_hides_the_property_of_its_role() {
        let body = json!({"redacted": [
            {"prePath": "$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]=='email')]",
             "replacementPath": "$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]=='contact-uri')]",
             "method": "replacementValue"},
            {"prePath": "$.entities[?(@.roles[0]==\"technical\")]", "method": "removal"},
            {"postPath": "$.handle", "method": "partialValue"},
            {"postPath": "$.entities[*].vcardArray[1][?(@[0]=='tel')][3]"}, 7, {"prePath": ["entities"]}]});
        let redacted = Redacted::of(&body);
        assert!(redacted.hides(&["registrant", "billing"], "email"));
        assert!(redacted.hides(&["registrant"], "contact-uri"));
        assert!(!redacted.hides(&["registrant"], "fn"));
        assert!(redacted.hides(&["technical"], "fn"));
        assert!(redacted.hides(&["abuse"], "tel"));
        assert!(!redacted.hides(&["abuse"], "email"));
    }

    #[test]
    fn what_is_withheld_has_a_name() {
        let body = json!({"redacted": [{"name": {"description": "Registrant Name"}}, {"name": {"type": "Tech\u{1b} Email"}},
            {"name": 7}, {"name": {"type": ""}}, null]});
        assert_eq!(
            Vec::from_iter(names(&body)),
            ["Registrant Name", "Tech Email"]
        );
        assert_eq!(names(&json!({"redacted": {}})).count(), 0);
    }
}
