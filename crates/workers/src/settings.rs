//! What a scan is set to, without secrets: one document, kept as evidence.
//!
//! Any process that finds it can go on with the scan.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mirage_domain::module::{Manifest, Setting};
use serde::{Deserialize, Serialize};

use crate::collectors::{ALL, Settings};
use crate::probe::exchange::{Exchange, Frame};
use crate::probe::proxy::{Proxy, UnfitProxy};

/// The settings of one scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanSettings {
    /// Empty: the system's.
    pub resolvers: Vec<SocketAddr>,
    pub user_agent: Option<String>,
    /// A URL (`probe/proxy.rs`); its credentials are not recorded.
    pub proxy: Option<String>,
    /// Requests per second to one host.
    pub rate_per_host: Option<u32>,
    /// By `MODULE.KEY`; what is not here has its manifest's default.
    pub modules: BTreeMap<String, String>,
}

/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("no module has the setting `{0}`")]
    Unknown(String),
    #[error(
        "`{0}` is a secret: give it in the environment or the configuration file, not in a scan"
    )]
    Secret(String),
    #[error("`{0}` names a file or a server of the node, and is its operator's to set")]
    Operators(String),
    #[error("the settings document cannot be read")]
    Document,
}

/// Every setting of every module: full key, manifest, declaration.
pub fn declared() -> impl Iterator<Item = (String, &'static Manifest, &'static Setting)> {
    ALL.iter().flat_map(|collector| {
        let manifest = collector.manifest();
        let full = move |setting: &'static Setting| {
            (
                format!("{}.{}", manifest.name, setting.key),
                manifest,
                setting,
            )
        };
        manifest.settings.iter().map(full)
    })
}

impl ScanSettings {
    /// Sets `MODULE.KEY`.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Unfit> {
        let known = declared().find(|(full, ..)| full == key);
        let (_, _, setting) = known.ok_or_else(|| Unfit::Unknown(key.to_owned()))?;
        if setting.is_secret {
            return Err(Unfit::Secret(key.to_owned()));
        }
        self.modules.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// Sets `MODULE.KEY` for somebody who does not run the node.
    pub fn set_from_afar(&mut self, key: &str, value: &str) -> Result<(), Unfit> {
        let is_operators =
            |(full, _, setting): &(String, _, &Setting)| full == key && setting.is_operators;
        match declared().any(|declared| is_operators(&declared)) {
            true => Err(Unfit::Operators(key.to_owned())),
            false => self.set(key, value),
        }
    }

    /// The settings of one module, its defaults filled in. A secret stands as the placeholder that the probe fills in
    /// on the wire, or is empty where nobody gave it.
    pub fn of(&self, manifest: &Manifest, secrets: &BTreeMap<String, String>) -> Settings {
        let mut settings = Settings::defaults(manifest);
        for setting in manifest.settings {
            let full = format!("{}.{}", manifest.name, setting.key);
            let value = match setting.is_secret {
                true => secrets
                    .contains_key(&full)
                    .then(|| format!("{{secret:{full}}}")),
                false => self.modules.get(&full).cloned(),
            };
            if let Some(value) = value {
                settings.0.insert(setting.key, value);
            }
        }
        settings
    }

    /// The proxy with its credentials: those of its URL, else the secret `proxy` (`USER:PASSWORD`).
    pub fn proxy(&self, secrets: &BTreeMap<String, String>) -> Result<Option<Proxy>, UnfitProxy> {
        let Some(text) = &self.proxy else {
            return Ok(None);
        };
        let (bare, written) = Proxy::split(text)?;
        let proxy = Proxy::parse(&bare)?;
        match written.as_ref().or_else(|| secrets.get("proxy")) {
            Some(credentials) => proxy.with_credentials(credentials).map(Some),
            None => Ok(Some(proxy)),
        }
    }

    /// As evidence, and so without the proxy's credentials.
    pub fn encode(&self) -> Vec<u8> {
        let bare =
            |text: &String| Proxy::split(text).map_or_else(|_| String::new(), |split| split.0);
        let recorded = Self {
            proxy: self.proxy.as_ref().map(bare),
            ..self.clone()
        };
        let payload = serde_json::to_vec(&recorded).expect("strings and numbers");
        Exchange {
            frame: Frame::Document {
                name: "settings".into(),
            },
            payload,
        }
        .encode()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Unfit> {
        let exchange = Exchange::decode(bytes).map_err(|_| Unfit::Document)?;
        serde_json::from_slice(&exchange.payload).map_err(|_| Unfit::Document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_reads_back_and_unknown_settings_are_refused() {
        let mut settings = ScanSettings {
            user_agent: Some("x".into()),
            rate_per_host: Some(3),
            proxy: Some("socks5://proxy.example:9050".into()),
            ..Default::default()
        };
        assert_eq!(
            settings.set("nobody.key", "1"),
            Err(Unfit::Unknown("nobody.key".into()))
        );
        let path = settings.set_from_afar("asn.table", "/etc/passwd");
        assert_eq!(path, Err(Unfit::Operators("asn.table".into())));
        assert_eq!(settings.set_from_afar("crawl.pages-max", "3"), Ok(()));
        settings.modules.clear();
        assert_eq!(
            ScanSettings::decode(&settings.encode()),
            Ok(settings.clone())
        );
        settings.proxy = Some("socks5://who:secret@proxy.example:9050".into());
        let recorded = String::from_utf8(settings.encode()).unwrap();
        assert!(!recorded.contains("who") && !recorded.contains("secret"));
        assert_eq!(ScanSettings::decode(b"{}\n{}"), Err(Unfit::Document));
    }
}
