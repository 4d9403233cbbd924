//! Starting an import: its id hangs on workspace, format and file, so that it happens once.
//!
//! **Invariant:** the whole file is read once before anything is written: a bad file changes nothing.

use std::fs::File;
use std::io::{Read, Seek};

use mirage_domain::id::{Digest, ModuleName, Position, ScanId, StreamId};
use mirage_domain::module::Profile;
use mirage_domain::scan::{Limits, Origin};
use mirage_domain::scope::{RuleError, Scope};
use sha2::{Digest as _, Sha256};

use super::chosen::NAME_BYTES_MAX;
use super::{Caller, Commands, Error, ScanRequest};
use crate::collectors::import::{BadFile, Checked, IMPORTERS, Importer, root};
use crate::settings::ScanSettings;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The importer of a format.
pub fn importer(name: &str) -> Option<&'static Importer> {
    let mut all = IMPORTERS.iter().copied();
    all.find(|importer| importer.name() == name)
}

/// A file that was read to its end and can be imported.
#[derive(Debug)]
pub struct Looked {
    pub file: File,
    pub digest: Digest,
    pub checked: Checked,
}

/// Reads a whole file: its hash, and what it holds.
///
/// # Errors
/// If it cannot be read to its end, or is not of that format.
pub fn look(mut file: File, importer: &Importer) -> Result<Looked, BadFile> {
    let failed = |error| BadFile::io(&error);
    file.rewind().map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 => break,
            read => hasher.update(&piece[..read]),
        }
    }
    let digest = Digest(hasher.finalize().into());
    let checked = importer.check(&mut file, digest)?;
    Ok(Looked {
        file,
        digest,
        checked,
    })
}

impl Looked {
    /// What is to be imported: under a name, which is cut, and with the rules that were given, else with what the file
    /// says that it was about.
    ///
    /// # Errors
    /// If one of the rules is none.
    pub fn import(&self, name: &str, rules: Vec<String>) -> Result<Import, RuleError> {
        let scope = match rules.is_empty() {
            true => self.checked.targets.clone(),
            false => rules,
        };
        Scope::new([&root(self.digest)], &scope)?;
        Ok(Import {
            name: name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned(),
            file: self.digest,
            scope,
        })
    }
}

/// A file that was checked and is to be imported.
#[derive(Debug, Clone)]
pub struct Import {
    pub name: String,
    pub file: Digest,
    /// Scope rules: nothing is asked, they say what the scan was about.
    pub scope: Vec<String>,
}

impl Commands {
    /// Starts the import of a file and keeps the file as evidence before; `None` beside the id if it was started before.
    pub async fn import(
        &self,
        importer: &Importer,
        import: Import,
        file: File,
        caller: &Caller,
    ) -> Result<(ScanId, Option<Position>), Error> {
        let key = format!("import {} {}", importer.name(), import.file);
        // Who imports it makes no difference: it is the same import.
        let scan = ScanId::derive(&self.workspace, "import", &key);
        let stream = StreamId::scan(&self.workspace, &scan);
        let before = self.log.read_stream(&stream, Position(0)).await?;
        if !before.is_empty() {
            return Ok((scan, None));
        }
        self.evidence
            .put_file(&self.workspace, file, import.file)
            .await?;
        let caller = Caller {
            key: Some((key.clone(), key.into_bytes())),
            ..caller.clone()
        };
        let request = ScanRequest {
            name: import.name,
            seeds: vec![root(import.file)],
            profile: Profile::Passive,
            modules: [ModuleName::new(importer.name()).expect("a format's name is an id")].into(),
            scope: import.scope,
            limits: Limits::default(),
            consent: None,
            allow_private: Vec::new(),
            settings: ScanSettings::default(),
            origin: Origin::Import { file: import.file },
        };
        let position = self.start_as(&scan, request, &caller).await?;
        Ok((scan, Some(position)))
    }
}
