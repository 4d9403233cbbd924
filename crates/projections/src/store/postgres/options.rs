//! How a PostgreSQL server is reached, and as whom.
//!
//! **Never:** a secret in what is shown of it, or in an error.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use super::tls::Tls;
use crate::Error;

/// A server that does not answer by then is down; [`crate::Runner`] tries again.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Silence after which a connection is asked whether it still stands.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Longest name of a role.
const NAME_MAX: usize = 63;
/// Longest prefix: the name of a schema has 63 bytes, and view, version and build follow.
const PREFIX_MAX: usize = 20;

/// See the module's doc.
#[derive(Clone, Default)]
pub struct Options {
    /// `postgres://USER@HOST:PORT/DATABASE?sslmode=require`, or `host=… user=… dbname=…`.
    pub url: String,
    /// Where it does not stand in the URL.
    pub password: Option<String>,
    /// PEM: who may have signed the server's certificate; without it, whom the machine trusts.
    pub ca_file: Option<PathBuf>,
    /// PEM: a certificate of ours with its chain, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The role in which questions are asked, made and granted by the operator; if none is named, one of this program's
    /// own, where the user may make one.
    pub reader: Option<String>,
    /// What names of schemas begin with, so that several can share a database; `mirage` if empty.
    pub prefix: String,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("ca_file", &self.ca_file)
            .field("certificate", &self.certificate)
            .field("reader", &self.reader)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Options {
    pub(super) fn config(&self) -> Result<Config, Error> {
        // The parser's own words may repeat a part of the text, and so of a password.
        let parsed = self.url.parse::<Config>();
        let mut config = parsed.map_err(|_| Error::options("`catalog.url` cannot be read"))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(Error::options("`catalog.url` names no host"));
        }
        if let Some(password) = &self.password {
            config.password(password);
        }
        // Who names certificates wants them to count.
        let is_tls = self.ca_file.is_some() || self.certificate.is_some();
        match config.get_ssl_mode() {
            SslMode::Disable if is_tls => {
                return Err(Error::options(
                    "`catalog.ca` or `catalog.certificate` is named, and `catalog.url` says `sslmode=disable`",
                ));
            }
            SslMode::Prefer if is_tls => config.ssl_mode(SslMode::Require),
            _ => &mut config,
        };
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_MAX);
        }
        config
            .application_name("mirage")
            .keepalives_idle(SILENCE_MAX)
            .tcp_user_timeout(SILENCE_MAX);
        Ok(config)
    }

    pub(super) fn tls(&self, config: &Config) -> Result<Option<Tls>, Error> {
        match config.get_ssl_mode() {
            SslMode::Disable => Ok(None),
            _ => Tls::new(self.ca_file.as_deref(), self.certificate.as_ref()).map(Some),
        }
    }

    pub(super) fn reader(&self) -> Result<Option<&str>, Error> {
        match self.reader.as_deref() {
            Some(role)
                if role.is_empty() || role.len() > NAME_MAX || !role.bytes().all(is_plain) =>
            {
                let trouble = "`catalog.reader`: a role is at most 63 of `a-z0-9_`";
                Err(Error::options(trouble))
            }
            role => Ok(role),
        }
    }

    pub(super) fn prefix(&self) -> Result<String, Error> {
        match self.prefix.as_str() {
            "" => Ok("mirage".to_owned()),
            prefix if prefix.len() <= PREFIX_MAX && prefix.bytes().all(is_plain) => {
                Ok(prefix.to_owned())
            }
            _ => Err(Error::options("a prefix is at most 20 of `a-z0-9_`")),
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: &str) -> Options {
        Options {
            url: url.to_owned(),
            ..Options::default()
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let options = Options {
            password: Some("swordfish".to_owned()),
            ..with("postgres://me:swordfish@localhost/views")
        };
        assert!(!format!("{options:?}").contains("swordfish"));
        for wrong in ["postgres://me:swordfish@localhost?swordfish=1", "swordfish"] {
            let error = with(wrong).config().unwrap_err();
            let shown = format!("{error:?} {error}");
            assert!(!shown.contains("swordfish"), "{shown}");
        }
    }

    #[test]
    fn certificates_ask_for_tls() {
        let options = Options {
            ca_file: Some("ca.pem".into()),
            ..with("postgres://localhost")
        };
        assert_eq!(options.config().unwrap().get_ssl_mode(), SslMode::Require);
        let contrary = Options {
            ca_file: Some("ca.pem".into()),
            ..with("postgres://localhost?sslmode=disable")
        };
        assert!(contrary.config().is_err());
    }

    #[test]
    fn a_prefix_is_a_plain_name() {
        let prefix = |text: &str| {
            let options = Options {
                prefix: text.to_owned(),
                ..with("postgres://localhost")
            };
            options.prefix()
        };
        assert_eq!(prefix("").unwrap(), "mirage");
        assert_eq!(prefix("other_1").unwrap(), "other_1");
        for wrong in ["a\"b", "A", &"a".repeat(21)] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "a\"b", "A", &"a".repeat(64)] {
            let options = Options {
                reader: Some(wrong.to_owned()),
                ..with("postgres://localhost")
            };
            assert!(options.reader().is_err(), "{wrong}");
        }
    }
}
