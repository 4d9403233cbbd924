//! commits: the findings of another log's scans, where their commits cannot be appended.
//!
//! Each hangs under its own parent, by the ids that the source gave; those ids, scan, task and module stay as attributes.
//! Evidence is not in an archive: its hashes stay as an attribute, and the archive itself is what each finding cites.
//! **Never:** findings of several workspaces in one scan.

mod index;

use std::io::{BufReader, SeekFrom};

use mirage_domain::entity::Entity;
use mirage_domain::event::Event;
use mirage_domain::finding::{Finding, Written};
use mirage_domain::mark;
use mirage_domain::module::Manifest;
use mirage_domain::scope::Rule;
use mirage_domain::{scan, task};
use mirage_log::Recorded;
use mirage_log::archive::{self, Reader};
use mirage_log::commit::{DecodeError, Entry};
use mirage_log::evidence::Stored;

use super::{BadFile, COMMON, Emit, Hung, Importer, Item, Stop, Surroundings};
use crate::collectors::Claim;
use index::{Index, Lack};

static MANIFEST: Manifest = Manifest {
    name: "commits",
    summary: "Findings of another log's scans, each under its own parent",
    ..COMMON
};

pub(super) static IMPORTER: Importer = Importer {
    manifest: &MANIFEST,
    format: read,
};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 * 1024;

fn read(file: &mut dyn Stored, around: &Surroundings<'_>, emit: Emit<'_>) -> Result<(), Stop> {
    let mut index = Index::new()?;
    entries(file, &mut |from, entry| match &entry.event {
        Event::Task(task::Event::Found(finding)) => {
            Ok(index.add(finding, entity(finding, from.line).ok().as_ref())?)
        }
        _ => Ok(()),
    })?;
    entries(file, &mut |from, entry| match &entry.event {
        Event::Task(task::Event::Found(finding)) => {
            match entity(finding, from.line) {
                Ok(entity) => report(&from.of(entry, finding), entity, &mut index, around, emit)?,
                Err(lacking) => emit(lacking)?,
            }
            emit(Item::Record)
        }
        Event::Scan(scan::Event::Requested(requested)) => {
            let rules = requested.scope.open().into_iter().flatten();
            rules.cloned().try_for_each(|rule| target(rule, emit))
        }
        Event::Mark(mark::Event::Set(set)) => {
            let finding = &from.recorded.commit.stream.id;
            emit(told(
                "mark-left-out",
                set.verdict.as_str(),
                finding.as_str(),
            ))
        }
        _ => Ok(()),
    })
}

/// The commit that an entry is of, and the line of the archive where it stands.
struct Origin<'a> {
    line: u64,
    recorded: &'a Recorded,
}

/// A finding of the source, and the entry that tells of it.
struct Seen<'a> {
    from: &'a Origin<'a>,
    entry: &'a Entry,
    finding: &'a Finding,
}

