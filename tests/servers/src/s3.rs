//! S3: the gateway versitygw over a folder, with path-style addresses.

use std::ops::Deref;
use std::time::Duration;

use crate::process::{End, Failure, Launch, Process};
use crate::{Program, folder, ledger, ports, program, wire};

/// Fetched: the newest that was tried; put, get, range, list and `If-None-Match: *` work.
pub const VERSION: &str = "1.8.0";

const NAME: &str = "s3";
const PROGRAM: &str = "versitygw";
const BUCKET: &str = "evidence";
const ACCESS_KEY: &str = "mirage";
const SECRET_KEY: &str = "a-secret-of-tests";
/// The gateway's own default.
const REGION: &str = "us-east-1";
const READY: Duration = Duration::from_secs(30);

/// A server with one empty bucket; its process can be killed, stopped and continued.
pub struct S3 {
    process: Process,
    port: u16,
}

/// A server of one's own, or the reason is recorded and there is none.
///
/// # Panics
/// If the server is there and does not start, or is missing and required.
pub fn s3() -> Option<S3> {
    let program = ledger::demand(NAME, find())?;
    Some(ports::with(1, |ports| start(&program, ports[0])))
}

pub(crate) fn find() -> Result<Program, String> {
    let cached = program::cached(PROGRAM, VERSION);
    let found = program::candidates(PROGRAM, VERSION).into_iter().next();
    let path = found.ok_or("versitygw is missing: `cargo xtask servers fetch s3`")?;
    // Built from the module it tells no version; its folder does.
    let version = if path.starts_with(&cached) {
        VERSION.to_owned()
    } else {
        program::version(&path, "--version").unwrap_or_else(|| "unknown".to_owned())
    };
    Ok(Program { path, version })
}

fn start(program: &Program, port: u16) -> Result<S3, Failure> {
    let folder = folder::new(NAME);
    // To this gateway a folder is a bucket.
    std::fs::create_dir_all(folder.join("buckets").join(BUCKET))
        .expect("a folder in our own folder");
    let address = format!("127.0.0.1:{port}");
    let arguments = [
        "--port",
        &address,
        "--health",
        "/health",
        "--keep-alive",
        "--quiet",
        "posix",
        "buckets",
    ];
    let secrets = [
        ("ROOT_ACCESS_KEY", ACCESS_KEY),
        ("ROOT_SECRET_KEY", SECRET_KEY),
    ];
    let launch = Launch {
        program: program.path.clone(),
        arguments: arguments.map(str::to_owned).into(),
        environment: secrets
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        user: None,
        end: End::Kill,
    };
    let s3 = S3 {
        process: Process::start(PROGRAM, folder, launch),
        port,
    };
    s3.until_it_answers()?;
    Ok(s3)
}

impl S3 {
    /// Without a slash at the end; the bucket is the first part of the path.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn bucket(&self) -> &'static str {
        BUCKET
    }

    pub fn region(&self) -> &'static str {
        REGION
    }

    pub fn access_key(&self) -> &'static str {
        ACCESS_KEY
    }

    pub fn secret_key(&self) -> &'static str {
        SECRET_KEY
    }

    /// Starts it again on its folder and port (a running one is killed first) and waits until it answers.
    ///
    /// # Panics
    /// If it does not within half a minute.
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

impl Deref for S3 {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}
