//! What a shell may complete: scans, kinds, relations, modules, profiles, views.
//!
//! **Never:** a write or a failure: a directory that cannot be read completes to nothing.

use std::path::PathBuf;

use clap_complete::CompletionCandidate;
use clap_complete::engine::ArgValueCandidates;
use mirage_domain::entity::Kind;
use mirage_domain::id::WorkspaceId;
use mirage_domain::module::Profile;
use mirage_domain::relation::Relation;
use mirage_projections::Db;
use mirage_projections::catalog::{Page, Reader, ScanFilter};
use mirage_workers::collectors;

use super::ids::LAST;
use crate::wire;

/// Scans that are offered, newest first.
const SCANS_MAX: u32 = 50;

pub(crate) fn scans() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let mut all = vec![CompletionCandidate::new(LAST)];
        all.extend(newest().unwrap_or_default());
        all
    })
}

pub(crate) fn kinds() -> ArgValueCandidates {
    words(|| Kind::ALL.iter().map(|kind| kind.as_str()).collect())
}
pub(crate) fn relations() -> ArgValueCandidates {
    words(|| {
        Relation::ALL
            .iter()
            .map(|relation| relation.as_str())
            .collect()
    })
}
pub(crate) fn modules() -> ArgValueCandidates {
    words(|| {
        collectors::ALL
            .iter()
            .map(|collector| collector.manifest().name)
            .collect()
    })
}
pub(crate) fn formats() -> ArgValueCandidates {
    words(|| {
        collectors::import::IMPORTERS
            .iter()
            .map(|importer| importer.name())
            .collect()
    })
}
pub(crate) fn profiles() -> ArgValueCandidates {
    words(|| {
        Profile::ALL
            .iter()
            .map(|profile| profile.as_str())
            .collect()
    })
}
pub(crate) fn views() -> ArgValueCandidates {
    words(|| {
        mirage_projections::ALL
            .iter()
            .map(|view| view.name)
            .collect()
    })
}

fn words(all: fn() -> Vec<&'static str>) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        all()
            .into_iter()
            .map(CompletionCandidate::new)
            .collect::<Vec<_>>()
    })
}

/// As far as the catalog has been folded: completing folds nothing.
fn newest() -> Option<Vec<CompletionCandidate>> {
    let view = mirage_projections::named("catalog").ok()?;
    let db = Db::open(&dir()?, view).ok()?;
    let workspace = std::env::var("MIRAGE_WORKSPACE").unwrap_or_else(|_| "default".to_owned());
    let reader = Reader::new(&db, &WorkspaceId::new(&workspace).ok()?, None).ok()?;
    let listed = reader
        .scans(&ScanFilter::default(), &Page::newest(SCANS_MAX))
        .ok()?;
    let candidate = |scan: mirage_projections::catalog::ScanRow| {
        let name = scan.name.unwrap_or_default();
        let help = crate::output::SafeText(&name).to_string();
        CompletionCandidate::new(scan.scan_id.as_str().to_owned()).help(Some(help.into()))
    };
    Some(listed.rows.into_iter().map(candidate).collect())
}

/// The directory that the unfinished line names, else the one that any line would use.
fn dir() -> Option<PathBuf> {
    let words: Vec<_> = std::env::args_os().collect();
    let named = words.windows(2).rev().find(|pair| pair[0] == "--data");
    let named = named.map(|pair| PathBuf::from(&pair[1]));
    named
        .or_else(|| std::env::var_os("MIRAGE_DATA").map(PathBuf::from))
        .or_else(wire::default_dir)
}
