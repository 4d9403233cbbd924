//! Neo4j: one server for the process, or for all of them; all who ask share its one database.
//!
//! Tests that run beside each other must keep to labels or keys of their own.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::process::{End, Failure, Launch, Process};
use crate::{Authority, Identity, Program, folder, ledger, ports, program, wire};

/// Fetched: the newest of the line with long-term support that runs on Java 17.
pub const VERSION: &str = "5.26.16";
const JAVA_MINIMUM: (u32, u32) = (17, 0);
/// The Bolt address of a server that is there already, without a password.
pub const GIVEN: &str = "MIRAGE_TEST_NEO4J";

const NAME: &str = "neo4j";
/// It takes 10 s on an idle machine.
const READY: Duration = Duration::from_secs(180);

/// A server that may be shared.
pub struct Neo4j {
    server: Arc<Server>,
}

struct Server {
    /// None: given by the environment.
    process: Option<Process>,
    bolt: String,
    port: u16,
    is_shared: bool,
    /// Who signed its certificate, where it speaks TLS, and one that it trusts.
    authority: Option<(PathBuf, Identity)>,
}

/// What a server asks of its clients.
pub struct Neo4jLock<'a> {
    /// Of the user `neo4j`.
    pub password: &'a str,
    /// Signs the server's certificate; nobody may come in the clear.
    pub authority: &'a Authority,
    /// Whether a client must show a certificate of the authority, too.
    pub wants_certificate: bool,
}

/// The server that all tests share, or the reason is recorded and there is none.
///
/// # Panics
/// If the server is there and does not start, or is missing and required.
pub fn neo4j() -> Option<Neo4j> {
    static FOUND: OnceLock<Result<Program, String>> = OnceLock::new();
    static SHARED: OnceLock<Arc<Server>> = OnceLock::new();
    let given = std::env::var(GIVEN).ok();
    let found = FOUND.get_or_init(|| given.as_deref().map_or_else(find, ask_given));
    let program = ledger::demand(NAME, found.clone())?;
    let server = SHARED.get_or_init(|| match given {
        Some(bolt) => Arc::new(Server {
            process: None,
            bolt,
            port: 0,
            is_shared: true,
            authority: None,
        }),
        None => Arc::new(ports::with(1, |ports| {
            start(&program, ports[0], None, true)
        })),
    });
    Some(Neo4j {
        server: Arc::clone(server),
    })
}

/// A server that nobody else uses, up in ten seconds: for tests that hurt it.
///
/// # Panics
/// As [`neo4j`].
pub fn neo4j_alone() -> Option<Neo4j> {
    let program = ledger::demand(NAME, find())?;
    let server = ports::with(1, |ports| start(&program, ports[0], None, false));
    Some(Neo4j {
        server: Arc::new(server),
    })
}

/// The same, locked.
///
/// # Panics
/// As [`neo4j`].
pub fn neo4j_locked(lock: &Neo4jLock<'_>) -> Option<Neo4j> {
    let program = ledger::demand(NAME, find())?;
    let server = ports::with(1, |ports| start(&program, ports[0], Some(lock), false));
    Some(Neo4j {
        server: Arc::new(server),
    })
}

/// The folder of its libraries, where there is a Java to run them.
pub(crate) fn find() -> Result<Program, String> {
    let libraries = program::cached(NAME, VERSION).join("lib");
    if !libraries.is_dir() {
        return Err(format!(
            "Neo4j {VERSION} is missing: `cargo xtask servers fetch neo4j`"
        ));
    }
    java()?;
    Ok(Program {
        path: libraries,
        version: VERSION.to_owned(),
    })
}

/// The `java` of `JAVA_HOME`, or the one on `PATH`.
pub fn java() -> Result<PathBuf, String> {
    let home = std::env::var_os("JAVA_HOME");
    let java = home.map_or_else(
        || PathBuf::from("java"),
        |home| PathBuf::from(home).join("bin/java"),
    );
    match program::version(&java, "--version") {
        Some(version) if program::is_at_least(&version, JAVA_MINIMUM) => Ok(java),
        other => Err(format!(
            "Neo4j needs Java {} or later, here is {}: install Debian's default-jre-headless",
            JAVA_MINIMUM.0,
            other.as_deref().unwrap_or("none")
        )),
    }
}

fn ask_given(bolt: &str) -> Result<Program, String> {
    let port = bolt
        .rsplit(':')
        .next()
        .and_then(|port| port.trim_end_matches('/').parse().ok());
    let version = port.and_then(wire::connect).and_then(hello);
    let version = version.ok_or_else(|| format!("{GIVEN} names {bolt}, where no Neo4j answers"))?;
    Ok(Program {
        path: PathBuf::new(),
        version,
    })
}

