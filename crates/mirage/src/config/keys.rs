//! The table of configuration keys: name, form, flag, default, help.
//!
//! Settings of modules follow their manifests.

use std::net::SocketAddr;

use ipnet::IpNet;
use mirage_workers::collectors;
use mirage_workers::probe::proxy::Proxy;

use crate::cli::{suggest, time};

/// What a key's value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    /// Text that is never shown.
    Secret,
    Truth,
    /// A whole number, and the greatest.
    Number(u64),
    Span,
    Choice(&'static [&'static str]),
    /// The rest are lists, separated by commas.
    Names,
    Ports,
    Resolvers,
    Networks,
    Proxy,
}

impl Form {
    /// Whether a text is such a value; the error says what one looks like.
    pub(super) fn check(self, text: &str) -> Result<(), String> {
        let each = |is_fit: &dyn Fn(&str) -> bool, what: &str| {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            match items.into_iter().find(|item| !is_fit(item)) {
                Some(item) => Err(format!("`{item}` is no {what}")),
                None => Ok(()),
            }
        };
        match self {
            Self::Text | Self::Secret | Self::Names => Ok(()),
            Self::Truth if ["true", "false"].contains(&text) => Ok(()),
            Self::Truth => Err(format!("`{text}` is neither true nor false")),
            Self::Number(max) => match text.parse::<u64>() {
                Ok(number) if number <= max => Ok(()),
                _ => Err(format!("`{text}` is no whole number up to {max}")),
            },
            Self::Span => time::span(text).map(|_| ()),
            Self::Choice(all) if all.contains(&text) => Ok(()),
            Self::Choice(all) => Err(format!("`{text}` is none of {}", all.join(", "))),
            Self::Ports => each(
                &|item| is_ports(item),
                "port or range of ports, such as 443 or 8000-8100",
            ),
            Self::Resolvers => each(
                &|item| item.parse::<SocketAddr>().is_ok(),
                "IP:PORT, such as 192.0.2.53:53",
            ),
            Self::Networks => each(
                &|item| item.parse::<IpNet>().is_ok(),
                "CIDR, such as 10.0.0.0/8",
            ),
            // The text may hold a password: it is not repeated.
            Self::Proxy => Proxy::parse(text)
                .map(|_| ())
                .map_err(|error| error.to_string()),
        }
    }

    /// The choice that was meant.
    pub(super) fn nearest(self, text: &str) -> Option<String> {
        match self {
            Self::Choice(all) => suggest::nearest(text, all.iter().copied()).map(suggest::question),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Secret => "text, never shown".into(),
            Self::Truth => "true|false".into(),
            Self::Number(_) => "number".into(),
            Self::Span => "time (30s, 10m, 2h)".into(),
            Self::Choice(all) => all.join("|"),
            Self::Names => "names, by commas".into(),
            Self::Ports => "ports, by commas".into(),
            Self::Resolvers => "IP:PORT, by commas".into(),
            Self::Networks => "CIDRs, by commas".into(),
            Self::Proxy => "URL of an http or socks5 proxy".into(),
        }
    }
}

fn is_ports(item: &str) -> bool {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match item.split_once('-') {
        None => port(item).is_some(),
        Some((first, last)) => {
            matches!((port(first), port(last)), (Some(first), Some(last)) if first <= last)
        }
    }
}

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// With dots, as in the file: `scan.profile`.
    pub(crate) name: String,
    pub(crate) form: Form,
    /// The long flag that sets it, which is also its name in the clap tree.
    pub(crate) flag: Option<&'static str>,
    pub(crate) default: Option<String>,
    pub(crate) is_secret: bool,
    pub(crate) help: &'static str,
}

impl Key {
    /// `MIRAGE_SCAN_PROFILE` for `scan.profile`.
    pub(crate) fn variable(&self) -> String {
        format!(
            "MIRAGE_{}",
            self.name.replace(['.', '-'], "_").to_uppercase()
        )
    }
}

const FORMS: &[&str] = &["table", "json", "jsonl", "csv", "key"];
const COLORS: &[&str] = &["auto", "always", "never"];
const PROFILES: &[&str] = &["passive", "standard", "active"];

type Line = (
    &'static str,
    Form,
    Option<&'static str>,
    Option<&'static str>,
    &'static str,
);

