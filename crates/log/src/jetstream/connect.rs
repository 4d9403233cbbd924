//! Connecting: credentials, and the proofs that the servers are what the log needs.
//!
//! **Invariant:** no node that may keep a commit is taken on trust: each says in its monitoring that it syncs always.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use serde::Deserialize;

use super::ask::Cause;
use super::options::{Credentials, Options, without_secret};
use crate::OpenError;

/// The oldest server that keeps the promises; older ones ignore silently what they do not know.
pub const SERVER_MIN: (u64, u64) = (2, 15);
/// For one connection, one request, or one acknowledgement; whoever asks tries again until its own deadline.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Between two tries to reconnect.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The nodes whose durability is proven, name by id.
pub(super) type Proven = BTreeMap<String, String>;

pub(crate) async fn connect(options: &Options) -> Result<Client, OpenError> {
    let fail = |source| unreachable(&options.servers, source);
    let servers: Result<Vec<ServerAddr>, _> =
        options.servers.iter().map(|url| url.parse()).collect();
    let servers = servers.map_err(|_| OpenError::Option {
        name: "servers",
        wanted: "nats://HOST:PORT",
    })?;
    let settings = with_credentials(settings(options), &options.credentials).await?;
    let client = settings
        .connect(servers)
        .await
        .map_err(|error| fail(error.into()))?;
    let info = client.server_info();
    check_version(&info.server_name, &info.version)?;
    Ok(client)
}

fn unreachable(servers: &[String], source: Cause) -> OpenError {
    let servers: Vec<String> = servers.iter().map(|url| without_secret(url)).collect();
    OpenError::Unreachable {
        servers: servers.join(", "),
        source,
    }
}

fn settings(options: &Options) -> ConnectOptions {
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
        .event_callback(|event| async move { tell(&event) });
    if options.tls.is_required {
        settings = settings.require_tls(true);
    }
    if let Some(path) = &options.tls.authority {
        settings = settings.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &options.tls.identity {
        settings = settings.add_client_certificate(certificate.clone(), key.clone());
    }
    settings
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
            settings
                .credentials_file(path)
                .await
                .map_err(|source| OpenError::Store {
                    path: path.clone(),
                    source: source.into(),
                })?
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
    let client = reqwest::Client::builder()
        .timeout(ANSWER_MAX)
        .no_proxy()
        .build()
        .map_err(|error| unproven("", error.into()))?;
    let mut proven = Proven::new();
    for monitor in &options.monitors {
        match ask(&client, monitor).await {
            Ok(node) => {
                proven.insert(node.server_id, node.server_name);
            }
            Err(error @ (OpenError::Unproven { .. } | OpenError::NotSynced { .. }))
                if options.allow_volatile =>
            {
                tracing::warn!(%error, "the log may lose what it has acknowledged");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(proven)
}

fn unproven(monitor: &str, source: Cause) -> OpenError {
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
