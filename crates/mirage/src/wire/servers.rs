//! From the configuration to the options of each server; a part without an address lies in the data directory.

use std::path::PathBuf;

use mirage_log::jetstream;

use crate::config::Config;

/// The log's servers, if there are any.
pub(crate) fn log(config: &Config) -> Option<jetstream::Options> {
    let servers = names(config.list("log.servers"));
    if servers.is_empty() {
        return None;
    }
    let name = text(config, "log.name").unwrap_or_default();
    Some(jetstream::Options {
        servers,
        prefix: name.clone(),
        name,
        replicas: config.parsed("log.replicas").unwrap_or(1),
        bytes_max: config.parsed("log.max_bytes").unwrap_or(u64::MAX),
        monitors: names(config.list("log.monitors")),
        allow_volatile: config.get("log.allow_volatile") == Some("true"),
        credentials: credentials(config),
        tls: jetstream::Tls {
            is_required: false,
            authority: path(config, "log.ca"),
            identity: path(config, "log.certificate").zip(path(config, "log.key")),
        },
    })
}

/// The first that is there: what one has set beside it is of no use to the server.
fn credentials(config: &Config) -> jetstream::Credentials {
    use jetstream::Credentials;
    if let Some(path) = path(config, "log.credentials") {
        return Credentials::File(path);
    }
    if let Some(seed) = text(config, "log.nkey") {
        return Credentials::Nkey(seed);
    }
    if let Some(token) = text(config, "log.token") {
        return Credentials::Token(token);
    }
    match text(config, "log.user") {
        Some(user) => Credentials::Password {
            user,
            password: text(config, "log.password").unwrap_or_default(),
        },
        None => Credentials::None,
    }
}

fn text(config: &Config, name: &str) -> Option<String> {
    let value = config.get(name).filter(|value| !value.is_empty());
    value.map(str::to_owned)
}

fn path(config: &Config, name: &str) -> Option<PathBuf> {
    text(config, name).map(PathBuf::from)
}

fn names(list: Vec<&str>) -> Vec<String> {
    list.into_iter().map(str::to_owned).collect()
}
