//! Secrets of sources: placeholders everywhere, values on the wire alone.
//!
//! **Invariant:** a module gets the secrets that its manifest declares and no others, so that a page of a target cannot
//! ask for one by writing its placeholder.
//! **Invariant:** what a server echoes of a secret is a placeholder again before anybody sees it.

use std::collections::BTreeMap;

use mirage_domain::module::Manifest;

/// The secrets of one module.
pub(super) struct Secrets(Vec<Secret>);

struct Secret {
    placeholder: String,
    /// As the `url` crate writes the placeholder in a path.
    escaped: String,
    value: String,
    encoded: String,
}

impl Secrets {
    /// Those of `all` that are named like a secret setting of the module: `KEY` or `MODULE.KEY`.
    pub(super) fn of(manifest: &Manifest, all: &BTreeMap<String, String>) -> Self {
        let is_own = |name: &str| {
            let key = name
                .strip_prefix(manifest.name)
                .and_then(|rest| rest.strip_prefix('.'));
            let settings = manifest.settings.iter().filter(|setting| setting.is_secret);
            settings
                .map(|s| s.key)
                .any(|own| own == name || Some(own) == key)
        };
        let own = all
            .iter()
            .filter(|(name, value)| is_own(name) && !value.is_empty());
        let secret = |(name, value): (&String, &String)| Secret {
            placeholder: format!("{{secret:{name}}}"),
            escaped: format!("%7Bsecret:{name}%7D"),
            value: value.clone(),
            encoded: url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
        };
        Self(own.map(secret).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of a header as it goes onto the wire.
    pub(super) fn fill(&self, text: &str) -> String {
        let fill = |text: String, secret: &Secret| text.replace(&secret.placeholder, &secret.value);
        self.0.iter().fold(text.to_owned(), fill)
    }

    /// The path and query of a URL as they go onto the wire.
    pub(super) fn fill_url(&self, text: &str) -> String {
        let fill = |text: String, secret: &Secret| {
            let text = text.replace(&secret.placeholder, &secret.encoded);
            text.replace(&secret.escaped, &secret.encoded)
        };
        self.0.iter().fold(text.to_owned(), fill)
    }

    /// The text of a header or a URL without secrets, for the record.
    pub(super) fn scrub(&self, text: &str) -> String {
        let scrub = |text: String, secret: &Secret| {
            let text = text.replace(&secret.value, &secret.placeholder);
            text.replace(&secret.encoded, &secret.placeholder)
        };
        self.0.iter().fold(text.to_owned(), scrub)
    }

    /// A received body without secrets.
    pub(super) fn scrub_bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        let scrub = |bytes: Vec<u8>, secret: &Secret| {
            let placeholder = secret.placeholder.as_bytes();
            let bytes = replace(bytes, secret.value.as_bytes(), placeholder);
            replace(bytes, secret.encoded.as_bytes(), placeholder)
        };
        self.0.iter().fold(bytes, scrub)
    }
}

fn replace(bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut rest, mut replaced) = (&bytes[..], Vec::new());
    while let Some(at) = find(rest, from) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    if replaced.is_empty() {
        return bytes;
    }
    replaced.extend_from_slice(rest);
    replaced
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use mirage_domain::module::Setting;

    use super::*;

    const fn setting(key: &'static str, is_secret: bool) -> Setting {
        Setting {
            key,
            help: "",
            default: "",
            is_secret,
            is_operators: false,
        }
    }

    static MANIFEST: Manifest = Manifest {
        name: "source",
        settings: &[setting("key", true), setting("plain", false)],
        ..Manifest::DEFAULT
    };

    fn secrets() -> Secrets {
        let all = ["source.key", "key", "other.key", "source.plain"];
        let all = all.map(|name| (name.to_owned(), format!("value of/{name}")));
        Secrets::of(&MANIFEST, &all.into())
    }

    #[test]
    fn a_module_gets_its_own_secrets_alone() {
        let secrets = secrets();
        assert_eq!(secrets.fill("{secret:source.key}"), "value of/source.key");
        assert_eq!(secrets.fill("{secret:key}"), "value of/key");
        for foreign in [
            "{secret:other.key}",
            "{secret:source.plain}",
            "{secret:none}",
        ] {
            assert_eq!(secrets.fill(foreign), foreign);
        }
    }

    #[test]
    fn in_a_url_a_value_is_encoded() {
        let secrets = secrets();
        let filled = "/?k=value+of%2Fsource.key";
        assert_eq!(secrets.fill_url("/?k={secret:source.key}"), filled);
        let path = "/%7Bsecret:source.key%7D";
        assert_eq!(secrets.fill_url(path), "/value+of%2Fsource.key");
    }

    #[test]
    fn an_echo_is_a_placeholder_again() {
        let secrets = secrets();
        let echo = "a value of/source.key b value+of%2Fsource.key c";
        let scrubbed = "a {secret:source.key} b {secret:source.key} c";
        assert_eq!(secrets.scrub(echo), scrubbed);
        assert_eq!(secrets.scrub_bytes(echo.into()), scrubbed.as_bytes());
    }
}
