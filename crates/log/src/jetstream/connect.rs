//! Connecting: credentials, and the proofs that the servers are what the log needs.
//!
//! **Invariant:** no node that may keep a commit is taken on trust: each says in its monitoring that it syncs always.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, ConnectError, ConnectErrorKind, ConnectOptions, Event, ServerAddr};
use serde::Deserialize;

use super::ask::Cause;
use super::options::{Credentials, Options, without_secret};
use crate::OpenError;
use crate::tls::Trouble;

/// The oldest server that keeps the promises; older ones ignore silently what they do not know.
pub const SERVER_MIN: (u64, u64) = (2, 15);
/// For one connection, one request, or one acknowledgement; whoever asks tries again until its own deadline.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Between two tries to reconnect.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The nodes whose durability is proven, name by id.
pub(super) type Proven = BTreeMap<String, String>;

pub(crate) async fn connect(options: &Options) -> Result<Client, OpenError> {
    let servers: Option<Vec<ServerAddr>> = options.servers.iter().map(|url| address(url)).collect();
    let servers = servers.ok_or(OpenError::Option {
        name: "servers",
        wanted: "nats://HOST:PORT or tls://HOST:PORT, and a user has a place of its own: `log.user`, `log.token`",
    })?;
    let settings = with_credentials(settings(options)?, &options.credentials).await?;
    let connected = settings.connect(servers).await;
    let client = connected.map_err(|error| refused(options, error))?;
    let info = client.server_info();
    check_version(&info.server_name, &info.version)?;
    Ok(client)
}

/// The client reads no user out of an address, and its logs show it.
fn address(url: &str) -> Option<ServerAddr> {
    let address: ServerAddr = url.parse().ok()?;
    let is_known = ["nats", "tls"].contains(&address.scheme());
    (is_known && address.username().is_none() && address.password().is_none()).then_some(address)
}

fn refused(options: &Options, error: ConnectError) -> OpenError {
    let servers = options.servers.iter().map(|url| without_secret(url));
    let servers = servers.collect::<Vec<_>>().join(", ");
    match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            OpenError::Refused {
                fix: options.credentials.fix(),
                source: error.into(),
            }
        }
        _ => match Trouble::of(&error) {
            Some(trouble) => OpenError::Tls {
                server: servers,
                fix: trouble.fix("log", "servers"),
                source: error.into(),
            },
            None => OpenError::Unreachable {
                servers,
                source: error.into(),
            },
        },
    }
}

