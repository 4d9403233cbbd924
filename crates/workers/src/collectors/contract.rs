//! What holds for every collector: names, order, bounds, proofs, and the generated table.

use std::fmt::Write as _;
use std::path::PathBuf;

use mirage_domain::module::{BATCH_MAX, Manifest, Reads};

use super::{ALL, Collector};

fn folder(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn manifests() -> impl Iterator<Item = &'static Manifest> {
    ALL.iter().map(|collector| collector.manifest())
}

/// All Rust text of a collector: its file, or every file of its folder.
fn source(name: &str) -> String {
    let name = name.replace('-', "_");
    let file = folder(&format!("src/collectors/{name}.rs"));
    if let Ok(text) = std::fs::read_to_string(&file) {
        return text;
    }
    let entries = std::fs::read_dir(folder(&format!("src/collectors/{name}")))
        .unwrap_or_else(|_| panic!("no file or folder is named {name}, as the manifest is"));
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect()
}

#[test]
fn the_list_is_sorted_and_names_each_once() {
    let names: Vec<&str> = manifests().map(|manifest| manifest.name).collect();
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
}

#[test]
fn a_manifest_says_what_its_module_is() {
    for manifest in manifests() {
        let Manifest {
            name,
            summary,
            consumes,
            produces,
            ..
        } = manifest;
        assert!(
            (10..=80).contains(&summary.chars().count()),
            "{name}: {summary}"
        );
        assert!(!consumes.is_empty() && !produces.is_empty(), "{name}");
        assert!((1..=BATCH_MAX).contains(&manifest.batch_max), "{name}");
        assert!(
            manifest.parallel > 0 && (1..=3600).contains(&manifest.deadline_s),
            "{name}"
        );
        for setting in manifest.settings {
            assert!(setting.help.len() > 8, "{name}.{} has no help", setting.key);
            assert!(
                !setting.is_secret || setting.default.is_empty(),
                "{name}.{}",
                setting.key
            );
        }
    }
}

#[test]
fn each_collector_is_proven_to_find_and_to_fail() {
    for manifest in manifests() {
        let source = source(manifest.name);
        assert!(
            source.starts_with("//!") || source.contains("\n//!"),
            "{}",
            manifest.name
        );
        for proof in [".finds(", ".fails("] {
            assert!(
                source.contains(proof),
                "{} has no test with {proof}",
                manifest.name
            );
        }
    }
}

#[test]
fn no_collector_reaches_around_the_probe() {
    for manifest in manifests() {
        let source = source(manifest.name);
        for way in [
            "std::net::Tcp",
            "std::net::Udp",
            "tokio::net",
            "hyper::",
            "tokio::time::sleep",
        ] {
            assert!(!source.contains(way), "{} uses {way}", manifest.name);
        }
    }
}

/// `docs/generated/collectors.md`, from the manifests.
fn table() -> String {
    let mut text = "# Collectors\n\nGenerated from the manifests; do not edit. `MIRAGE_BLESS=1 cargo test -p mirage-workers table` renews it.\n\n\
        | module | finds | consumes | produces | profile | reads |\n|---|---|---|---|---|---|\n"
        .to_owned();
    let kinds = |kinds: &[mirage_domain::entity::Kind]| {
        kinds
            .iter()
            .map(|kind| kind.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    for manifest in manifests() {
        let reads = if manifest.reads == Reads::Evidence {
            "evidence"
        } else {
            "network"
        };
        let Manifest {
            name,
            summary,
            consumes,
            produces,
            profile,
            ..
        } = manifest;
        let (consumes, produces, profile) = (kinds(consumes), kinds(produces), profile.as_str());
        let row = format!("| {name} | {summary} | {consumes} | {produces} | {profile} | {reads} |");
        writeln!(text, "{row}").unwrap();
    }
    text.push_str("\n## Importers\n\nThey read files of other tools and run in imports alone.\n\n| format | reads |\n|---|---|\n");
    for importer in super::import::IMPORTERS {
        let manifest = importer.manifest();
        writeln!(text, "| {} | {} |", manifest.name, manifest.summary).unwrap();
    }
    text.push_str("\n## Settings\n\n| setting | default | help |\n|---|---|---|\n");
    for manifest in manifests() {
        for setting in manifest.settings {
            let default = match setting.default {
                long if long.len() > 60 => format!("`{}…`", &long[..57]),
                "" => "–".to_owned(),
                short => format!("`{short}`"),
            };
            writeln!(
                text,
                "| {}.{} | {default} | {} |",
                manifest.name, setting.key, setting.help
            )
            .unwrap();
        }
    }
    text
}

#[test]
fn the_generated_table_is_current() {
    let path = folder("../../docs/generated/collectors.md");
    if std::env::var_os("MIRAGE_BLESS").is_some() {
        std::fs::write(&path, table()).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        kept,
        table(),
        "renew it: MIRAGE_BLESS=1 cargo test -p mirage-workers table"
    );
}