/// Name, form, flag, default, help; sorted by name.
#[rustfmt::skip]
const FIXED: &[Line] = &[
    ("catalog.ca", Form::Text, None, None, "File of certificates that sign the server's"),
    ("catalog.certificate", Form::Text, None, None, "File of this program's certificate"),
    ("catalog.key", Form::Text, None, None, "File of the certificate's key"),
    ("catalog.password", Form::Secret, None, None, "Password of the catalog's server"),
    ("catalog.reader", Form::Text, None, None, "PostgreSQL's role in which questions are asked, so that row-level security holds them"),
    ("catalog.url", Form::Text, None, None, "PostgreSQL for the catalog, postgres://USER@HOST:PORT/DATABASE, instead of a file"),
    ("color", Form::Choice(COLORS), Some("color"), Some("auto"), "When to use colour"),
    ("data", Form::Text, Some("data"), None, "The data directory"),
    ("evidence.access_key", Form::Text, None, None, "Access key of the bucket"),
    ("evidence.bucket", Form::Text, None, None, "Bucket for evidence, instead of the data directory"),
    ("evidence.ca", Form::Text, None, None, "File of certificates that sign the server's"),
    ("evidence.endpoint", Form::Text, None, None, "S3 for evidence, https://HOST:PORT"),
    ("evidence.prefix", Form::Text, None, Some("evidence"), "First part of each object's name"),
    ("evidence.region", Form::Text, None, Some("us-east-1"), "Region of the bucket"),
    ("evidence.secret_key", Form::Secret, None, None, "Secret key of the bucket"),
    ("graph.ca", Form::Text, None, None, "File of certificates that sign the server's"),
    ("graph.certificate", Form::Text, None, None, "File of this program's certificate"),
    ("graph.key", Form::Text, None, None, "File of the certificate's key"),
    ("graph.password", Form::Secret, None, None, "Password of the graph's server"),
    ("graph.url", Form::Text, None, None, "Neo4j for the graph, bolt://HOST:PORT, instead of a file"),
    ("graph.user", Form::Text, None, Some("neo4j"), "User of the graph's server"),
    ("log.allow_volatile", Form::Truth, Some("allow_volatile_log"), Some("false"), "Take a log that may lose what it has acknowledged"),
    ("log.ca", Form::Text, None, None, "File of certificates that sign the servers'"),
    ("log.certificate", Form::Text, None, None, "File of this program's certificate"),
    ("log.credentials", Form::Text, None, None, "A .creds file: token and seed"),
    ("log.key", Form::Text, None, None, "File of the certificate's key"),
    ("log.max_bytes", Form::Number(u64::MAX), None, Some("8589934592"), "Bytes after which the log takes no more"),
    ("log.monitors", Form::Names, None, None, "Monitoring of each node, http://HOST:8222, where it proves that it syncs always"),
    ("log.name", Form::Text, None, Some("mirage"), "Name of the log on its servers"),
    ("log.nkey", Form::Secret, None, None, "Seed of an nkey"),
    ("log.password", Form::Secret, None, None, "Password of the log's servers"),
    ("log.replicas", Form::Number(5), None, Some("1"), "Copies of each commit: 1, 3 or 5"),
    ("log.servers", Form::Names, None, None, "NATS servers of the log, nats://HOST:PORT, instead of a file"),
    ("log.token", Form::Secret, None, None, "Token of the log's servers"),
    ("log.user", Form::Text, None, None, "User of the log's servers"),
    ("notify.allow_private", Form::Networks, None, None, "Private ranges in which subscribers may be spoken to"),
    ("notify.resolver", Form::Resolvers, None, None, "DNS servers instead of the system's"),
    ("output", Form::Choice(FORMS), Some("output"), Some("table"), "The form of the output"),
    ("scan.allow_private", Form::Networks, Some("allow_private"), None, "Private ranges that a scan may contact"),
    ("scan.depth", Form::Number(mirage_domain::scan::DEPTH_MAX as u64), Some("depth"), None, "Longest chain from a seed"),
    ("scan.exclude", Form::Names, Some("exclude"), None, "Modules that do not run"),
    ("scan.max_requests", Form::Number(u64::MAX), Some("max_requests"), None, "Requests of one scan at most"),
    ("scan.max_time", Form::Span, Some("max_time"), None, "Time of one scan at most"),
    ("scan.modules", Form::Names, Some("modules"), None, "Only these modules run"),
    ("scan.ports", Form::Ports, Some("ports"), None, "The ports that are scanned"),
    ("scan.profile", Form::Choice(PROFILES), Some("profile"), Some("standard"), "How far a scan goes"),
    ("scan.proxy", Form::Proxy, Some("proxy"), None, "The proxy through which HTTP goes"),
    ("scan.rate", Form::Number(100_000), Some("rate"), None, "Requests per second to one host at most"),
    ("scan.resolver", Form::Resolvers, Some("resolver"), None, "DNS servers instead of the system's"),
    ("scan.user_agent", Form::Text, Some("user_agent"), None, "How the scan introduces itself to web servers"),
    ("search.ca", Form::Text, None, None, "File of certificates that sign the server's"),
    ("search.key", Form::Secret, None, None, "API key of the search's server"),
    ("search.url", Form::Text, None, None, "Meilisearch for the search, http://HOST:PORT, instead of a file"),
    ("serve.certificate", Form::Text, None, None, "File of the listener's certificate and its chain, in PEM; without one it speaks no TLS"),
    ("serve.clients", Form::Text, None, None, "File of authorities of which each client must show a certificate"),
    ("serve.key", Form::Text, None, None, "File of the certificate's key"),
    ("serve.lease", Form::Span, None, Some("30s"), "Silence after which a task goes to another node; the same wherever the log is used"),
    ("serve.listen", Form::Text, Some("listen"), Some("127.0.0.1:8640"), "Where a node tells how it is, ADDRESS:PORT"),
    ("serve.oidc_ca", Form::Text, None, None, "File of certificates that sign the issuer's, beside those of the system"),
    ("serve.oidc_client_id", Form::Text, None, None, "How the issuer calls this server"),
    ("serve.oidc_issuer", Form::Text, None, None, "Issuer of OpenID Connect by whose word users sign in, https://HOST/PATH as it names itself"),
    ("serve.oidc_label", Form::Text, None, Some("OpenID Connect"), "What the console writes on the button for it"),
    ("serve.oidc_landing", Form::Text, None, None, "Path of the console's page to which the browser comes back, such as /; without one it gets JSON"),
    ("serve.oidc_redirect", Form::Text, None, None, "Public address of this gateway, https://HOST:PORT, to which the issuer sends browsers back"),
    ("serve.oidc_secret", Form::Secret, None, None, "Secret that the issuer gave this server; without one it is a public client"),
    ("serve.proxies", Form::Networks, None, None, "Proxies whose X-Forwarded-For is believed"),
    ("serve.rate_address", Form::Number(1_000_000), None, Some("400"), "Requests per second of one address, in the long run"),
    ("serve.rate_caller", Form::Number(1_000_000), None, Some("200"), "Requests per second of one API key or user"),
    ("serve.rate_workspace", Form::Number(1_000_000), None, Some("1000"), "Requests per second of one workspace"),
    ("serve.roles", Form::Names, Some("role"), Some("all"), "What a node does: orchestrate, collect, notify, project, api"),
    ("serve.tasks", Form::Number(1024), Some("tasks"), Some("32"), "Tasks that a collecting node runs at once"),
    ("server.api_key", Form::Secret, None, None, "API key of the server that is asked; `mirage api-keys issue` makes one"),
    ("server.ca", Form::Text, None, None, "File of certificates that sign the server's"),
    ("server.url", Form::Text, Some("server"), None, "Ask the gateway at https://HOST:PORT instead of a data directory"),
    ("timeout", Form::Span, Some("timeout"), None, "Give up waiting after this time"),
    ("traces.headers", Form::Secret, None, None, "Headers for the collector of traces, NAME=VALUE, separated by commas"),
    ("traces.url", Form::Text, None, None, "Collector of traces that takes OTLP over HTTP, http://HOST:4318"),
    ("workspace", Form::Text, Some("workspace"), Some("default"), "The workspace"),
];

