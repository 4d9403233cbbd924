//! Where a Neo4j server is, and who asks it.
//!
//! **Never:** a password in a log line or an error.

use std::fmt;
use std::path::{Path, PathBuf};

use neo4rs::{ConfigBuilder, Graph};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::Error;

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
    identity: Option<(PathBuf, PathBuf)>,
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
            identity: None,
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

    /// With `bolt+s`: shows this certificate, a PEM file beside that of its key.
    pub fn with_identity(self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            identity: Some((certificate.into(), key.into())),
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

    /// What the client would take without a word, or with words that name no setting.
    pub(super) fn check(&self) -> Result<(), Error> {
        let is = |scheme: &str| self.uri.starts_with(scheme);
        let names_files = self.authority.is_some() || self.identity.is_some();
        // Routing is unfinished in the client.
        let is_known = ["bolt://", "bolt+s://", "bolt+ssc://"].into_iter().any(is);
        let wrong = match () {
            () if self.uri.contains('@') => {
                "a user has places of its own, `graph.user` and `graph.password`, and not in `graph.url`"
            }
            () if !is_known => "`graph.url` must be bolt://HOST:PORT or bolt+s://HOST:PORT",
            () if names_files && !is("bolt+s://") => {
                "`graph.ca` or `graph.certificate` is named, so `graph.url` must begin with bolt+s://"
            }
            () => return self.check_files(),
        };
        Err(Error::options(wrong))
    }

    /// The client passes over what it cannot read in them, or ends the process.
    fn check_files(&self) -> Result<(), Error> {
        if let Some(file) = &self.authority {
            hold("graph.ca", file, CertificateDer::from_pem_file(file))?;
        }
        if let Some((certificate, key)) = &self.identity {
            hold(
                "graph.certificate",
                certificate,
                CertificateDer::from_pem_file(certificate),
            )?;
            hold("graph.key", key, PrivateKeyDer::from_pem_file(key))?;
        }
        Ok(())
    }

    /// Connections are made when they are needed. The caller is within a runtime, and has checked.
    pub(super) fn connect(&self) -> neo4rs::Result<Graph> {
        let config = ConfigBuilder::default()
            .uri(&self.uri)
            .user(&self.user)
            .password(&self.password)
            .fetch_size(FETCHED);
        let config = match (&self.authority, &self.identity) {
            (authority, Some((certificate, key))) => {
                config.with_mutual_tls_validation(authority.as_ref(), certificate, key)
            }
            (Some(file), None) => config.with_client_certificate(file),
            (None, None) => config,
        };
        Graph::connect(config.build()?)
    }
}

fn hold<T>(key: &str, file: &Path, read: Result<T, pem::Error>) -> Result<(), Error> {
    let file = file.display();
    let unusable = |why| format!("`{key}` names {file}, which cannot be used: {why}");
    read.map(drop).map_err(|why| Error::options(unusable(why)))
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
            .field("identity", &self.identity)
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
        let refused = options.check().unwrap_err().to_string();
        assert!(
            refused.contains("`graph.password`") && !refused.contains("hush"),
            "{refused}"
        );
    }

    #[test]
    fn files_for_no_tls_and_files_that_are_none_are_refused_by_their_key() {
        let of = |uri: &str| Options::at(uri).with_authority("absent.pem");
        for uri in ["bolt://db", "bolt+ssc://db"] {
            let refused = of(uri).check().unwrap_err().to_string();
            assert!(refused.contains("begin with bolt+s://"), "{refused}");
        }
        let absent = of("bolt+s://db").check().unwrap_err().to_string();
        assert!(absent.contains("`graph.ca` names absent.pem"), "{absent}");
        let key = Options::at("bolt+s://db").with_identity(file!(), "absent.key");
        let refused = key.check().unwrap_err().to_string();
        assert!(refused.contains("`graph.certificate`"), "{refused}");
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
