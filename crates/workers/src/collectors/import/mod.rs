//! Importers: files that other tools (or other logs) wrote, each read as a scan of its own.
//!
//! The one seed of such a scan is the `file` entity; its key is the SHA-256 under which the file is kept as evidence, so
//! an importer is a collector whose input names all that it reads. A format is a `Format`: it reads a file from its
//! start, as often as it likes, and says what stands there as `Item`s.
//! To add one: its file, its line in [`IMPORTERS`].
//!
//! **Invariant:** a file is read in pieces, whatever its size; what a record may take is bounded in `source.rs`.
//! **Invariant:** what is checked before the import is what the import does: the same code, into nothing.
//! **Never:** an importer in `ALL`: no scan of the world runs one.

mod bbot;
mod commits;
mod nmap;

mod relate;
mod scratch;
mod source;

use std::io;

use async_trait::async_trait;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::module::Manifest;
use mirage_domain::relation::{Direction, Relation};
use mirage_log::evidence::Stored;
use tokio::sync::mpsc;

use super::{Claim, CollectError, Collector, Found, Input};
use crate::probe::Probe;

/// Every importer, sorted by name, which is that of the format too.
pub const IMPORTERS: &[&Importer] = &[&bbot::IMPORTER, &commits::IMPORTER, &nmap::IMPORTER];

/// Items on their way from the thread that reads to the task that reports.
const ITEMS_MAX: usize = 256;
/// Records that a check names one by one.
const NAMED_MAX: usize = 20;
/// Scope rules that a file's own targets make at most.
const TARGETS_MAX: usize = 1000;

/// A keyed hash in 64 digits, for what must not be told from its hash.
type Keyed<'a> = &'a dyn Fn(&str) -> String;
/// An edge from a parent to what hangs under it.
type Edge = (Relation, Direction);

/// What a file says, piece by piece.
#[derive(Debug)]
enum Item {
    /// A record was read to its end.
    Record,
    Claim(Box<Hung>),
    /// A record that cannot be read.
    Bad {
        line: u64,
        why: String,
    },
    /// What a reader of the log must know besides.
    Remark {
        code: &'static str,
        rule: String,
        detail: String,
    },
    /// What the tool was aimed at.
    Target(String),
}

/// A claim and where it hangs: the links from the file down to its parent.
#[derive(Debug)]
struct Hung {
    under: Vec<(Edge, Entity)>,
    claim: Claim,
}

/// Why a file is not read to its end.
#[derive(Debug)]
enum Stop {
    Bad(BadFile),
    /// Nobody wants to know more.
    Left,
}

impl From<BadFile> for Stop {
    fn from(bad: BadFile) -> Self {
        Self::Bad(bad)
    }
}

/// The file cannot be imported. `hint` says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BadFile {
    pub what: String,
    pub hint: &'static str,
}

impl BadFile {
    fn new(what: impl Into<String>, hint: &'static str) -> Self {
        let what = what.into();
        Self { what, hint }
    }

    pub(crate) fn io(error: &io::Error) -> Self {
        Self::new(error.to_string(), "look at the file and its permissions")
    }
}

/// Where a format puts what it reads.
type Emit<'a> = &'a mut dyn FnMut(Item) -> Result<(), Stop>;

/// What a format may use besides the file.
struct Surroundings<'a> {
    root: &'a Entity,
    evidence: Digest,
    keyed: Keyed<'a>,
}

/// Reads a file of one format from its start to its end.
type Format = fn(&mut dyn Stored, &Surroundings<'_>, Emit<'_>) -> Result<(), Stop>;

/// A format as a module.
pub struct Importer {
    manifest: &'static Manifest,
    format: Format,
}

/// What importers have in common; an import takes as long as its file does.
const COMMON: Manifest = Manifest {
    consumes: &[Kind::File],
    // A file that is named within is another one, and may lie nowhere.
    seeds_only: true,
    produces: Kind::ALL,
    parallel: 1,
    batch_max: 1,
    deadline_s: 24 * 60 * 60,
    ..Manifest::DEFAULT
};