/// Every key: the fixed ones, and `modules.NAME.KEY` for each setting of a module.
pub(super) fn all() -> impl Iterator<Item = Key> {
    let fixed = FIXED.iter().map(|&(name, form, flag, default, help)| Key {
        name: name.to_owned(),
        form,
        flag,
        default: default.map(str::to_owned),
        is_secret: form == Form::Secret,
        help,
    });
    let of_modules = collectors::ALL.iter().flat_map(|collector| {
        let manifest = collector.manifest();
        manifest.settings.iter().map(|setting| Key {
            name: format!("modules.{}.{}", manifest.name, setting.key),
            form: Form::Text,
            flag: None,
            default: Some(setting.default.to_owned()),
            is_secret: setting.is_secret,
            help: setting.help,
        })
    });
    fixed.chain(of_modules)
}

#[cfg(test)]
mod tests {
    use mirage_domain::module::Profile;

    use super::*;

    #[test]
    fn keys_are_sorted_and_their_defaults_fit() {
        assert!(FIXED.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for key in all() {
            let default = key.default.as_deref().unwrap_or_default();
            let is_fit = key.default.is_none() || key.form.check(default).is_ok();
            assert!(is_fit && !key.help.is_empty(), "{key:?}");
        }
    }

    #[test]
    fn every_profile_can_be_chosen() {
        assert!(
            Profile::ALL
                .iter()
                .map(|profile| profile.as_str())
                .eq(PROFILES.iter().copied())
        );
    }

    #[test]
    fn values_are_held_against_their_form() {
        assert!(Form::Ports.check("80,443,8000-8100").is_ok());
        for text in ["0", "70000", "443-80", "http", "80-"] {
            assert!(Form::Ports.check(text).is_err(), "{text}");
        }
        assert!(Form::Resolvers.check("192.0.2.53").is_err());
        assert!(Form::Networks.check("10.0.0.0/8, fc00::/7").is_ok());
        assert!(Form::Number(64).check("65").is_err());
    }
}
