//! How each server is got: by the package managers of this machine, never by a download of our own.
//!
//! **Invariant:** what is there is not fetched again, and what cannot be had is said, not fatal.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};
use mirage_servers::{
    Kind, NATS_VERSION, NEO4J_VERSION, POSTGRES_VERSION, PROMTOOL_VERSION, S3_VERSION, cached,
};

/// Gets all of `wanted` side by side and says in a line each what came of it; the answer is what is there.
pub(super) fn all(wanted: &[&'static Kind]) -> Vec<&'static Kind> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = wanted
            .iter()
            .map(|kind| scope.spawn(|| is_had(kind)))
            .collect();
        let had = threads
            .into_iter()
            .zip(wanted)
            .filter_map(|(thread, kind)| {
                let is_there = thread.join().expect("fetching answers with an error");
                is_there.then_some(*kind)
            });
        had.collect()
    })
}

fn is_had(kind: &Kind) -> bool {
    let name = kind.name;
    if let Ok(program) = (kind.find)() {
        println!("    {name} {} is there", program.version);
        return true;
    }
    let started = Instant::now();
    let fetched = fetch(name);
    match ((kind.find)(), fetched) {
        (Ok(program), _) => {
            let seconds = started.elapsed().as_secs_f64();
            println!("    {name} {} fetched in {seconds:.1} s", program.version);
            return true;
        }
        (Err(_), Err(error)) => println!("    {name} cannot be had: {error:#}"),
        (Err(reason), Ok(())) => println!("    {name} cannot be had: {reason}"),
    }
    false
}

fn fetch(name: &str) -> anyhow::Result<()> {
    match name {
        "nats" => go("github.com/nats-io/nats-server/v2", NATS_VERSION),
        "neo4j" => neo4j(),
        "postgres" => postgres(),
        "promtool" => promtool(),
        "s3" => go("github.com/versity/versitygw/cmd/versitygw", S3_VERSION),
        // Its reason says what a person can do.
        _ => Ok(()),
    }
}

/// Builds a Go program; it is called as the last part of its package that is no version.
fn go(package: &str, version: &str) -> anyhow::Result<()> {
    let program = package.trim_end_matches("/v2").rsplit('/').next();
    let folder = cached(program.expect("a path has a last part"), version);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let mut command = Command::new("go");
    command.arg("install").arg(format!("{package}@v{version}"));
    // A program for another machine would land elsewhere.
    command
        .env("GOBIN", &folder)
        .env_remove("GOOS")
        .env_remove("GOARCH");
    ran(command, &folder)
}

/// The libraries of its community edition, whole or not at all: a folder takes its name when it is full.
fn neo4j() -> anyhow::Result<()> {
    let folder = cached("neo4j", NEO4J_VERSION);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let pom = NEO4J_POM.replace("VERSION", NEO4J_VERSION);
    fs::write(folder.join("pom.xml"), pom).context("writing the list of Neo4j's libraries")?;
    let part = tempfile::Builder::new()
        .prefix("part-")
        .tempdir_in(&folder)?;
    let mut command = Command::new("mvn");
    command.args(["--batch-mode", "--quiet", "dependency:copy-dependencies"]);
    command.arg(format!("-DoutputDirectory={}", part.path().display()));
    ran(command, &folder)?;
    fs::rename(part.path(), folder.join("lib")).context("moving Neo4j's libraries to their place")
}

const NEO4J_POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>mirage</groupId>
  <artifactId>neo4j-libraries</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId><version>VERSION</version></dependency>
    <dependency><groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId><version>VERSION</version></dependency>
  </dependencies>
</project>
"#;

/// Debian's package; only root may install it.
fn postgres() -> anyhow::Result<()> {
    let package = format!("postgresql-{POSTGRES_VERSION}");
    let install = || {
        let mut command = Command::new("apt-get");
        command.args(["install", "--yes", "--no-install-recommends", &package]);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        ran(command, Path::new("/"))
    };
    install()
        .or_else(|_| {
            // The list of packages may be old.
            let mut update = Command::new("apt-get");
            update.arg("update");
            ran(update, Path::new("/"))?;
            install()
        })
        .with_context(|| format!("as root, `apt-get install {package}`"))
}

/// Takes the one program out of its package, which would bring a server.
fn promtool() -> anyhow::Result<()> {
    let folder = cached("promtool", PROMTOOL_VERSION);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let part = tempfile::tempdir_in(&folder)?;
    let download = || {
        let mut command = Command::new("apt-get");
        command.args(["download", "prometheus"]);
        ran(command, part.path())
    };
    download().or_else(|_| {
        // The list of packages may be old.
        let mut update = Command::new("apt-get");
        update.arg("update");
        ran(update, Path::new("/"))?;
        download()
    })?;
    let package = fs::read_dir(part.path())?.next().context("a package")??;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(package.path()).arg("unpacked");
    ran(unpack, part.path())?;
    fs::rename(
        part.path().join("unpacked/usr/bin/promtool"),
        folder.join("promtool"),
    )?;
    Ok(())
}

/// Runs it in `folder`; an error carries the last thing that it said.
fn ran(mut command: Command, folder: &Path) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.current_dir(folder).output();
    let output = output.with_context(|| format!("{program} is needed and does not start"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        bail!(
            "{program} ended with {}: {}",
            output.status,
            last.unwrap_or_default()
        );
    }
    Ok(())
}
