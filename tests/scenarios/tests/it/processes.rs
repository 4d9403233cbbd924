//! Several processes on one data directory command, follow, fence and replace one another.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mirage_domain::event::Event;
use mirage_domain::{plan, scan};
use mirage_scenarios::{Place, Running, ended_once, same, until};
use mirage_world::{Config, World};
use rusqlite::{Connection, OpenFlags};

/// What another process says must take effect within this time, by the clock of the log.
const EFFECT_MAX: Duration = Duration::from_secs(1);
/// So many questions that none is answered.
const ALL: u64 = 1_000_000;

async fn world(hosts: usize) -> Result<World> {
    World::start(Config {
        hosts,
        ..Config::default()
    })
    .await
}

fn start(place: &Place, world: &World, key: &str) -> Result<Running> {
    place
        .session(world)?
        .usual(world)
        .with(&["--idempotency-key", key])
        .start()
}

/// When the first event that `wanted` accepts was recorded after position `after`, in milliseconds.
async fn recorded(
    place: &Place,
    after: u64,
    wanted: impl Fn(&Event) -> bool,
) -> Result<Option<(u64, i64)>> {
    let commits = place.history().await?;
    let first = commits.iter().find(|recorded| {
        recorded.position.0 > after
            && recorded
                .commit
                .events
                .iter()
                .any(|entry| wanted(&entry.event))
    });
    Ok(first.map(|recorded| {
        (
            recorded.position.0,
            recorded.commit.recorded_at.as_millisecond(),
        )
    }))
}

fn is_scheduling(event: &Event) -> bool {
    matches!(event, Event::Plan(plan::Event::Scheduled(task)) if task.module.as_str() != "seed")
}

/// Waits until the scan has begun to ask.
async fn begun(place: &Place) -> Result<()> {
    let log = place.data().join("log.db");
    until("the log", async || Ok(log.exists().then_some(()))).await?;
    let first = async || Ok(recorded(place, 0, is_scheduling).await.unwrap_or_default());
    until("the first task", first).await.map(drop)
}

/// Freezes a process between two writes: one that holds a write lock keeps all others from writing until it wakes.
async fn freeze(place: &Place, running: &Running) -> Result<()> {
    let stores = ["log.db", "evidence/small.db", "leases.db"];
    let freeze = async || {
        running.signal("STOP")?;
        until("every thread to stand still", async || {
            Ok(stands_still(running.pid())?.then_some(()))
        })
        .await?;
        let is_held = stores.iter().any(|store| lock(place, store).is_err());
        if is_held {
            running.signal("CONT")?;
        }
        Ok((!is_held).then_some(()))
    };
    until("a moment without a write", freeze).await
}

