//! Copies of a log under kill -9 and under writers: each goes on, to the same bytes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mirage_domain::id::{Digest, Position};
use mirage_faults::{Appender, Ledger, Said, program, without_configuration};
use mirage_log::commit::{Actor, ActorKind};
use mirage_log::contract::{encoded, noon, workspace};
use mirage_log::evidence::{EvidenceStore, Files};
use mirage_log::sqlite::Sqlite;
use mirage_log::{EventLog, Head, keys, verify};
use tokio::runtime::Handle;

/// Commits and items of the log that is copied.
const FINDINGS: u64 = 6000;
/// The longest that an undisturbed copy may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Kills of each command; more by `FAULT_CYCLES`.
fn cycles() -> u32 {
    let set = std::env::var("FAULT_CYCLES").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(12)
}

/// A data directory with a workspace, its key, and findings with their evidence.
async fn filled(dir: &Path) -> Result<Head> {
    let log = Arc::new(Sqlite::open(dir)?);
    let actor = Actor {
        kind: ActorKind::Service,
        id: "test".into(),
        version: None,
    };
    keys::begin(&*log, actor.clone(), noon()).await?;
    keys::workspace(log.clone(), &dir.join("keys"), &workspace(), actor, noon).await?;
    let store = Files::open(&dir.join("evidence"))?;
    let lines: Vec<u64> = (1..=FINDINGS).collect();
    for group in lines.chunks(500) {
        for n in group {
            store.put(&workspace(), n.to_be_bytes().to_vec()).await?;
        }
        store.flush().await?;
        let appends = group.iter().map(|n| log.append(encoded(*n, None), None));
        for appended in futures::future::join_all(appends).await {
            appended?;
        }
    }
    Ok(log.head().await?)
}

fn start(data: &Path, words: &[&str]) -> Result<Child> {
    let mut command = Command::new(program("mirage")?);
    without_configuration(&mut command);
    command.args(words).arg("--data").arg(data);
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.spawn().context("starting mirage")
}

/// Waits for the end; answers whether it came in time.
fn ends_within(child: &mut Child, most: Duration) -> Result<bool> {
    let until = Instant::now() + most;
    while child.try_wait()?.is_none() {
        if Instant::now() >= until {
            return Ok(false);
        }
        std::thread::sleep(LOOK);
    }
    Ok(true)
}

fn run(data: &Path, words: &[&str]) -> Result<()> {
    ran(data, words, 0)
}

fn ran(data: &Path, words: &[&str], code: i32) -> Result<()> {
    let mut child = start(data, words)?;
    ensure!(ends_within(&mut child, PATIENCE)?, "{words:?} does not end");
    let ended = child.wait()?.code();
    ensure!(ended == Some(code), "{words:?} ended with {ended:?}");
    Ok(())
}

/// Runs a command again and again, killed at moments all over its time, and then to its end.
fn killed(
    data: &Path,
    words: &[&str],
    time: Duration,
    mut cut: impl FnMut() -> Result<()>,
) -> Result<u32> {
    let mut kills = 0;
    for cycle in 0..cycles() {
        let mut child = start(data, words)?;
        // A pseudo-random moment; each run goes on, so later ones are shorter.
        if ends_within(&mut child, time * (cycle * 37 % 100) / 100)? {
            break;
        }
        child.kill()?;
        child.wait()?;
        kills += 1;
        cut()?;
    }
    run(data, words)?;
    Ok(kills)
}

async fn head(dir: &Path) -> Result<Head> {
    Ok(verify(&Sqlite::open(dir)?).await?.head)
}

fn ends_at(dir: &Path, wanted: Head) -> bool {
    let found = || Handle::current().block_on(head(dir));
    tokio::task::block_in_place(found).is_ok_and(|found| found == wanted)
}

async fn holds_everything(dir: &Path, wanted: Head) -> Result<()> {
    ensure!(
        head(dir).await? == wanted,
        "{} has another end",
        dir.display()
    );
    let store = Files::open(&dir.join("evidence"))?;
    for n in 1..=FINDINGS {
        let digest = Digest::of(&n.to_be_bytes());
        ensure!(
            store.get(&workspace(), digest).await?.is_some(),
            "{digest} is missing"
        );
    }
    let key = keys::fingerprint(&Sqlite::open(dir)?, &workspace()).await?;
    let key = key.context("the workspace")?;
    ensure!(
        keys::is_right(&dir.join("keys"), &workspace(), key),
        "no key"
    );
    Ok(())
}

