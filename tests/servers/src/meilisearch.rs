//! Meilisearch: no package manager has it, so it is used where a person has put it.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use crate::process::{End, Failure, Launch, Process};
use crate::{Program, folder, ledger, ports, program, wire};

/// The path of the program.
const GIVEN: &str = "MIRAGE_TEST_MEILISEARCH";

const NAME: &str = "meilisearch";
/// At least 16 bytes, or it says so on each start.
const KEY: &str = "the-master-key-of-tests";
const READY: Duration = Duration::from_secs(60);

/// An empty server; its process can be killed, stopped and continued.
pub struct Meilisearch {
    process: Process,
    port: u16,
}

/// A server of one's own, or the reason is recorded and there is none.
///
/// # Panics
/// If the server is there and does not start, or is missing and required.
pub fn meilisearch() -> Option<Meilisearch> {
    let program = ledger::demand(NAME, find())?;
    Some(ports::with(1, |ports| start(&program, ports[0])))
}

pub(crate) fn find() -> Result<Program, String> {
    let given = std::env::var_os(GIVEN).map(PathBuf::from);
    let path = given.or_else(|| program::on_path(NAME).into_iter().next());
    let path = path.ok_or_else(|| {
        format!("Meilisearch is missing, and no package manager has it: put `meilisearch` on PATH or its path in {GIVEN}")
    })?;
    let version = program::version(&path, "--version");
    let version = version.ok_or_else(|| format!("{} is no Meilisearch", path.display()))?;
    Ok(Program { path, version })
}

fn start(program: &Program, port: u16) -> Result<Meilisearch, Failure> {
    let address = format!("127.0.0.1:{port}");
    let arguments = [
        "--http-addr",
        &address,
        "--db-path",
        "data",
        "--master-key",
        KEY,
        "--no-analytics",
    ];
    let launch = Launch {
        program: program.path.clone(),
        arguments: arguments.map(str::to_owned).into(),
        environment: Vec::new(),
        user: None,
        end: End::Kill,
    };
    let process = Process::start(NAME, folder::new(NAME), launch);
    let meilisearch = Meilisearch { process, port };
    meilisearch.until_it_answers()?;
    Ok(meilisearch)
}

impl Meilisearch {
    /// Without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn master_key(&self) -> &'static str {
        KEY
    }

    /// Starts it again on its folder and port (a running one is killed first) and waits until it answers.
    ///
    /// # Panics
    /// If it does not within a minute.
    pub fn restart(&self) {
        self.process.spawn();
        self.until_it_answers()
            .unwrap_or_else(|failure| panic!("{failure}"));
    }

    fn until_it_answers(&self) -> Result<(), Failure> {
        self.process
            .until(READY, || wire::get(self.port, "/health").is_some())
    }
}

impl Deref for Meilisearch {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}
