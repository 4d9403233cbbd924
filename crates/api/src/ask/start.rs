//! What is wanted scanned, checked as a whole before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use mirage_domain::entity::{Entity, recognise_all};
use mirage_domain::id::ModuleName;
use mirage_domain::module::Profile;
use mirage_domain::scan::{Consent, Limits, Origin, SEEDS_MAX};
use mirage_domain::scope::{RULES_MAX, Scope};
use mirage_workers::node::ScanRequest;
use mirage_workers::node::chosen::{self, NAME_BYTES_MAX, Unchosen};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::Problem;
use crate::gateway::Gateway;

/// What is wanted scanned.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartScan {
    /// Domains, addresses, netblocks, …, or KIND:VALUE; each implies its scope.
    #[schema(min_items = 1)]
    pub(crate) seeds: Vec<String>,
    #[serde(default)]
    #[schema(max_length = 200)]
    pub(crate) name: Option<String>,
    /// `passive`, `standard` or `active`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) profile: Profile,
    /// Only these; the default is all of the profile.
    #[serde(default)]
    pub(crate) modules: Vec<String>,
    /// Not these.
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    /// Rules beside those that the seeds imply; `!rule` excludes and wins.
    #[serde(default)]
    pub(crate) scope: Vec<String>,
    /// Longest chain from a seed whose end is still asked about.
    #[serde(default)]
    pub(crate) depth: Option<u32>,
    /// Requests at most.
    #[serde(default)]
    pub(crate) max_requests: Option<u64>,
    /// Seconds at most.
    #[serde(default)]
    pub(crate) max_time_s: Option<u64>,
    /// Settings by MODULE.KEY; secrets, files and servers are the node's.
    #[serde(default)]
    pub(crate) settings: BTreeMap<String, String>,
    /// Private ranges that may be contacted, of those that the node allows.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub(crate) allow_private: Vec<IpNet>,
    /// Whoever asks may scan these targets actively: needed with the profile `active`.
    #[serde(default)]
    pub(crate) consent: bool,
}

/// The request, checked as a whole before anything is written.
pub(super) fn request(gateway: &Gateway, asked: StartScan) -> Result<ScanRequest, Problem> {
    let seeds = seeds(&asked.seeds)?;
    let allowed = &gateway.allowed;
    let is_allowed = |net: &IpNet| allowed.private.iter().any(|wide| wide.contains(net));
    if let Some(net) = asked.allow_private.iter().find(|net| !is_allowed(net)) {
        let detail = format!("allow_private: this node does not allow {net}");
        return Err(Problem::new("bad_value", detail));
    }
    if asked.scope.len() > RULES_MAX {
        let detail = format!("{} rules are more than {RULES_MAX}", asked.scope.len());
        return Err(Problem::new("bad_scope", detail));
    }
    Scope::new(&seeds, &asked.scope).map_err(|error| Problem::of("bad_scope", &error))?;
    let mut settings = allowed.settings.clone();
    for (key, value) in &asked.settings {
        let set = settings.set_from_afar(key, value);
        set.map_err(|error| Problem::of("bad_setting", &error))?;
    }
    Ok(ScanRequest {
        modules: modules(&asked)?,
        name: name(asked.name, &seeds)?,
        profile: asked.profile,
        scope: asked.scope,
        limits: Limits {
            depth: asked.depth,
            requests: asked.max_requests,
            time_s: asked.max_time_s,
        },
        consent: asked.consent.then_some(Consent::Flag),
        allow_private: asked.allow_private,
        settings,
        origin: Origin::NEW,
        seeds,
    })
}

fn seeds(texts: &[String]) -> Result<Vec<Entity>, Problem> {
    let mut seeds = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let wrong = |error| Problem::new("bad_seed", format!("/seeds/{at}: `{text}`: {error}"));
        for seed in recognise_all(text).map_err(wrong)? {
            if !seeds.contains(&seed) {
                seeds.push(seed);
            }
        }
        if seeds.len() as u64 > SEEDS_MAX {
            let detail = format!("a scan takes at most {SEEDS_MAX} seeds");
            return Err(Problem::new("bad_seed", detail));
        }
    }
    match seeds.is_empty() {
        true => Err(Problem::new("bad_seed", "no seed was given")),
        false => Ok(seeds),
    }
}

fn name(given: Option<String>, seeds: &[Entity]) -> Result<String, Problem> {
    let name = given.unwrap_or_else(|| chosen::name(seeds));
    match (1..=NAME_BYTES_MAX).contains(&name.len()) {
        true => Ok(name),
        false => {
            let detail = format!("/name: 1 to {NAME_BYTES_MAX} bytes");
            Err(Problem::new("bad_value", detail))
        }
    }
}

fn modules(asked: &StartScan) -> Result<BTreeSet<ModuleName>, Problem> {
    let chosen = chosen::modules(&asked.modules, &asked.exclude, asked.profile);
    chosen.map_err(|error| match &error {
        Unchosen::Unknown(_) => Problem::of("unknown_module", &error),
        Unchosen::Profile { .. } => Problem::of("bad_value", &error),
    })
}
