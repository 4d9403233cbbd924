//! What a scan gets where it was not all said: its modules, and its name.

use std::collections::BTreeSet;

use mirage_domain::entity::Entity;
use mirage_domain::id::ModuleName;
use mirage_domain::module::{Manifest, Profile};

use crate::collectors;

/// A choice that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unchosen {
    #[error("there is no module `{0}`")]
    Unknown(String),
    #[error("module {module} needs the profile {profile}")]
    Profile {
        module: &'static str,
        profile: &'static str,
    },
}

/// Every manifest there is to choose from.
pub fn manifests() -> impl Iterator<Item = &'static Manifest> {
    collectors::ALL.iter().map(|collector| collector.manifest())
}

/// The modules of a scan; an empty choice is all of the profile.
pub fn modules(
    chosen: &[impl AsRef<str>],
    excluded: &[impl AsRef<str>],
    profile: Profile,
) -> Result<BTreeSet<ModuleName>, Unchosen> {
    let chosen = named(chosen)?;
    let excluded = named(excluded)?;
    if let Some(further) = chosen.iter().find(|module| module.profile > profile) {
        return Err(Unchosen::Profile {
            module: further.name,
            profile: further.profile.as_str(),
        });
    }
    let candidates: Vec<_> = match chosen.is_empty() {
        true => manifests()
            .filter(|manifest| manifest.profile <= profile)
            .collect(),
        false => chosen,
    };
    let is_kept = |manifest: &&Manifest| !excluded.iter().any(|other| other.name == manifest.name);
    let kept = candidates.into_iter().filter(is_kept);
    Ok(kept
        .filter_map(|manifest| ModuleName::new(manifest.name).ok())
        .collect())
}

fn named(names: &[impl AsRef<str>]) -> Result<Vec<&'static Manifest>, Unchosen> {
    let manifest = |name: &str| {
        let found = manifests().find(|manifest| manifest.name == name);
        found.ok_or_else(|| Unchosen::Unknown(name.to_owned()))
    };
    names.iter().map(|name| manifest(name.as_ref())).collect()
}

/// Longest name of a scan, in bytes.
pub const NAME_BYTES_MAX: usize = 200;

/// The name of a scan that was given none: its seeds.
pub fn name(seeds: &[Entity]) -> String {
    let cut = |entity: &Entity| {
        let key = entity.key();
        key[..key.floor_char_boundary(NAME_BYTES_MAX)].to_owned()
    };
    match seeds {
        [] => String::new(),
        [only] => cut(only),
        [first, more @ ..] => format!("{} and {} more", cut(first), more.len()),
    }
}
