//! How a log on JetStream is reached: servers, names, proofs, credentials.
//!
//! **Never:** a secret in `Debug`.

use std::fmt;
use std::path::PathBuf;

/// How the log is reached, and what it is made with where there is none.
#[derive(Clone)]
pub struct Options {
    /// `nats://HOST:PORT` or `tls://HOST:PORT`, without a user; the first that answers is used, the others after it.
    pub servers: Vec<String>,
    /// Of the JetStream stream; 1 to 64 letters, digits, `-` and `_`.
    pub name: String,
    /// First part of every subject, of the same form as the name; two logs of one server differ in both.
    pub prefix: String,
    /// Copies of each commit: 1, 3 or 5.
    pub replicas: usize,
    /// Bytes after which the log takes no more.
    pub bytes_max: u64,
    /// `http://HOST:PORT` of each node's monitoring: only there a node says whether it syncs before it acknowledges.
    pub monitors: Vec<String>,
    /// Takes a server that is not proven to keep what it has acknowledged; the log then says that it is not durable.
    pub allow_volatile: bool,
    pub credentials: Credentials,
    pub tls: Tls,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".into()],
            name: "mirage".into(),
            prefix: "mirage".into(),
            replicas: 1,
            bytes_max: 8 << 30,
            monitors: vec!["http://127.0.0.1:8222".into()],
            allow_volatile: false,
            credentials: Credentials::None,
            tls: Tls::default(),
        }
    }
}

/// How this program proves itself to the server, beside a client certificate.
#[derive(Clone, Default)]
pub enum Credentials {
    #[default]
    None,
    Password {
        user: String,
        password: String,
    },
    Token(String),
    /// The seed of an nkey.
    Nkey(String),
    /// A `.creds` file: token and seed.
    File(PathBuf),
}

impl Credentials {
    /// What to do where the servers refuse them.
    pub(super) fn fix(&self) -> &'static str {
        match self {
            Self::None => {
                "say who this is by `log.user` and `log.password`, `log.token`, `log.nkey` or `log.credentials`"
            }
            Self::Password { .. } => "correct `log.user` and `log.password`",
            Self::Token(_) => "correct `log.token`",
            Self::Nkey(_) => "correct `log.nkey`: a seed begins with SU",
            Self::File(_) => {
                "name another file in `log.credentials`: this one's token or seed is not, or no longer, good"
            }
        }
    }
}

/// Encryption; a server that asks for it gets it in any case. Who names a file here, or one address with `tls://`, is
/// connected to none of the servers in the clear.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Certificates that sign the servers', instead of the system's; those of their monitoring, too.
    pub authority: Option<PathBuf>,
    /// Certificate and key of this program.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Options {
    /// Whether a connection in the clear is refused.
    pub(super) fn requires_tls(&self) -> bool {
        self.tls.authority.is_some()
            || self.tls.identity.is_some()
            || self.servers.iter().any(|url| url.starts_with("tls://"))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Password { user, .. } => write!(f, "password of {user}"),
            Self::Token(_) => f.write_str("token"),
            Self::Nkey(_) => f.write_str("nkey"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = |urls: &[String]| {
            urls.iter()
                .map(|url| without_secret(url))
                .collect::<Vec<_>>()
        };
        f.debug_struct("Options")
            .field("servers", &open(&self.servers))
            .field("name", &self.name)
            .field("prefix", &self.prefix)
            .field("replicas", &self.replicas)
            .field("bytes_max", &self.bytes_max)
            .field("monitors", &open(&self.monitors))
            .field("allow_volatile", &self.allow_volatile)
            .field("credentials", &self.credentials)
            .field("tls", &self.tls)
            .finish()
    }
}

/// An address without the user and password that it may carry.
pub(super) fn without_secret(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("nats", url));
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(end) => rest.split_at(end),
        None => (rest, ""),
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}
