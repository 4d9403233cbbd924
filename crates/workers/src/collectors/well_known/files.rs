//! The files that sites put where everybody looks: what each says, if it is what its name promises.
//!
//! **Invariant:** a file is known by its form; a page that answers every path with status 200 has none of these.

use std::sync::LazyLock;

use mirage_domain::entity::{Entity, Kind};
use regex::Regex;
use serde_json::Value;
use url::Url;

use crate::collectors::html::unescape;

/// Things that one file is taken to mention.
pub(super) const MENTIONS_MAX: usize = 1000;

/// What a file says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    /// Addresses, mail boxes and phones, in the file's order, each once.
    pub(super) mentions: Vec<Entity>,
    pub(super) attributes: Vec<(&'static str, Value)>,
    /// Further files of the same kind that it lists.
    pub(super) parts: Vec<Url>,
    pub(super) is_cut: bool,
}

impl Said {
    fn add(&mut self, entity: Option<Entity>) {
        let Some(entity) = entity else { return };
        if self.mentions.len() >= MENTIONS_MAX {
            self.is_cut = true;
        } else if !self.mentions.contains(&entity) {
            self.mentions.push(entity);
        }
    }
}

/// Reads a text that was found at an address; nothing if it is not in the file's form.
pub(super) type Reader = fn(&str, &Url) -> Option<Said>;

/// Path and reader of each file that is read as text.
pub(super) const FILES: [(&str, Reader); 5] = [
    ("/.well-known/security.txt", security),
    ("/robots.txt", robots),
    ("/sitemap.xml", sitemap),
    ("/.well-known/openid-configuration", openid),
    ("/.well-known/assetlinks.json", assets),
];

fn url(text: &str) -> Option<Entity> {
    Entity::new(Kind::Url, text.trim()).ok()
}

/// An address in any of the forms that a contact takes.
fn contact(text: &str) -> Option<Entity> {
    let text = text.trim();
    if let Some(mail) = text.strip_prefix("mailto:") {
        let mail = mail.split('?').next().unwrap_or_default();
        return Entity::new(Kind::Email, mail).ok();
    }
    if let Some(phone) = text.strip_prefix("tel:") {
        return Entity::new(Kind::Phone, phone).ok();
    }
    url(text)
}

fn is_markup(text: &str) -> bool {
    text.trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('<')
}

/// `Field: value` lines, comments left out.
fn fields(text: &str) -> impl Iterator<Item = (String, &str)> {
    text.lines().filter_map(|line| {
        let line = line.trim().trim_start_matches('\u{feff}');
        let (name, value) = line.split_once(':').filter(|_| !line.starts_with('#'))?;
        Some((name.trim().to_ascii_lowercase(), value.trim()))
    })
}

/// RFC 9116. Without a contact, which it must have, it is another text.
fn security(text: &str, _: &Url) -> Option<Said> {
    const FIELDS: [&str; 7] = [
        "acknowledgments",
        "canonical",
        "contact",
        "csaf",
        "encryption",
        "hiring",
        "policy",
    ];
    let mut said = Said::default();
    let mut has_contact = false;
    for (name, value) in fields(text) {
        match name.as_str() {
            "expires" => said.attributes.push((
                "expires",
                Value::from(value.chars().take(64).collect::<String>()),
            )),
            name if FIELDS.contains(&name) => {
                has_contact |= name == "contact";
                said.add(contact(value));
            }
            _ => {}
        }
    }
    (has_contact && !is_markup(text)).then_some(said)
}

/// RFC 9309: what robots are asked to leave is worth knowing, and is not fetched for that. Patterns name no address.
fn robots(text: &str, at: &Url) -> Option<Said> {
    let mut said = Said::default();
    let mut has_agent = false;
    for (name, value) in fields(text) {
        let value = value.split('#').next().unwrap_or_default().trim();
        match name.as_str() {
            "user-agent" => has_agent = true,
            "sitemap" => said.add(url(value)),
            "allow" | "disallow" if value.starts_with('/') && !value.contains(['*', '$']) => {
                said.add(at.join(value).ok().and_then(|joined| url(joined.as_str())));
            }
            _ => {}
        }
    }
    let is_one = has_agent || !said.mentions.is_empty();
    (is_one && !is_markup(text)).then_some(said)
}

/// sitemaps.org 0.9: a set of addresses, or an index of sets.
pub(super) fn sitemap(text: &str, at: &Url) -> Option<Said> {
    static LOCATION: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"<(?:[a-z]+:)?loc>\s*(?:<!\[CDATA\[)?\s*([^<>\]]+)";
        Regex::new(pattern).expect("a literal that is tested")
    });
    let is_index = text.contains("<sitemapindex");
    if !is_index && !text.contains("<urlset") {
        return None;
    }
    let mut said = Said::default();
    for found in LOCATION.captures_iter(text) {
        let location = unescape(&found[1]);
        if is_index {
            let part = Url::parse(location.trim()).ok();
            said.parts
                .extend(part.filter(|part| part.host() == at.host()));
        }
        said.add(url(&location));
        if said.is_cut {
            break;
        }
    }
    Some(said)
}

