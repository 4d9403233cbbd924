//! What is asked for, read from flags and configuration and checked before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use mirage_api::error::Problem;
use mirage_domain::entity::Entity;
use mirage_domain::id::ModuleName;
use mirage_domain::module::{Manifest, Profile};
use mirage_domain::scan::{Limits, Origin};
use mirage_domain::scope::{RULES_MAX, Scope};
use mirage_workers::node::ScanRequest;
use mirage_workers::node::chosen::{self, NAME_BYTES_MAX, Unchosen, manifests};
use mirage_workers::settings::ScanSettings;

use super::super::suggest;
use super::Arguments;
use crate::config::Config;

/// The setting that `--ports` fills.
const PORTS: &str = "ports.ports";

/// The request, checked as a whole; consent is obtained after it.
pub(super) fn build(
    arguments: &Arguments,
    seeds: Vec<Entity>,
    config: &Config,
) -> Result<ScanRequest, Problem> {
    let profile = profile(config);
    let max_time = config.span("scan.max_time");
    Ok(ScanRequest {
        name: name(arguments.name.as_deref(), &seeds)?,
        profile,
        modules: modules(config, profile)?,
        scope: scope(&arguments.scope, &seeds)?,
        limits: Limits {
            depth: config.parsed("scan.depth"),
            requests: config.parsed("scan.max_requests"),
            time_s: max_time.map(|span| span.as_secs()),
        },
        consent: None,
        allow_private: private(config),
        settings: ScanSettings {
            modules: settings(&arguments.set, config)?,
            ..configured(config)
        },
        origin: Origin::NEW,
        seeds,
    })
}

/// The manifests of a request's modules.
pub(super) fn manifests_of(request: &ScanRequest) -> impl Iterator<Item = &'static Manifest> {
    let is_chosen = |manifest: &&Manifest| {
        request
            .modules
            .iter()
            .any(|module| module.as_str() == manifest.name)
    };
    manifests().filter(is_chosen)
}

/// What the configuration says about every scan.
pub(crate) fn configured(config: &Config) -> ScanSettings {
    ScanSettings {
        resolvers: parsed(&config.list("scan.resolver")),
        user_agent: config.get("scan.user_agent").map(str::to_owned),
        proxy: config.get("scan.proxy").map(str::to_owned),
        rate_per_host: config.parsed("scan.rate"),
        modules: of_modules(config),
    }
}

/// Private ranges that the configuration lets scans contact.
pub(crate) fn private(config: &Config) -> Vec<IpNet> {
    parsed(&config.list("scan.allow_private"))
}

/// List items that the configuration checked.
pub(crate) fn parsed<T: std::str::FromStr>(items: &[&str]) -> Vec<T> {
    items.iter().filter_map(|item| item.parse().ok()).collect()
}

fn profile(config: &Config) -> Profile {
    let name = config.get("scan.profile");
    let known = Profile::ALL
        .iter()
        .find(|profile| Some(profile.as_str()) == name);
    known.copied().unwrap_or_default()
}

fn name(given: Option<&str>, seeds: &[Entity]) -> Result<String, Problem> {
    match given {
        Some(name) if name.is_empty() || name.len() > NAME_BYTES_MAX => {
            let detail = format!(
                "a name has 1 to {NAME_BYTES_MAX} bytes, this one {}",
                name.len()
            );
            Err(Problem::new("usage", detail).try_this("choose another --name"))
        }
        Some(name) => Ok(name.to_owned()),
        None => Ok(chosen::name(seeds)),
    }
}

/// The modules of a profile, or the chosen ones, without the excluded ones.
fn modules(config: &Config, profile: Profile) -> Result<BTreeSet<ModuleName>, Problem> {
    let (chosen, excluded) = (config.list("scan.modules"), config.list("scan.exclude"));
    let modules = chosen::modules(&chosen, &excluded, profile);
    modules.map_err(|error| match &error {
        Unchosen::Unknown(name) => unknown(name, "unknown_module"),
        Unchosen::Profile { profile, .. } => {
            Problem::new("usage", &error).try_this(format!("add --profile {profile}"))
        }
    })
}

/// The manifest of a module; `code` is the public code where there is none.
pub(crate) fn manifest(name: &str, code: &str) -> Result<&'static Manifest, Problem> {
    manifests()
        .find(|manifest| manifest.name == name)
        .ok_or_else(|| unknown(name, code))
}

fn unknown(name: &str, code: &str) -> Problem {
    let problem = Problem::new(code, format!("`{name}`"));
    match suggest::nearest(name, manifests().map(|manifest| manifest.name)) {
        Some(word) => problem.try_this(suggest::question(word)),
        None => problem,
    }
}

fn scope(rules: &[String], seeds: &[Entity]) -> Result<Vec<String>, Problem> {
    if rules.len() > RULES_MAX {
        let detail = format!("{} rules are more than {RULES_MAX}", rules.len());
        return Err(Problem::new("bad_scope", detail));
    }
    match Scope::new(seeds, rules) {
        Ok(_) => Ok(rules.to_vec()),
        Err(error) => Err(Problem::new("bad_scope", format!("`{}`", error.0))),
    }
}

/// Settings of modules: what the configuration holds beyond the defaults, `--ports`, then `--set`. Secrets stay out.
fn settings(set: &[String], config: &Config) -> Result<BTreeMap<String, String>, Problem> {
    let mut settings = of_modules(config);
    for pair in set {
        let (key, value) = setting(pair, config)?;
        settings.insert(key, value);
    }
    Ok(settings)
}

/// What the configuration holds beyond the defaults, without secrets.
fn of_modules(config: &Config) -> BTreeMap<String, String> {
    use crate::config::Layer;
    let mut settings = BTreeMap::new();
    for key in config.keys().filter(|key| !key.is_secret) {
        if let Some(name) = key.name.strip_prefix("modules.")
            && let Some((layer, value)) = config.layers(&key.name).first()
            && *layer != Layer::Default
        {
            settings.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(ports) = config.get("scan.ports")
        && config.key(&format!("modules.{PORTS}")).is_some()
    {
        settings.insert(PORTS.to_owned(), ports.to_owned());
    }
    settings
}

fn setting(pair: &str, config: &Config) -> Result<(String, String), Problem> {
    let (key, value) = pair
        .split_once('=')
        .ok_or_else(|| Problem::new("bad_setting", format!("`{pair}` is not MODULE.KEY=VALUE")))?;
    let known = config
        .keys()
        .filter_map(|key| Some((key.name.strip_prefix("modules.")?, key)));
    let mut known = known.collect::<Vec<_>>().into_iter();
    match known.clone().find(|(name, _)| *name == key) {
        None => {
            let problem = Problem::new("unknown_setting", format!("`{key}`"));
            Err(
                match suggest::nearest(key, known.by_ref().map(|(name, _)| name)) {
                    Some(word) => problem.try_this(suggest::question(word)),
                    None => problem,
                },
            )
        }
        Some((_, found)) if found.is_secret => {
            let detail = format!("`{key}` is a secret and would stand in the list of processes");
            let hint = format!(
                "set {} in the environment, or {} in mirage.toml",
                found.variable(),
                found.name
            );
            Err(Problem::new("bad_setting", detail).try_this(hint))
        }
        Some(_) => Ok((key.to_owned(), value.to_owned())),
    }
}