fn start(
    program: &Program,
    port: u16,
    locked: Option<&Neo4jLock<'_>>,
    is_shared: bool,
) -> Result<Server, Failure> {
    let folder = folder::new(NAME);
    std::fs::create_dir(folder.join("conf")).expect("a folder in our own folder");
    let lock = match locked {
        None => "dbms.security.auth_enabled=false\n".to_owned(),
        Some(locked) => lock(locked, &folder),
    };
    std::fs::write(folder.join("conf/neo4j.conf"), configuration(port) + &lock)
        .expect("a file in our own folder");
    if let Some(locked) = locked {
        set_password(program, &folder, locked.password);
    }
    let own = folder.display();
    let last = [
        "-cp".to_owned(),
        format!("{}/*", program.path.display()),
        "org.neo4j.server.CommunityEntryPoint".to_owned(),
        format!("--home-dir={own}"),
        format!("--config-dir={own}/conf"),
        // Its log on its output, too.
        "--console-mode".to_owned(),
    ];
    let launch = Launch {
        program: java().expect("it was there when the server was found"),
        arguments: JAVA
            .iter()
            .map(|argument| (*argument).to_owned())
            .chain(last)
            .collect(),
        environment: Vec::new(),
        user: None,
        end: End::Kill,
    };
    let process = Some(Process::start("Neo4j", folder, launch));
    let authority = locked.map(|locked| {
        let Neo4jLock { authority, .. } = locked;
        (
            authority.file(),
            authority.signed("of-the-harness", &["localhost"]),
        )
    });
    let scheme = if authority.is_some() {
        "bolt+s"
    } else {
        "bolt"
    };
    let server = Server {
        process,
        bolt: format!("{scheme}://127.0.0.1:{port}"),
        port,
        is_shared,
        authority,
    };
    server.until_it_answers()?;
    Ok(server)
}

/// What its own launcher passes to Java 17.
const JAVA: &[&str] = &[
    "-Xmx1g",
    "-XX:+UseG1GC",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.io=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "-Dio.netty.tryReflectionSetAccessible=true",
];

fn configuration(port: u16) -> String {
    format!(
        "server.bolt.listen_address=127.0.0.1:{port}\nserver.bolt.advertised_address=127.0.0.1:{port}\n\
         server.http.enabled=false\ndbms.usage_report.enabled=false\n\
         server.memory.heap.max_size=512m\nserver.memory.pagecache.size=128m\n"
    )
}

/// TLS for Bolt, with the files where its policy looks for them.
fn lock(lock: &Neo4jLock<'_>, folder: &Path) -> String {
    let own = lock.authority.server();
    let certificates = folder.join("certificates/bolt");
    std::fs::create_dir_all(certificates.join("trusted")).expect("a folder in our own folder");
    let files = [
        (own.key, "private.key"),
        (own.certificate, "public.crt"),
        (lock.authority.file(), "trusted/ca.crt"),
    ];
    for (from, to) in files {
        std::fs::copy(from, certificates.join(to)).expect("a file in our own folder");
    }
    let clients = match lock.wants_certificate {
        true => "REQUIRE",
        false => "NONE",
    };
    format!(
        "server.bolt.tls_level=REQUIRED\ndbms.ssl.policy.bolt.enabled=true\n\
         dbms.ssl.policy.bolt.base_directory=certificates/bolt\ndbms.ssl.policy.bolt.client_auth={clients}\n"
    )
}

/// By its own tool, before the first start.
fn set_password(program: &Program, folder: &Path, password: &str) {
    let mut command = Command::new(java().expect("it was there when the server was found"));
    command.arg("-cp");
    command.arg(format!("{}/*", program.path.display()));
    command.args(["org.neo4j.cli.AdminTool", "dbms", "set-initial-password"]);
    command.arg(password).stdin(Stdio::null());
    command
        .env("NEO4J_HOME", folder)
        .env("NEO4J_CONF", folder.join("conf"));
    let output = command.output().expect("a Java that was found can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "setting Neo4j's password: {said}");
}

impl Neo4j {
    /// Its address, `bolt://HOST:PORT` without a password, or `bolt+s://HOST:PORT`.
    pub fn bolt(&self) -> &str {
        &self.server.bolt
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
        own.expect("who hurts a server asks for one of its own: `neo4j_alone`")
    }

    /// Starts it again (a running one is killed first) and waits until it answers.
    ///
    /// # Panics
    /// If others use it, too, or if it does not answer within three minutes.
    pub fn restart(&self) {
        self.process().spawn();
        self.server
            .until_it_answers()
            .unwrap_or_else(|failure| panic!("{failure}"));
    }
}

impl Server {
    fn until_it_answers(&self) -> Result<(), Failure> {
        let process = self
            .process
            .as_ref()
            .expect("only an own server is started");
        process.until(READY, || self.hello().is_some())
    }

    fn hello(&self) -> Option<String> {
        match &self.authority {
            None => hello(wire::connect(self.port)?),
            Some((file, own)) => hello(wire::connect_tls(self.port, file, Some(own))?),
        }
    }
}

/// Says hello in Bolt 5.2, the last that asks for no more than a name, and reads the version that the server tells.
fn hello(mut stream: impl Read + Write) -> Option<String> {
    // Magic, then four wanted versions: 5.2 down to 5.1, and none.
    stream
        .write_all(&[
            0x60, 0x60, 0xB0, 0x17, 0, 1, 2, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ])
        .ok()?;
    let mut chosen = [0; 4];
    stream.read_exact(&mut chosen).ok()?;
    // HELLO {user_agent: "mirage"}: a chunk of 21 bytes, then the empty chunk that ends a message.
    stream
        .write_all(b"\x00\x15\xB1\x01\xA1\x8Auser_agent\x86mirage\x00\x00")
        .ok()?;
    let mut size = [0; 2];
    stream.read_exact(&mut size).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(size))];
    stream.read_exact(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (_, version) = answer.split_once("Neo4j/")?;
    let is_part = |letter: &char| letter.is_ascii_digit() || *letter == '.';
    Some(version.chars().take_while(is_part).collect())
}
