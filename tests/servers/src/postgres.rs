//! PostgreSQL: one server for the process, or for all of them, and a fresh database for each test.
//!
//! The databases sort text by a language, as production's do: a query that means bytes must say `COLLATE "C"`.
//!
//! **Never:** a setting that weakens durability.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::process::{End, Failure, Launch, Process};
use crate::{Authority, Program, folder, ledger, ports, program, user};

/// Fetched: what Debian 12 has.
pub const VERSION: &str = "15";
/// Accepted: the views are written for it.
const MINIMUM: (u32, u32) = (15, 0);
/// The URL of a server that is there already; its user may create databases.
pub const GIVEN: &str = "MIRAGE_TEST_POSTGRES";

const NAME: &str = "postgres";
/// Where Debian keeps a folder per major version. What stands on `PATH` there may be a wrapper.
const DEBIAN: &str = "/usr/lib/postgresql";
const READY: Duration = Duration::from_secs(60);
/// After a kill, for what the dead server's children still hold.
const RESTARTS: usize = 20;

/// A database of its own, on a server that may be shared; dropped with this.
pub struct Postgres {
    server: Arc<Server>,
    name: String,
}

struct Server {
    /// None: given by the environment.
    process: Option<Process>,
    psql: PathBuf,
    /// Of its `postgres` database.
    url: String,
    is_shared: bool,
}

/// A fresh database on the server that all tests share, or the reason is recorded and there is none.
///
/// # Panics
/// If the server is there and does not start, or is missing and required.
pub fn postgres() -> Option<Postgres> {
    static SHARED: OnceLock<Arc<Server>> = OnceLock::new();
    let program = match std::env::var(GIVEN) {
        Ok(url) => given(&url),
        Err(_) => find(),
    };
    let program = ledger::demand(NAME, program)?;
    let server = SHARED.get_or_init(|| match std::env::var(GIVEN) {
        Ok(url) => Arc::new(Server {
            process: None,
            psql: program.path,
            url,
            is_shared: true,
        }),
        Err(_) => Arc::new(ports::with(1, |ports| {
            start(&program, ports[0], None, true)
        })),
    });
    Some(database(server))
}

/// A fresh database on a server that nobody else uses: for tests that hurt it.
///
/// # Panics
/// As [`postgres`].
pub fn postgres_alone() -> Option<Postgres> {
    let program = ledger::demand(NAME, find())?;
    let server = Arc::new(ports::with(1, |ports| {
        start(&program, ports[0], None, false)
    }));
    Some(database(&server))
}

/// What a server asks of its clients; its superuser needs none of it.
pub struct PostgresLock<'a> {
    /// Signs the server's certificate.
    pub authority: &'a Authority,
    /// The user `mirage` has this password, and may come by TLS alone.
    pub password: &'a str,
    /// Whether that user must show a certificate of the authority, too.
    pub wants_certificate: bool,
}

/// A fresh database on a server of its own that wants TLS and a password; its URL is the superuser's, the user `mirage`
/// owns it.
///
/// # Panics
/// As [`postgres`].
pub fn postgres_locked(lock: &PostgresLock<'_>) -> Option<Postgres> {
    let program = ledger::demand(NAME, find())?;
    let start = |ports: &[u16]| start(&program, ports[0], Some(lock), false);
    let server = Arc::new(ports::with(1, start));
    let role = format!("CREATE ROLE mirage LOGIN PASSWORD '{}'", lock.password);
    server.run(&role).unwrap_or_else(|error| panic!("{error}"));
    let database = database(&server);
    let owner = format!("ALTER DATABASE {} OWNER TO mirage", database.name);
    server.run(&owner).unwrap_or_else(|error| panic!("{error}"));
    Some(database)
}

/// The newest server whose folder has all that a server needs.
pub(crate) fn find() -> Result<Program, String> {
    user::unprivileged("postgres")?;
    let debian = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = debian.chain(std::env::split_paths(&path));
    let is_whole = |bin: &PathBuf| {
        ["postgres", "initdb", "psql"]
            .iter()
            .all(|name| bin.join(name).is_file())
    };
    let found = folders.filter(is_whole).filter_map(|bin| {
        let path = bin.join("postgres");
        let version = program::version(&path, "--version")?;
        program::is_at_least(&version, MINIMUM).then_some(Program { path, version })
    });
    let newest = found.max_by_key(|program| program::numbers(&program.version));
    newest.ok_or_else(|| {
        format!(
            "PostgreSQL {} or later is missing: `cargo xtask servers fetch postgres`",
            MINIMUM.0
        )
    })
}

/// The client's program and the server's version.
fn given(url: &str) -> Result<Program, String> {
    let beside = find().map(|server| server.path.with_file_name("psql"));
    let path = beside.unwrap_or_else(|_| PathBuf::from("psql"));
    let version = ask(&path, url, "SHOW server_version")?;
    let version = version
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned();
    Ok(Program { path, version })
}

