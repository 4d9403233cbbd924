//! Webhooks of a real scan: every event of the filter arrives in order, though the node is killed.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use mirage_faults::scan::COMPANY;
use mirage_scenarios::{PATIENCE, Place, until, web_ports};
use mirage_world::receiver::{Answer, Received, Receiver};
use mirage_world::{Config, World};
use serde_json::Value;

use crate::gateway::{Served, issue};

/// Kinds that are subscribed to; the last one ends the scan.
const KINDS: [&str; 3] = ["task.found", "scan.started", "scan.finished"];

/// The cursors of the events that are to arrive, in their order.
async fn expected(place: &Place) -> Result<Vec<String>> {
    let history = place.history().await?;
    let entries = history.iter().flat_map(|recorded| recorded.entries());
    let wanted = entries.filter(|(_, entry)| KINDS.contains(&entry.event.kind()));
    Ok(wanted.map(|(cursor, _)| cursor.to_string()).collect())
}

/// What arrived, without what a receiver drops: each id once, and always for the same event.
fn once(received: &[Received]) -> Result<Vec<String>> {
    let mut known = BTreeMap::new();
    let mut once = Vec::new();
    for one in received {
        let (id, sequence) = (one.header("webhook-id").to_owned(), one.sequence());
        match known.insert(id, sequence.clone()) {
            None => once.push(sequence),
            Some(before) => ensure!(before == sequence, "{before} and {sequence} share an id"),
        }
    }
    Ok(once)
}

fn text(rows: &[Value], field: &str) -> Result<String> {
    let value = rows.first().and_then(|row| row[field].as_str());
    Ok(value.context("a row")?.to_owned())
}

fn is_of(received: &Received, kind: &str) -> bool {
    received.json()["type"] == format!("mirage.{kind}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_misses_nothing_of_a_scan_though_the_node_is_killed() -> Result<()> {
    let world = World::start(Config::default()).await?;
    let mut served = Served::start(&world).await?;
    // The first answer of a receiver that is not quite up yet.
    let receiver = Receiver::start(&[Answer::Status(503)]).await?;
    let url = receiver.url();
    let add = ["hooks", "add", &url, "--kind", &KINDS.join(",")];
    let made = served.place.objects(&add).await?;
    let id = text(&made, "subscription_id")?;

    // One that is named and proves its name; whatever it answers, it was spoken to.
    let secured = format!("https://{}:{}/", world.domain(), world.ports().https);
    let add = ["hooks", "add", &secured, "--kind", "scan.started"];
    let made = served.place.objects(&add).await?;
    let secured = text(&made, "subscription_id")?;

    let ports = format!("ports.ports={}", web_ports(&world));
    let profile = ["--profile", "active", "--yes", "--allow-private", COMPANY];
    let scan = [&["scan", world.domain()], &profile[..], &["--set", &ports]].concat();
    served.objects(&scan).await?;
    receiver.until(PATIENCE, |all| all.len() > 20).await?;
    served.replace(&world).await?;
    let is_over = |all: &[Received]| all.iter().any(|one| is_of(one, "scan.finished"));
    let received = receiver.until(PATIENCE, is_over).await?;
    let expected = expected(&served.place).await?;
    ensure!(expected.len() > 100, "{} events", expected.len());
    ensure!(
        once(&received)? == expected,
        "{:?}\n{expected:?}",
        once(&received)?
    );

    served.key = issue(&served.place, "auditor").await?;
    let last = expected.last().context("an event")?;
    until("the last delivery is kept", async || {
        let rows = served.objects(&["hooks", "deliveries", &id]).await?;
        let is_last = |row: &Value| row["cursor"] == last.as_str();
        Ok(rows.first().is_some_and(is_last).then_some(()))
    })
    .await?;
    let rows = served.objects(&["hooks", "deliveries", &secured]).await?;
    let status = rows.first().and_then(|row| row["status"].as_u64());
    ensure!(status.is_some(), "{rows:?}");
    for words in [
        &["hooks", "ls"][..],
        &["hooks", "get", &id],
        &["hooks", "deliveries", &id],
    ] {
        let (here, over) = (
            served.place.objects(words).await?,
            served.objects(words).await?,
        );
        ensure!(here == over, "{words:?}: {here:?} {over:?}");
    }
    let refused = served.over(&["hooks", "rm", &id]).await?;
    refused.expect(&[4])?;

    served.key = issue(&served.place, "owner").await?;
    let sent = receiver.received().len();
    served.objects(&["hooks", "resend", &id, last]).await?;
    let received = receiver.until(PATIENCE, |all| all.len() > sent).await?;
    ensure!(received[sent].sequence() == *last && once(&received)? == expected);
    served.objects(&["hooks", "rm", &id]).await?;
    served.over(&["hooks", "get", &id]).await?.expect(&[3])?;
    Ok(())
}