impl<'a> Origin<'a> {
    fn of(&'a self, entry: &'a Entry, finding: &'a Finding) -> Seen<'a> {
        let from = self;
        Seen {
            from,
            entry,
            finding,
        }
    }
}

/// Every event of a scan, in the order of the archive.
fn entries(
    file: &mut dyn Stored,
    take: &mut dyn FnMut(Origin<'_>, &Entry) -> Result<(), Stop>,
) -> Result<(), Stop> {
    file.seek(SeekFrom::Start(0))
        .map_err(|error| BadFile::io(&error))?;
    let archive = Reader::open(BufReader::with_capacity(BUFFER_BYTES, file)).map_err(bad)?;
    let mut workspace = None;
    for archived in archive {
        let archived = archived.map_err(bad)?;
        let (line, recorded) = (archived.line, archived.recorded());
        let recorded = &recorded.map_err(|error| unreadable(&error, line))?;
        let stream = &recorded.commit.stream;
        if stream.scan.is_none() {
            continue;
        }
        let first = workspace.get_or_insert_with(|| stream.workspace.clone());
        if *first != stream.workspace {
            let what = format!(
                "it holds scans of workspaces {first} and {}",
                stream.workspace
            );
            let hint = "export the scans one by one: mirage export SCAN --format commits";
            return Err(BadFile::new(what, hint).into());
        }
        for entry in &recorded.commit.events {
            take(Origin { line, recorded }, entry)?;
        }
    }
    Ok(())
}

fn bad(error: archive::Error) -> BadFile {
    let hint = match error.code() {
        "archive_newer" => "upgrade this node",
        "archive_foreign" => "name the right --format, or export the scan anew",
        _ => "export the scan anew: the archive is damaged or was cut short",
    };
    let why = std::error::Error::source(&error).map(|source| format!(": {source}"));
    BadFile::new(format!("{error}{}", why.unwrap_or_default()), hint)
}

fn unreadable(error: &DecodeError, line: u64) -> BadFile {
    let hint = match error.is_newer() {
        true => "upgrade this node",
        false => "export the scan anew: the archive is damaged",
    };
    BadFile::new(format!("line {line}: {error}"), hint)
}

/// What a finding names, or what is to be said where it names nothing.
fn entity(finding: &Finding, line: u64) -> Result<Entity, Item> {
    let Some(key) = finding.key.open() else {
        return Err(told("erased", "key", &finding.id.to_string()));
    };
    Entity::new(finding.kind, key).map_err(|error| {
        let why = format!("finding {}: {error}", finding.id);
        Item::Bad { line, why }
    })
}

fn told(code: &'static str, rule: &str, detail: &str) -> Item {
    let (rule, detail) = (rule.to_owned(), detail.to_owned());
    Item::Remark { code, rule, detail }
}

/// A rule that speaks of what the source's scan was about.
fn target(rule: String, emit: Emit<'_>) -> Result<(), Stop> {
    let included = rule.strip_prefix('!').unwrap_or(&rule);
    match included.parse::<Rule>() {
        Ok(_) => emit(Item::Target(rule)),
        Err(_) => Ok(()),
    }
}

fn report(
    seen: &Seen<'_>,
    entity: Entity,
    index: &mut Index,
    around: &Surroundings<'_>,
    emit: Emit<'_>,
) -> Result<(), Stop> {
    let finding = seen.finding;
    if finding.parent.is_none() {
        target(Rule::of_seed(&entity).to_string(), emit)?;
    }
    let place = index.place(finding, &entity, around.root)?;
    if let Some(lack) = place.lacks {
        let code = match lack {
            Lack::Parent => "parent-not-in-file",
            Lack::Erased => "parent-erased",
            Lack::Chain => "parents-in-a-circle",
        };
        emit(told(code, entity.kind().as_str(), &finding.id.to_string()))?;
    }
    let lack = match finding.attributes.open().map(Written::read) {
        None => Some("erased"),
        Some(Err(_)) => Some("unreadable"),
        Some(Ok(_)) => None,
    };
    if let Some(lack) = lack {
        emit(told(lack, "attributes", &finding.id.to_string()))?;
    }
    let claim = Claim::toward(place.edge, entity, around.evidence);
    let claim = described(claim.confidence(finding.confidence), seen);
    let under = place.under;
    emit(Item::Claim(Box::new(Hung { under, claim })))
}

/// The attributes of the source, and where it has the finding.
fn described(mut claim: Claim, seen: &Seen<'_>) -> Claim {
    let (finding, commit) = (seen.finding, &seen.from.recorded.commit);
    let attributes = finding.attributes.open();
    let attributes = attributes.and_then(|written| written.read().ok());
    for (name, value) in attributes.into_iter().flatten() {
        claim = claim.with(&name, value);
    }
    let scan = commit.stream.scan.as_ref().map(ToString::to_string);
    let module = commit
        .context
        .as_ref()
        .map(|context| context.module.to_string());
    let evidence: Vec<String> = finding.evidence.iter().map(ToString::to_string).collect();
    if !evidence.is_empty() {
        claim = claim.with("source_evidence", evidence);
    }
    claim
        .with("source_scan", scan)
        .with("source_task", commit.stream.id.to_string())
        .with("source_finding", finding.id.to_string())
        .with("source_module", module)
        .with("source_observed_at", seen.entry.at.to_string())
}

#[cfg(test)]
mod tests;
