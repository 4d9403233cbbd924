//! From the configuration to the options of each server; without an address there is none.

use std::path::PathBuf;
use std::sync::Arc;

use mirage_api::error::Problem;
use mirage_log::evidence::s3;
use mirage_log::jetstream;
use mirage_projections::catalog::Catalog;
use mirage_projections::graph::Graph;
use mirage_projections::meilisearch::{self, Meilisearch};
use mirage_projections::search::Search;
use mirage_projections::{
    Home, Neo4j, Neo4jOptions, Postgres, PostgresOptions, Projection, Registered,
};

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
        bytes_max: config
            .parsed("log.max_bytes")
            .unwrap_or(jetstream::Options::default().bytes_max),
        monitors: names(config.list("log.monitors")),
        allow_volatile: config.get("log.allow_volatile") == Some("true"),
        credentials: credentials(config),
        tls: jetstream::Tls {
            authority: path(config, "log.ca"),
            identity: identity(config, "log"),
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

/// The bucket of evidence, if there is one; `index` is where this node keeps what it knows of it.
pub(crate) fn evidence(config: &Config, index: PathBuf) -> Option<s3::Options> {
    let (bucket, endpoint) = (
        text(config, "evidence.bucket")?,
        text(config, "evidence.endpoint"),
    );
    let key = |name| text(config, name).unwrap_or_default();
    let of = s3::Options::of(
        &bucket,
        &key("evidence.access_key"),
        &key("evidence.secret_key"),
    );
    Some(s3::Options {
        region: key("evidence.region"),
        prefix: key("evidence.prefix"),
        ca: path(config, "evidence.ca"),
        // Whoever writes `http` means it.
        allows_http: endpoint
            .as_deref()
            .is_some_and(|url| url.starts_with("http://")),
        endpoint,
        index: Some(index),
        ..of
    })
}

/// Where the builds of a view lie, if that is a server.
pub(crate) fn home(config: &Config, view: &Registered) -> Result<Option<Arc<dyn Home>>, Problem> {
    match view.name {
        Catalog::NAME => catalog(config),
        Graph::NAME => graph(config),
        Search::NAME => search(config),
        _ => Ok(None),
    }
}

fn catalog(config: &Config) -> Result<Option<Arc<dyn Home>>, Problem> {
    let Some(url) = text(config, "catalog.url") else {
        return Ok(None);
    };
    let options = PostgresOptions {
        url,
        password: text(config, "catalog.password"),
        ca_file: path(config, "catalog.ca"),
        certificate: identity(config, "catalog"),
        reader: text(config, "catalog.reader"),
        ..PostgresOptions::default()
    };
    Ok(Some(Arc::new(Postgres::new(&options)?)))
}

fn graph(config: &Config) -> Result<Option<Arc<dyn Home>>, Problem> {
    let Some(url) = text(config, "graph.url") else {
        return Ok(None);
    };
    let mut options = Neo4jOptions::at(url);
    if let Some(password) = text(config, "graph.password") {
        let user = text(config, "graph.user").unwrap_or_default();
        options = options.with_user(user, password);
    }
    if let Some(file) = path(config, "graph.ca") {
        options = options.with_authority(file);
    }
    if let Some((certificate, key)) = identity(config, "graph") {
        options = options.with_identity(certificate, key);
    }
    Ok(Some(Arc::new(Neo4j::at(&options)?)))
}

fn search(config: &Config) -> Result<Option<Arc<dyn Home>>, Problem> {
    match text(config, "search.url") {
        Some(url) => {
            let options = meilisearch::Options {
                ca: path(config, "search.ca"),
                ..meilisearch::Options::new(url, text(config, "search.key"))
            };
            let home = Meilisearch::new(options);
            let home = home.map_err(|fault| Problem::of("bad_config", &fault))?;
            Ok(Some(Arc::new(home)))
        }
        None => Ok(None),
    }
}

fn text(config: &Config, name: &str) -> Option<String> {
    let value = config.get(name).filter(|value| !value.is_empty());
    value.map(str::to_owned)
}

fn path(config: &Config, name: &str) -> Option<PathBuf> {
    text(config, name).map(PathBuf::from)
}

/// A certificate and its key; one file may hold both.
fn identity(config: &Config, part: &str) -> Option<(PathBuf, PathBuf)> {
    let certificate = path(config, &format!("{part}.certificate"))?;
    let key = path(config, &format!("{part}.key"));
    let key = key.unwrap_or_else(|| certificate.clone());
    Some((certificate, key))
}

fn names(list: Vec<&str>) -> Vec<String> {
    list.into_iter().map(str::to_owned).collect()
}