fn settings(options: &Options) -> Result<ConnectOptions, OpenError> {
    let mut settings = ConnectOptions::new()
        .name("mirage")
        .connection_timeout(ANSWER_MAX)
        .request_timeout(Some(ANSWER_MAX))
        .ping_interval(Duration::from_secs(5))
        .max_reconnects(None)
        .reconnect_delay_callback(|tries| {
            let pause = Duration::from_millis(20).saturating_mul(1 << tries.min(8));
            pause.min(RECONNECT_PAUSE_MAX)
        })
        .event_callback(|event| async move { tell(&event) })
        // Also of those that a server tells of: their addresses do not say `tls://`.
        .require_tls(options.requires_tls());
    if let Some(path) = &options.tls.authority {
        read("log.ca", path)?;
        settings = settings.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &options.tls.identity {
        read("log.certificate", certificate)?;
        read("log.key", key)?;
        settings = settings.add_client_certificate(certificate.clone(), key.clone());
    }
    Ok(settings)
}

/// A file that the configuration names; the client would not say which one is missing.
fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, OpenError> {
    std::fs::read(path).map_err(|error| unusable(key, path, error.into()))
}

fn unusable(key: &'static str, path: &Path, source: Cause) -> OpenError {
    let path = path.to_owned();
    OpenError::File { key, path, source }
}

async fn with_credentials(
    settings: ConnectOptions,
    credentials: &Credentials,
) -> Result<ConnectOptions, OpenError> {
    Ok(match credentials {
        Credentials::None => settings,
        Credentials::Password { user, password } => {
            settings.user_and_password(user.clone(), password.clone())
        }
        Credentials::Token(token) => settings.token(token.clone()),
        Credentials::Nkey(seed) => settings.nkey(seed.clone()),
        Credentials::File(path) => {
            let read = settings.credentials_file(path).await;
            read.map_err(|error| unusable("log.credentials", path, error.into()))?
        }
    })
}

/// What the client goes through by itself; readers and writers ask again until their own deadline.
fn tell(event: &Event) {
    match event {
        Event::Connected => tracing::info!("connected to the log's server"),
        Event::SlowConsumer(subscription) => {
            tracing::warn!(
                subscription,
                "messages of the log were dropped and are read again"
            );
        }
        event => tracing::warn!(%event, "the connection to the log's server"),
    }
}

/// Whether a server of this version keeps the promises.
pub(super) fn check_version(server: &str, found: &str) -> Result<(), OpenError> {
    match parse_version(found) {
        Some(version) if version >= SERVER_MIN => Ok(()),
        _ => Err(OpenError::ServerTooOld {
            server: server.to_owned(),
            found: found.to_owned(),
            wanted: SERVER_MIN,
        }),
    }
}

/// Major and minor of `2.15.2`, `v2.15.0-RC.1`.
fn parse_version(text: &str) -> Option<(u64, u64)> {
    let mut parts = text.trim_start_matches('v').split('.');
    let mut number = || parts.next()?.parse().ok();
    Some((number()?, number()?))
}

/// A context whose acknowledgements and answers are waited for [`ANSWER_MAX`].
pub(super) async fn context(client: Client) -> Result<jetstream::Context, OpenError> {
    let context = ContextBuilder::new().timeout(ANSWER_MAX).build(client);
    let server = context.client().server_info().server_name;
    match context.query_account().await {
        Ok(_) => Ok(context),
        Err(source) => Err(OpenError::NoJetStream {
            server,
            source: source.into(),
        }),
    }
}

#[derive(Deserialize)]
struct Node {
    server_id: String,
    server_name: String,
    version: String,
    #[serde(default)]
    jetstream: Store,
}

#[derive(Deserialize, Default)]
struct Store {
    #[serde(default)]
    config: Config,
}

#[derive(Deserialize, Default)]
struct Config {
    /// Absent where it is false.
    #[serde(default)]
    sync_always: bool,
}

/// Asks the monitoring of every node. Where a volatile log is allowed, those that fail are told and passed over.
pub(super) async fn prove(options: &Options) -> Result<Proven, OpenError> {
    let mut client = reqwest::Client::builder().timeout(ANSWER_MAX).no_proxy();
    if let Some(path) = &options.tls.authority {
        let authorities = reqwest::Certificate::from_pem_bundle(&read("log.ca", path)?);
        let authorities = authorities.map_err(|error| unusable("log.ca", path, error.into()))?;
        client = client.tls_certs_only(authorities);
    }
    let client = client.build().map_err(|error| unproven("", error.into()))?;
    let mut proven = Proven::new();
    for monitor in &options.monitors {
        match ask(&client, monitor).await {
            Ok(node) => {
                proven.insert(node.server_id, node.server_name);
            }
            Err(
                error @ (OpenError::Unproven { .. }
                | OpenError::Tls { .. }
                | OpenError::NotSynced { .. }),
            ) if options.allow_volatile => {
                tracing::warn!(%error, "the log may lose what it has acknowledged");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(proven)
}

fn unproven(monitor: &str, source: Cause) -> OpenError {
    if let Some(trouble) = Trouble::of(&*source) {
        return OpenError::Tls {
            server: without_secret(monitor),
            fix: trouble.fix("log", "monitors"),
            source,
        };
    }
    OpenError::Unproven {
        node: without_secret(monitor),
        source: Some(source),
    }
}

/// One node that says by itself that it syncs always.
async fn ask(client: &reqwest::Client, monitor: &str) -> Result<Node, OpenError> {
    let fail = |error: reqwest::Error| unproven(monitor, error.without_url().into());
    let url = format!("{}/varz", monitor.trim_end_matches('/'));
    let answer = client.get(url).send().await.map_err(fail)?;
    let bytes = answer.error_for_status().map_err(fail)?.bytes().await;
    let node: Node = serde_json::from_slice(&bytes.map_err(fail)?)
        .map_err(|error| unproven(monitor, error.into()))?;
    check_version(&node.server_name, &node.version)?;
    match node.jetstream.config.sync_always {
        true => Ok(node),
        false => Err(OpenError::NotSynced {
            node: node.server_name,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_before_2_15_is_refused_with_what_to_do() {
        for found in ["2.9.10", "2.10.27", "2.14.9", "1.20.0", "", "x", "2"] {
            let error = check_version("n1", found).unwrap_err();
            assert!(error.to_string().contains("2.15"), "{error}");
        }
        for found in ["2.15.0", "2.15.2", "v2.16.0-RC.1", "3.0.0"] {
            assert!(check_version("n1", found).is_ok(), "{found}");
        }
    }
}
