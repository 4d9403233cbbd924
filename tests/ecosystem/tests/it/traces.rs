//! Traces of a node as a collector of others receives them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mirage_ecosystem::collector;
use mirage_scenarios::{Place, Running, listening, until};

/// The caller's trace, and the span that it is in.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// Two ports that were free just now.
fn ports() -> Result<[u16; 2]> {
    let (one, other) = (
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    );
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

/// A collector that prints what it receives, and where it takes OTLP over HTTP.
fn collect() -> Result<Option<(Running, String)>> {
    let Some(mut command) = collector("traces, as a foreign collector receives them") else {
        return Ok(None);
    };
    let [http, grpc] = ports()?;
    command.args(["start", "--exporter", "blackhole", "--debug-log", "traces"]);
    command.args(["--debug-log-verbosity", "detailed"]);
    command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")]);
    command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]);
    let running = Running::start(command)?;
    Ok(Some((running, format!("http://127.0.0.1:{http}"))))
}

fn serve_telling(place: &Place, collector: &str) -> Result<Command> {
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"])?;
    command.env("MIRAGE_TRACES_URL", collector);
    Ok(command)
}

/// Asks for a scan within the caller's trace, and answers what the node said.
fn ask(url: &str, key: &str) -> Result<String> {
    let address = url.strip_prefix("http://").context("a plain listener")?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let body = r#"{"seeds":["198.51.100.7"],"profile":"passive","modules":["extract"]}"#;
    write!(
        stream,
        "POST /api/v1/scans HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\n\
         traceparent: 00-{TRACE}-{SPAN}-01\r\nidempotency-key: once\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_collector_receives_a_trace_from_the_request_to_the_tasks() -> Result<()> {
    let Some((collector, at)) = collect()? else {
        return Ok(());
    };
    let place = Place::new()?;
    let issued = place
        .objects(&["api-keys", "issue", "test", "--role", "analyst"])
        .await?;
    let key = issued[0]["api_key"].as_str().context("a key")?;
    let mut node = Running::start(serve_telling(&place, &at)?)?;
    let url = listening(&mut node).await?;
    let said = ask(&url, key)?;
    ensure!(
        said.starts_with("HTTP/1.1 201") || said.starts_with("HTTP/1.1 202"),
        "{said}"
    );
    until("the scan ends", async || {
        let scans = place.objects(&["scans", "ls"]).await?;
        let is_over = scans.iter().any(|scan| scan["state"] == "finished");
        Ok(is_over.then_some(()))
    })
    .await?;
    node.signal("TERM")?;
    node.end().await?.expect(&[0])?;
    let whole = ["start_scan", "scan", "task seed", SPAN];
    let told = until("the collector prints the spans", async || {
        let told = collector.printed()?;
        let is_whole = whole.iter().all(|word| told.contains(word));
        Ok(is_whole.then_some(told))
    })
    .await;
    let told = told.with_context(|| collector.printed().unwrap_or_default())?;
    ensure!(told.matches(TRACE).count() >= 3, "{told}");

    // The log has the same ids.
    let history = place.history().await?;
    let within = |commit: &&str| commit.contains(TRACE);
    let commits = history
        .iter()
        .filter_map(|recorded| recorded.commit.traceparent.as_deref());
    let commits: Vec<&str> = commits.filter(within).collect();
    ensure!(commits.len() >= 4, "{commits:?}");
    for commit in commits {
        let span = commit.split('-').nth(2).context("a span")?;
        ensure!(told.contains(span), "{commit} is no span of\n{told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_holds_nothing_up() -> Result<()> {
    let place = Place::new()?;
    let [nobody, _] = ports()?;
    let mut node = Running::start(serve_telling(
        &place,
        &format!("http://127.0.0.1:{nobody}"),
    )?)?;
    let url = listening(&mut node).await?;
    let said = ask(&url, "mirage.default.none")?;
    ensure!(said.starts_with("HTTP/1.1 401"), "{said}");
    ensure!(said.contains(TRACE), "{said}");
    node.signal("TERM")?;
    node.end().await?.expect(&[0])?;
    Ok(())
}