/// Whether every thread of a process is stopped: the signal reaches a thread only once it has its turn.
fn stands_still(pid: u32) -> Result<bool> {
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = std::fs::read_to_string(thread?.path().join("status"))?;
        let state = status.lines().find(|line| line.starts_with("State:"));
        if !state.is_some_and(|state| state.contains("T (stopped)")) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Takes the write lock of a store, as long as the answer lives.
fn lock(place: &Place, store: &str) -> rusqlite::Result<Connection> {
    // It must be there: an empty one made here would be a foreign one to the program.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(place.data().join(store), flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    Ok(connection)
}

async fn state(place: &Place) -> Result<String> {
    let scan = place.scan("@last").await?;
    Ok(scan["state"].as_str().unwrap_or_default().to_owned())
}

async fn interrupted(place: &Place) -> Result<()> {
    let look = async || Ok((state(place).await? == "interrupted").then_some(()));
    until("the lease to run out", look).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_from_elsewhere_stops_the_scheduling_until_it_is_resumed() -> Result<()> {
    let world = world(200).await?;
    let place = Place::new()?;
    let running = start(&place, &world, "k")?;
    begun(&place).await?;
    place
        .mirage(&["scans", "pause", "@last"])
        .await?
        .expect(&[0])?;
    let is_pause = |event: &Event| matches!(event, Event::Scan(scan::Event::Paused(_)));
    let (paused, at) = recorded(&place, 0, is_pause).await?.context("the pause")?;
    ensure!(state(&place).await? == "paused");
    // What was open ends; then, in a pause that was heeded, nothing is open and nothing comes.
    let settled = async || {
        Ok(place.scan("@last").await?["open"]
            .as_array()
            .is_some_and(Vec::is_empty)
            .then_some(()))
    };
    until("the open tasks to end", settled).await?;
    ensure!(
        state(&place).await? == "paused",
        "the scan ended in spite of the pause"
    );
    place
        .mirage(&["scans", "resume", "--no-wait", "@last"])
        .await?
        .expect(&[0])?;
    let ran = running.end().await?.expect(&[0, 7])?;
    ensure!(ran.text()?.contains("completed"), "{}", ran.text()?);
    let is_resume = |event: &Event| matches!(event, Event::Scan(scan::Event::Resumed(_)));
    let (resumed, _) = recorded(&place, 0, is_resume)
        .await?
        .context("the resumption")?;
    for commit in place.history().await? {
        let is_between = commit.position.0 > paused && commit.position.0 < resumed;
        if is_between
            && commit
                .commit
                .events
                .iter()
                .any(|entry| is_scheduling(&entry.event))
        {
            let late = commit.commit.recorded_at.as_millisecond() - at;
            ensure!(
                late < EFFECT_MAX.as_millis() as i64,
                "scheduled {late} ms after the pause"
            );
        }
    }
    ensure!(
        recorded(&place, resumed, is_scheduling).await?.is_some(),
        "nothing was left for after the pause"
    );
    ended_once(&place.scanned().await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_from_elsewhere_ends_a_scan_that_waits_for_answers() -> Result<()> {
    let world = world(8).await?;
    let place = Place::new()?;
    world.drop_dns(ALL);
    let running = start(&place, &world, "k")?;
    begun(&place).await?;
    place
        .mirage(&["scans", "stop", "@last"])
        .await?
        .expect(&[0])?;
    let ran = running.end().await?.expect(&[0, 7])?;
    ensure!(ran.text()?.contains("stopped"), "{}", ran.text()?);
    let is_stop = |event: &Event| matches!(event, Event::Scan(scan::Event::StopRequested(_)));
    let is_end = |event: &Event| matches!(event, Event::Scan(scan::Event::Finished(_)));
    let (_, asked) = recorded(&place, 0, is_stop).await?.context("the stop")?;
    let (_, ended) = recorded(&place, 0, is_end).await?.context("the end")?;
    ensure!(
        ended - asked < EFFECT_MAX.as_millis() as i64,
        "it took {} ms",
        ended - asked
    );
    ended_once(&place.scanned().await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_whose_process_freezes_is_taken_over_and_the_frozen_one_does_no_harm() -> Result<()>
{
    let world = world(8).await?;
    let undisturbed = Place::new()?;
    start(&undisturbed, &world, "k")?
        .end()
        .await?
        .expect(&[0, 7])?;
    let place = Place::new()?;
    world.drop_dns(ALL);
    let frozen = start(&place, &world, "k")?;
    begun(&place).await?;
    freeze(&place, &frozen).await?;
    world.drop_dns(0);
    // It follows the one that holds the lease, until that lease has run out.
    let second = start(&place, &world, "k")?.end().await?.expect(&[0, 7])?;
    ensure!(
        second.err.contains("another process runs this scan"),
        "{}",
        second.err
    );
    let over = place.scanned().await?;
    ended_once(&over)?;
    frozen.signal("CONT")?;
    let first = frozen.end().await?.expect(&[0, 7])?;
    ensure!(
        first.err.contains("another process runs this scan"),
        "{}",
        first.err
    );
    ensure!(first.text()?.contains("completed"), "{}", first.text()?);
    let after = place.scanned().await?;
    ended_once(&after)?;
    same(&over.claims, &after.claims)?;
    same(&undisturbed.scanned().await?.claims, &after.claims)?;
    place
        .mirage(&["log", "verify"])
        .await?
        .expect(&[0])
        .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_wakes_among_another_ones_work_lets_go() -> Result<()> {
    let world = world(8).await?;
    let place = Place::new()?;
    world.drop_dns(ALL);
    let frozen = start(&place, &world, "k")?;
    begun(&place).await?;
    freeze(&place, &frozen).await?;
    let is_claim = |event: &Event| matches!(event, Event::Plan(plan::Event::Claimed(_)));
    let (first, _) = recorded(&place, 0, is_claim).await?.context("a claim")?;
    let second = start(&place, &world, "k")?;
    let claimed = async || recorded(&place, first, is_claim).await;
    until("the second process to claim the plan", claimed).await?;
    frozen.signal("CONT")?;
    world.drop_dns(0);
    let (first, second) = (frozen.end().await?, second.end().await?);
    for ran in [first.expect(&[0, 7])?, second.expect(&[0, 7])?] {
        ensure!(
            ran.err.contains("another process runs this scan"),
            "{}",
            ran.err
        );
        ensure!(ran.text()?.contains("completed"), "{}", ran.text()?);
    }
    let scanned = place.scanned().await?;
    ended_once(&scanned)?;
    let undisturbed = Place::new()?;
    start(&undisturbed, &world, "k")?
        .end()
        .await?
        .expect(&[0, 7])?;
    same(&undisturbed.scanned().await?.claims, &scanned.claims)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_that_another_process_keeps_from_writing_says_so() -> Result<()> {
    let world = world(0).await?;
    let place = Place::new()?;
    start(&place, &world, "k")?.end().await?.expect(&[0, 7])?;
    let held = lock(&place, "log.db")?;
    let ran = start(&place, &world, "another")?
        .end()
        .await?
        .expect(&[9])?;
    ensure!(ran.err.contains("log_busy"), "{}", ran.err);
    ensure!(
        ran.err.contains(&std::process::id().to_string()),
        "its pid is not named: {}",
        ran.err
    );
    drop(held);
    start(&place, &world, "another")?
        .end()
        .await?
        .expect(&[0, 7])
        .map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_scans_run_side_by_side_in_one_directory() -> Result<()> {
    let world = world(8).await?;
    let place = Place::new()?;
    let (one, two) = (start(&place, &world, "one")?, start(&place, &world, "two")?);
    one.end().await?.expect(&[0, 7])?;
    two.end().await?.expect(&[0, 7])?;
    let scans = place.all_scanned().await?;
    let [one, two] = &*scans else {
        anyhow::bail!("{} scans", scans.len());
    };
    ended_once(one)?;
    ended_once(two)?;
    same(&one.claims, &two.claims)?;
    let listed = place.objects(&["scans"]).await?;
    ensure!(
        listed.iter().all(|scan| scan["state"] == "finished"),
        "{listed:#?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_scan_is_mentioned_shown_as_interrupted_and_resumed() -> Result<()> {
    let world = world(8).await?;
    let undisturbed = Place::new()?;
    start(&undisturbed, &world, "k")?
        .end()
        .await?
        .expect(&[0, 7])?;
    let place = Place::new()?;
    world.drop_dns(ALL);
    let killed = start(&place, &world, "k")?;
    begun(&place).await?;
    killed.signal("KILL")?;
    ensure!(
        killed.end().await?.code.is_none(),
        "it ended before it was killed"
    );
    world.drop_dns(0);
    interrupted(&place).await?;
    let scans = place.objects(&["scans"]).await?;
    let id = scans[0]["scan_id"].as_str().context("an id")?.to_owned();
    let words = [
        "scan",
        "other.example",
        "--profile",
        "passive",
        "--modules",
        "dns",
        "--resolver",
    ];
    let resolver = world.resolver().to_string();
    let other = place
        .mirage(&[&words[..], &[&resolver]].concat())
        .await?
        .expect(&[0, 7])?;
    ensure!(
        other.err.contains(&format!("scan {id} is interrupted")),
        "{}",
        other.err
    );
    // Reading and scanning something else have not touched it.
    ensure!(place.scan(&id).await?["state"] == "interrupted");
    place.resume(&world, &id).await?.expect(&[0, 7])?;
    ensure!(place.scan(&id).await?["state"] == "finished");
    let wanted = undisturbed.scanned().await?.claims;
    let resumed = place
        .all_scanned()
        .await?
        .into_iter()
        .find(|scan| scan.claims.len() > 20);
    let resumed = resumed.context("the resumed scan")?;
    ended_once(&resumed)?;
    same(&wanted, &resumed.claims)
}