/// What a file holds, looked at before anything is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    pub records: u64,
    pub bad: u64,
    /// The first bad records: line and reason.
    pub named: Vec<(u64, String)>,
    /// Scope rules of what the tool was aimed at.
    pub targets: Vec<String>,
}

impl Importer {
    pub fn name(&self) -> &'static str {
        self.manifest.name
    }

    /// Reads the whole file as the import will, and writes nothing.
    ///
    /// # Errors
    /// If it is not of this format, cannot be read to its end, or holds no good record.
    pub fn check(&self, file: &mut dyn Stored, digest: Digest) -> Result<Checked, BadFile> {
        let root = root(digest);
        let keyed = |text: &str| Digest::of(text.as_bytes()).to_string();
        let surroundings = Surroundings {
            root: &root,
            evidence: digest,
            keyed: &keyed,
        };
        let mut checked = Checked::default();
        let read = (self.format)(file, &surroundings, &mut |item| {
            checked.take(item);
            Ok(())
        });
        if let Err(Stop::Bad(bad)) = read {
            return Err(bad);
        }
        match checked.records {
            0 => Err(checked.nothing(self.name())),
            _ => Ok(checked),
        }
    }
}

impl Checked {
    fn take(&mut self, item: Item) {
        match item {
            Item::Record => self.records += 1,
            Item::Bad { line, why } => {
                self.bad += 1;
                if self.named.len() < NAMED_MAX {
                    self.named.push((line, why));
                }
            }
            Item::Target(rule) => {
                if self.targets.len() < TARGETS_MAX && !self.targets.contains(&rule) {
                    self.targets.push(rule);
                }
            }
            Item::Claim(_) | Item::Remark { .. } => {}
        }
    }

    fn nothing(&self, format: &str) -> BadFile {
        let what = match self.named.first() {
            Some((line, why)) => format!(
                "no record of {format} in it; {} are none, the first at line {line}: {why}",
                self.bad
            ),
            None => format!("no record of {format} in it"),
        };
        BadFile::new(what, "name the right --format, or make the file anew")
    }
}

/// The seed of an import.
pub fn root(digest: Digest) -> Entity {
    Entity::new(Kind::File, &digest.to_string()).expect("a SHA-256 is the key of a file")
}

#[async_trait]
impl Collector for Importer {
    fn manifest(&self) -> &'static Manifest {
        self.manifest
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let digest: Digest = (input.key().parse())
            .map_err(|_| CollectError::Malformed("the key is no SHA-256".into()))?;
        let mut file = probe.stored(digest).await?;
        let (items, mut reading) = mpsc::channel(ITEMS_MAX);
        let (format, root, keyed) = (self.format, input.entity.clone(), found.keyed_in_full());
        let read = tokio::task::spawn_blocking(move || {
            let surroundings = Surroundings {
                root: &root,
                evidence: digest,
                keyed: &keyed,
            };
            format(&mut *file, &surroundings, &mut |item| {
                items.blocking_send(item).map_err(|_| Stop::Left)
            })
        });
        while let Some(item) = reading.recv().await {
            found.room().await;
            report(item, found);
        }
        match read.await {
            Ok(Ok(()) | Err(Stop::Left)) => Ok(()),
            Ok(Err(Stop::Bad(bad))) => Err(CollectError::Malformed(bad.what)),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

fn report(item: Item, found: &Found) {
    match item {
        Item::Record | Item::Target(_) => {}
        Item::Bad { line, why } => {
            found.remark("bad-record", "record", format!("line {line}: {why}"));
        }
        Item::Remark { code, rule, detail } => found.remark(code, rule, detail),
        Item::Claim(hung) => {
            let mut parent = found.input().clone();
            for ((relation, direction), entity) in &hung.under {
                parent = found.place(&parent, *relation, *direction, entity);
            }
            found.add_under(&parent, hung.claim);
        }
    }
}

#[cfg(test)]
mod tests;