fn dump(dir: &Path) -> Result<Vec<u8>> {
    let mut command = Command::new(program("mirage")?);
    without_configuration(&mut command);
    command
        .args(["views", "dump", "catalog", "--data"])
        .arg(dir);
    let dumped = command.output()?;
    ensure!(dumped.status.success(), "no dump of {}", dir.display());
    Ok(dumped.stdout)
}

/// Places beside one another.
struct Places {
    dir: tempfile::TempDir,
}

impl Places {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_that_are_killed_again_and_again_end_as_the_same_log() -> Result<()> {
    let places = Places {
        dir: tempfile::tempdir()?,
    };
    let data = places.path("data");
    std::fs::create_dir(&data)?;
    let wanted = filled(&data).await?;
    let timed = |words: &[&str], at: &Path| -> Result<Duration> {
        let begun = Instant::now();
        run(at, words)?;
        Ok(begun.elapsed())
    };
    let mut kills = 0;

    let (whole, torn) = (places.path("whole"), places.path("torn"));
    let time = timed(&["log", "export", "--out", text(&whole)?], &data)?;
    kills += killed(
        &data,
        &["log", "export", "--out", text(&torn)?],
        time,
        || Ok(()),
    )?;
    ensure!(
        std::fs::read(&torn)? == std::fs::read(&whole)?,
        "other archives"
    );

    let (backup, again) = (places.path("backup"), places.path("again"));
    let time = timed(&["log", "backup", text(&backup)?], &data)?;
    let marker = again.join("backup.json");
    let unmarked = || {
        // A kill may also fall between the marker and the end of the process.
        let is_marked = marker.exists();
        ensure!(
            !is_marked || ends_at(&again, wanted),
            "marked as whole before it was"
        );
        Ok(())
    };
    kills += killed(&data, &["log", "backup", text(&again)?], time, unmarked)?;
    holds_everything(&again, wanted).await?;

    let (restored, torn) = (places.path("restored"), places.path("torn-restore"));
    let time = timed(&["log", "restore", text(&backup)?], &restored)?;
    let refused = || {
        // Either nothing of the log is there yet, or it is refused until it is whole.
        let is_usable = torn.join("log.db").exists() && Sqlite::open(&torn).is_ok();
        ensure!(
            !is_usable || ends_at(&torn, wanted),
            "a part passes for the whole"
        );
        Ok(())
    };
    kills += killed(&torn, &["log", "restore", text(&again)?], time, refused)?;
    holds_everything(&restored, wanted).await?;
    holds_everything(&torn, wanted).await?;

    let into = places.path("into");
    kills += killed(&data, &["replay", "--into", text(&into)?], time, || Ok(()))?;
    holds_everything(&into, wanted).await?;
    let views = dump(&data)?;
    ensure!(
        dump(&into)? == views && dump(&torn)? == views,
        "views differ"
    );
    ensure!(kills >= 4, "only {kills} kills fell into the copying");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_while_a_writer_writes_holds_all_that_was_acknowledged_before() -> Result<()>
{
    let places = Places {
        dir: tempfile::tempdir()?,
    };
    let (data, backup) = (places.path("data"), places.path("backup"));
    std::fs::create_dir(&data)?;
    let appender = Appender::start(&data, 1, &[])?;
    let (mut said, mut last) = (Vec::new(), Position(0));
    for _ in 0..4 {
        let mut before = 0;
        for _ in 0..300 {
            let next = appender.next()?;
            if let Said::Acknowledged { position, .. } = next {
                before = position.max(before);
            }
            said.push(next);
        }
        // All is carried, and what the writer cites and never stored is missed at the end.
        ran(&data, &["log", "backup", text(&backup)?], 6)?;
        let end = head(&backup).await?;
        ensure!(end.position.0 >= before, "{} before {before}", end.position);
        ensure!(end.position > last, "the backup did not grow");
        let log = Sqlite::open(&data)?;
        ensure!(
            log.commit(end.position).await?.log_hash == end.log_hash,
            "another log"
        );
        last = end.position;
    }
    said.extend(appender.kill()?);
    let mut ledger = Ledger::default();
    for said in said {
        match said {
            Said::Acknowledged { position, .. } if position > last.0 => {}
            said => ledger.note(said),
        }
    }
    ensure!(ledger.len() >= 1000, "{} in the backup", ledger.len());
    let restored = places.path("restored");
    run(&restored, &["log", "restore", text(&backup)?])?;
    ledger.check(&backup).await?;
    ledger.check(&restored).await
}
