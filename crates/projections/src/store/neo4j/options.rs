//! Where a Neo4j server is, and who asks it.
//!
//! **Never:** a password in a log line or an error.

use std::fmt;
use std::path::PathBuf;

use neo4rs::{ConfigBuilder, Graph};

/// Rows that the server sends before it is asked for more: a page and one row.
const FETCHED: usize = 1_001;

/// Letters of a namespace: it becomes part of names.
const NAMESPACE_MAX: usize = 32;

/// See the module's doc. Without anything else: no user, and the certificates that the machine trusts.
#[derive(Clone)]
pub struct Options {
    uri: String,
    user: String,
    password: String,
    authority: Option<PathBuf>,
    namespace: String,
}

impl Options {
    /// `bolt://HOST:PORT`, or `bolt+s://HOST:PORT` for TLS; `bolt+ssc` does not look at the certificate.
    pub fn at(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            user: String::new(),
            password: String::new(),
            authority: None,
            namespace: "mirage".to_owned(),
        }
    }

    pub fn with_user(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
            ..self
        }
    }

    /// With `bolt+s`: trusts certificates of the authorities in this PEM file, and no others.
    pub fn with_authority(self, file: impl Into<PathBuf>) -> Self {
        Self {
            authority: Some(file.into()),
            ..self
        }
    }

    /// Views of several installations in one database: letters, digits and `_`, at most 32; `mirage` by default.
    pub fn in_namespace(self, namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            ..self
        }
    }

    /// A namespace that may stand in a name.
    pub(super) fn namespace(&self) -> Option<&str> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let is_fit = (1..=NAMESPACE_MAX).contains(&self.namespace.len());
        (is_fit && self.namespace.chars().all(is_plain)).then_some(&self.namespace)
    }

    /// Connections are made when they are needed. The caller is within a runtime.
    pub(super) fn connect(&self) -> neo4rs::Result<Graph> {
        let known = ["bolt://", "bolt+s://", "bolt+ssc://"];
        if !known.iter().any(|scheme| self.uri.starts_with(scheme)) || self.uri.contains('@') {
            // Routing is unfinished in the client, and a password has its own place.
            return Err(neo4rs::Error::InvalidConfig);
        }
        let config = ConfigBuilder::default()
            .uri(&self.uri)
            .user(&self.user)
            .password(&self.password)
            .fetch_size(FETCHED);
        let config = match &self.authority {
            Some(file) => config.with_client_certificate(file),
            None => config,
        };
        Graph::connect(config.build()?)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A password in the address is refused when it is used, and must not be shown until then.
        let address = self
            .uri
            .rsplit_once('@')
            .map_or(&*self.uri, |(_, host)| host);
        f.debug_struct("Options")
            .field("uri", &address)
            .field("user", &self.user)
            .field("authority", &self.authority)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_holds_no_password() {
        let options = Options::at("bolt://me:hush@db:7687").with_user("me", "secret");
        let shown = format!("{options:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("secret"),
            "{shown}"
        );
        let refused = options.connect().err().map(|error| error.to_string());
        assert_eq!(refused.as_deref(), Some("invalid config"));
    }

    #[test]
    fn a_namespace_is_plain() {
        let of = |name: &str| Options::at("bolt://db").in_namespace(name);
        assert_eq!(of("blue_2").namespace(), Some("blue_2"));
        for wrong in ["", "a`b", "a b", "ä", &"a".repeat(33)] {
            assert_eq!(of(wrong).namespace(), None, "{wrong}");
        }
    }
}
