//! S3: the gateway versitygw over a folder, with path-style addresses.

use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use crate::process::{End, Failure, Launch, Process};
use crate::{Authority, Program, folder, ledger, ports, program, wire};

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
    /// Who signed its certificate, where it speaks TLS.
    authority: Option<PathBuf>,
}

/// A server of one's own, or the reason is recorded and there is none.
///
/// # Panics
/// If the server is there and does not start, or is missing and required.
pub fn s3() -> Option<S3> {
    let program = ledger::demand(NAME, find())?;
    Some(ports::with(1, |ports| start(&program, ports[0], None)))
}

/// The same behind TLS, with a certificate of this authority.
pub fn s3_with_tls(authority: &Authority) -> Option<S3> {
    let program = ledger::demand(NAME, find())?;
    let start = |ports: &[u16]| start(&program, ports[0], Some(authority));
    Some(ports::with(1, start))
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

fn start(program: &Program, port: u16, authority: Option<&Authority>) -> Result<S3, Failure> {
    let folder = folder::new(NAME);
    // To this gateway a folder is a bucket.
    std::fs::create_dir_all(folder.join("buckets").join(BUCKET))
        .expect("a folder in our own folder");
    let address = format!("127.0.0.1:{port}");
    let mut arguments: Vec<String> = [
        "--port",
        &address,
        "--health",
        "/health",
        "--keep-alive",
        "--quiet",
    ]
    .map(str::to_owned)
    .into();
    if let Some(authority) = authority {
        let own = authority.server();
        let files = [("--cert", own.certificate), ("--key", own.key)];
        arguments.extend(
            files
                .into_iter()
                .flat_map(|(flag, file)| [flag.to_owned(), file.display().to_string()]),
        );
    }
    arguments.extend(["posix", "buckets"].map(str::to_owned));
    let secrets = [
        ("ROOT_ACCESS_KEY", ACCESS_KEY),
        ("ROOT_SECRET_KEY", SECRET_KEY),
    ];
    let launch = Launch {
        program: program.path.clone(),
        arguments,
        environment: secrets
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        user: None,
        end: End::Kill,
    };
    let s3 = S3 {
        process: Process::start(PROGRAM, folder, launch),
        port,
        authority: authority.map(Authority::file),
    };
    s3.until_it_answers()?;
    Ok(s3)
}

impl S3 {
    /// Without a slash at the end; the bucket is the first part of the path.
    pub fn endpoint(&self) -> String {
        let scheme = match self.authority {
            Some(_) => "https",
            None => "http",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The file of whom a client must trust, where it speaks TLS.
    pub fn authority(&self) -> Option<&std::path::Path> {
        self.authority.as_deref()
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
        let asked = || match &self.authority {
            None => wire::get(self.port, "/health"),
            Some(file) => {
                let stream = wire::connect_tls(self.port, file, None)?;
                wire::get_over(stream, self.port, "/health")
            }
        };
        self.process.until(READY, || asked().is_some())
    }
}

impl Deref for S3 {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}
