//! Starting an import: its id hangs on workspace, format and file, so that it happens once.

use std::fs::File;

use mirage_domain::id::{Digest, ModuleName, Position, ScanId, StreamId};
use mirage_domain::module::Profile;
use mirage_domain::scan::{Limits, Origin};

use super::{Caller, Commands, Error, ScanRequest};
use crate::collectors::import::{Importer, root};
use crate::settings::ScanSettings;

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