fn start(
    program: &Program,
    port: u16,
    lock: Option<&PostgresLock<'_>>,
    is_shared: bool,
) -> Result<Server, Failure> {
    let folder = folder::new(NAME);
    let user = user::unprivileged("postgres").expect("it was there when the program was found");
    if let Some((user, group)) = user {
        std::os::unix::fs::chown(&folder, Some(user), Some(group))
            .expect("root may give a folder away");
    }
    make(&program.path.with_file_name("initdb"), &folder, user);
    let mut arguments = vec![
        "-D".to_owned(),
        "data".to_owned(),
        "-p".to_owned(),
        port.to_string(),
    ];
    let locks = lock.map(|lock| self::lock(lock, &folder.join("data"), user));
    let locks = locks.iter().flatten().copied();
    for setting in SETTINGS.iter().copied().chain(locks) {
        arguments.extend(["-c".to_owned(), setting.to_owned()]);
    }
    let launch = Launch {
        program: program.path.clone(),
        arguments,
        environment: Vec::new(),
        user,
        end: End::Quit,
    };
    let process = Process::start("PostgreSQL", folder, launch);
    let server = Server {
        process: Some(process),
        psql: program.path.with_file_name("psql"),
        url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
        is_shared,
    };
    server.until_it_answers()?;
    Ok(server)
}

const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=64MB",
    "max_connections=200",
];

/// Lays the certificate's files and the list of users beside the data, and answers the settings that name them.
fn lock(lock: &PostgresLock<'_>, data: &Path, user: user::User) -> [&'static str; 4] {
    let own = lock.authority.server();
    let certificate = match lock.wants_certificate {
        true => " clientcert=verify-ca",
        false => "",
    };
    let users = format!(
        "host all postgres 127.0.0.1/32 trust\nhostssl all mirage 127.0.0.1/32 scram-sha-256{certificate}\n"
    );
    std::fs::write(data.join("pg_hba.conf"), users).expect("a file in our own folder");
    let files = [
        (own.certificate, "own.pem"),
        (own.key, "own.key"),
        (lock.authority.file(), "ca.pem"),
    ];
    for (from, name) in files {
        let to = data.join(name);
        std::fs::copy(from, &to).expect("a file in our own folder");
        // It refuses a key that others may read.
        std::fs::set_permissions(&to, Permissions::from_mode(0o600)).expect("our own file");
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(&to, Some(user), Some(group))
                .expect("root may give a file away");
        }
    }
    [
        "ssl=on",
        "ssl_cert_file=own.pem",
        "ssl_key_file=own.key",
        "ssl_ca_file=ca.pem",
    ]
}

/// The files of a new server. What `initdb` itself writes needs no fsync: nobody relies on an empty database.
fn make(initdb: &Path, folder: &Path, user: Option<(u32, u32)>) {
    let mut command = Command::new(initdb);
    command.args([
        "-D",
        "data",
        "-A",
        "trust",
        "-U",
        "postgres",
        "--no-sync",
        "--encoding=UTF8",
    ]);
    command.args([
        "--locale=C.UTF-8",
        "--locale-provider=icu",
        "--icu-locale=en-US",
    ]);
    command.current_dir(folder).stdin(Stdio::null());
    user::run_as(&mut command, user);
    let output = command.output().expect("a file that was found can be run");
    assert!(
        output.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn database(server: &Arc<Server>) -> Postgres {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("mirage_{}_{number}", std::process::id());
    server
        .run(&format!("CREATE DATABASE {name}"))
        .unwrap_or_else(|error| panic!("{error}"));
    Postgres {
        server: Arc::clone(server),
        name,
    }
}

impl Postgres {
    pub fn url(&self) -> String {
        let (server, query) = self
            .server
            .url
            .split_once('?')
            .unwrap_or((&self.server.url, ""));
        let authority = server
            .rfind('/')
            .filter(|slash| !server[..*slash].ends_with('/'));
        let server = &server[..authority.unwrap_or(server.len())];
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{server}/{}{mark}{query}", self.name)
    }

    /// The server's process: to kill, stop and continue it.
    ///
    /// # Panics
    /// If others use it, too.
    pub fn process(&self) -> &Process {
        let own = self
            .server
            .process
            .as_ref()
            .filter(|_| !self.server.is_shared);
        own.expect("who hurts a server asks for one of its own: `postgres_alone`")
    }

    /// Starts it again (a running one is killed first) and waits until it answers.
    ///
    /// # Panics
    /// If others use it, too, or if it does not answer within a minute.
    pub fn restart(&self) {
        for attempt in 1.. {
            self.process().spawn();
            match self.server.until_it_answers() {
                Ok(()) => return,
                // The children of a killed server notice within moments.
                Err(failure) if failure.says("still in use") && attempt < RESTARTS => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(failure) => panic!("{failure}"),
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A server that was killed has nothing to drop, one of the test's own goes whole.
        if self.server.is_shared {
            let _ = self
                .server
                .run(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        }
    }
}

impl Server {
    fn run(&self, statement: &str) -> Result<String, String> {
        ask(&self.psql, &self.url, statement)
    }

    fn until_it_answers(&self) -> Result<(), Failure> {
        let process = self
            .process
            .as_ref()
            .expect("only an own server is started");
        process.until(READY, || {
            // The pid in its file is ours: a stranger on a taken port does not count.
            let file = process.folder().join("data/postmaster.pid");
            let pid = std::fs::read_to_string(file).unwrap_or_default();
            pid.lines().next() == Some(&process.pid().to_string()) && self.run("SELECT 1").is_ok()
        })
    }
}

fn ask(psql: &Path, url: &str, statement: &str) -> Result<String, String> {
    let mut command = Command::new(psql);
    command
        .args(["-X", "-A", "-t", "-q", "-c", statement, url])
        .stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|error| format!("psql does not start: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!(
            "PostgreSQL refuses `{statement}`: {}",
            text(&output.stderr)
        ))
    }
}
