//! A data directory for a test, and the program that is run on it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use mirage_domain::id::StreamId;
use mirage_log::EventLog;
use mirage_log::commit::encode;
use mirage_log::contract::{commit_of, encoded};
use mirage_log::sqlite::Sqlite;
use tempfile::TempDir;

pub(crate) struct Place {
    pub(crate) dir: TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    /// A log of its first commit and `findings` further ones.
    pub(crate) fn with_findings(findings: u64) -> Self {
        let place = Self::empty();
        let dir = place.dir.path().to_owned();
        run_async(async move {
            let log = Sqlite::open(&dir).unwrap();
            let created = mirage_domain::log::Created {
                log_id: uuid::Uuid::max(),
            };
            let event = mirage_domain::log::Event::from(created).into();
            let first = encode(&commit_of(StreamId::log(), None, vec![event])).unwrap();
            log.append(first, None).await.unwrap();
            for n in 1..=findings {
                log.append(encoded(n, None), None).await.unwrap();
            }
        });
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A command in this place, with nothing of the tester's surroundings.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirage"));
        command
            .args(words)
            .args(["--data".as_ref(), self.path().as_os_str()]);
        command
            .env_clear()
            .env("HOME", self.path())
            .env("TZ", "UTC");
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.command(words).output().unwrap().into()
    }

    /// Changes the log's file behind the log's back.
    pub(crate) fn tamper(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.path().join("log.db")).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// The names in the directory.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Ended well; its output.
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// Each line of the output as JSON.
    pub(crate) fn objects(self) -> Vec<serde_json::Value> {
        let out = self.done();
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Refused before anything was done: this exit code and public code in three lines, and no data.
    pub(crate) fn refused(self, exit: i32, code: &str) -> String {
        assert_eq!(self.out, "", "{self:?}");
        assert_eq!(self.err.lines().count(), 3, "{self:?}");
        self.failed(exit, code)
    }

    /// Failed with this exit code and public code, told in the last three lines.
    pub(crate) fn failed(self, exit: i32, code: &str) -> String {
        assert_eq!(self.code, exit, "{self:?}");
        let lines: Vec<&str> = self.err.lines().collect();
        let [.., what, why, hint] = lines[..] else {
            panic!("{self:?}");
        };
        assert!(
            what.starts_with("error: ") && what.ends_with(&format!("[{code}]")),
            "{self:?}"
        );
        assert!(
            why.starts_with("  why: ") && hint.starts_with("  try: "),
            "{self:?}"
        );
        self.err
    }
}

pub(crate) fn run_async<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}