/// OpenID Connect Discovery 1.0 §3: an object with an issuer; its end points are the values that are addresses.
fn openid(text: &str, _: &Url) -> Option<Said> {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return None;
    };
    let issuer = fields.get("issuer").and_then(Value::as_str);
    issuer.and_then(url)?;
    let mut said = Said::default();
    fields
        .values()
        .filter_map(Value::as_str)
        .for_each(|value| said.add(url(value)));
    Some(said)
}

/// Digital Asset Links: statements with a target, an app or a site.
fn assets(text: &str, _: &Url) -> Option<Said> {
    let Ok(Value::Array(statements)) = serde_json::from_str(text) else {
        return None;
    };
    let mut said = Said::default();
    let mut packages = std::collections::BTreeSet::new();
    let targets = statements
        .iter()
        .filter_map(|statement| statement.get("target"));
    let targets: Vec<&Value> = targets
        .filter(|target| target.get("namespace").is_some())
        .collect();
    for target in &targets {
        let text_of = |field: &str| target.get(field).and_then(Value::as_str);
        if let Some(package) = text_of("package_name").filter(|name| name.len() <= 256) {
            packages.insert(package.to_owned());
        }
        said.add(text_of("site").and_then(url));
    }
    let packages: Vec<String> = packages.into_iter().take(100).collect();
    said.attributes.push(("packages", Value::from(packages)));
    (!targets.is_empty()).then_some(said)
}

/// Where the page that changes a password is (W3C draft): the redirect of `/.well-known/change-password`, if it leads
/// to a page of its own, and is not how this site answers everything.
pub(super) fn change_password(at: &Url, target: &Url) -> Option<Entity> {
    let is_own = target.path() != at.path() && target.path() != "/";
    is_own.then(|| url(target.as_str())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Url {
        Url::parse("https://example.com/x").unwrap()
    }

    fn keys(read: Reader, text: &str) -> Option<Vec<String>> {
        let said = read(text, &at())?;
        Some(said.mentions.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_file_is_read_in_its_form() {
        let assets_json = r#"[{"relation":[],"target":{"namespace":"android_app","package_name":"org.x"}},
            {"target":{"namespace":"web","site":"https://w.example.com"}}]"#;
        for (read, text, found) in [
            (
                security as Reader,
                "# hi\nContact: mailto:a@example.com?subject=x\nContact: tel:+442079460958\nPolicy: https://example.com/p\nExpires: 2030-01-01T00:00:00Z",
                &[
                    "email:a@example.com",
                    "phone:+442079460958",
                    "url:https://example.com/p",
                ][..],
            ),
            (
                robots,
                "User-agent: *\nDisallow: /private/ # no\nDisallow: /*.php$\nDisallow:\nSitemap: https://example.com/s.xml",
                &[
                    "url:https://example.com/private/",
                    "url:https://example.com/s.xml",
                ],
            ),
            (
                sitemap,
                "<?xml?><urlset><url><loc> https://example.com/a?b&amp;c </loc></url><loc><![CDATA[https://example.com/d]]></loc></urlset>",
                &["url:https://example.com/a?b&c", "url:https://example.com/d"],
            ),
            (
                openid,
                r#"{"issuer":"https://sso.example.com","jwks_uri":"https://sso.example.com/keys","scopes":["a"]}"#,
                &[
                    "url:https://sso.example.com/",
                    "url:https://sso.example.com/keys",
                ],
            ),
            (assets, assets_json, &["url:https://w.example.com/"]),
        ] {
            assert_eq!(keys(read, text).unwrap(), found, "{text}");
        }
        let said = assets(assets_json, &at()).unwrap();
        assert_eq!(
            said.attributes,
            [("packages", serde_json::json!(["org.x"]))]
        );
    }

    #[test]
    fn a_page_that_answers_every_path_is_none_of_them() {
        let page = "<!doctype html><p>Contact: us\nUser-agent: *\nDisallow: /x\n<loc>https://x.example/</loc>";
        for (path, read) in FILES {
            for text in [page, "", "ok", "{}", "[]", "[1]", "null", "{\"issuer\":1}"] {
                assert_eq!(read(text, &at()), None, "{path} {text}");
            }
        }
        let target = |path: &str| change_password(&at(), &at().join(path).unwrap());
        assert!(target("/settings/password").is_some());
        assert_eq!(
            (target("/"), target("https://www.example.com/x")),
            (None, None)
        );
    }

    #[test]
    fn an_index_lists_parts_of_its_own_host() {
        let text = "<sitemapindex><loc>https://example.com/1.xml</loc><loc>https://other.example/2.xml</loc></sitemapindex>";
        let said = sitemap(text, &at()).unwrap();
        assert_eq!((said.parts.len(), said.mentions.len()), (1, 2));
    }

    #[test]
    fn a_huge_file_is_cut() {
        let text: String = (0..5000).map(|n| format!("Disallow: /{n}\n")).collect();
        let said = robots(&format!("User-agent: *\n{text}"), &at()).unwrap();
        assert_eq!((said.mentions.len(), said.is_cut), (MENTIONS_MAX, true));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(any in ".*", near in "(contact:|mailto:|disallow:|/|<urlset|<loc>|\\{|\"issuer\"|:|\\[|\n|\u{fc})*") {
            for (_, read) in FILES {
                let _ = (read(&any, &at()), read(&near, &at()));
            }
        }
    }
}
