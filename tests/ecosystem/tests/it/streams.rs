//! The live stream of a node that is killed, as the clients of others hear it.

use anyhow::{Context, Result, ensure};
use mirage_ecosystem::node;
use mirage_log::EventLog;
use mirage_log::contract::encoded;
use mirage_log::sqlite::Sqlite;
use mirage_scenarios::{Place, Running, serve, serve_at, until};

/// Events of each part: before the kill, while there is no node, and after.
const PART: u64 = 20;

async fn append(log: &Sqlite, from: u64) -> Result<Vec<String>> {
    let mut cursors = Vec::new();
    for n in from..from + PART {
        let tip = log.append(encoded(n, None), None).await?;
        cursors.push(format!("{}.1", tip.position));
    }
    Ok(cursors)
}

fn heard(client: &Running) -> Result<Vec<String>> {
    let said = client.said()?;
    ensure!(!said.contains("fault "), "{said}");
    let heard = said.lines().filter_map(|line| line.strip_prefix("heard "));
    Ok(heard.map(str::to_owned).collect())
}

/// What a client has heard once it has heard the last one.
async fn heard_up_to(client: &mut Running, last: &str) -> Result<Vec<String>> {
    until("the client hears the last event", async || {
        ensure!(!client.is_over()?, "the client ended: {}", client.said()?);
        let heard = heard(client)?;
        Ok((heard.last().is_some_and(|heard| heard == last)).then_some(heard))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_client_goes_on_where_a_killed_node_left_it() -> Result<()> {
    let follow = || {
        node(
            "resumption by a foreign client of server-sent events",
            "follow_events.cjs",
        )
    };
    let (Some(mut good), Some(mut forgetful)) = (follow(), follow()) else {
        return Ok(());
    };
    let place = Place::new()?;
    let words = ["api-keys", "issue", "test", "--role", "viewer"];
    let issued = place.objects(&words).await?;
    let key = issued[0]["api_key"].as_str().context("a key")?;
    let log = Sqlite::open(place.data())?;
    let (killed, url) = serve(&place).await?;
    let events = format!("{url}/api/v1/events?kind=task.found");
    good.arg(&events).env("MIRAGE_KEY", key);
    forgetful.args([&events, "forget"]).env("MIRAGE_KEY", key);
    let mut clients = [Running::start(good)?, Running::start(forgetful)?];

    let mut all = append(&log, 0).await?;
    for client in &mut clients {
        heard_up_to(client, &all[all.len() - 1]).await?;
    }
    killed.signal("KILL")?;
    killed.end().await?;
    all.extend(append(&log, PART).await?);
    let address = url.strip_prefix("http://").context("a plain listener")?;
    let (_node, _) = serve_at(&place, address).await?;
    all.extend(append(&log, 2 * PART).await?);
    let last = &all[all.len() - 1];
    let [good, forgetful] = &mut clients;
    let heard = heard_up_to(good, last).await?;
    ensure!(heard == all, "{heard:?}");
    let heard = heard_up_to(forgetful, last).await?;
    ensure!(heard != all, "twice the same is not noticed");
    Ok(())
}
