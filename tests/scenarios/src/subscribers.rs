//! Many subscribers of one node over WebSockets: what each hears, and when, while it is appended.
//!
//! The node is a process of its own; whoever asks for the load is the clients' process, and the one that appends.
//! **Invariant:** a reader hears each event once and in order, or says at which one it did not.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::{SinkExt, StreamExt};
use mirage_log::EventLog;
use mirage_log::contract::encoded;
use mirage_log::sqlite::Sqlite;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::{PATIENCE, Place, serve};

/// Below the streams that one credential may have.
const OF_ONE_KEY: usize = 125;
/// Below what the gateway bears of one workspace, so that nobody is told to come later.
const ARRIVALS_PER_SECOND: u32 = 800;
/// One address has some 28 000 ports, and a rate of its own.
const OF_ONE_ADDRESS: usize = 1_000;
/// One in so many subscribes and never reads.
const DEAF_EVERY: usize = 20;
/// How long the last event may be on its way.
const LAST_MAX: Duration = Duration::from_secs(60);
/// Latencies are counted by milliseconds, up to here.
const LATENCY_MS_MAX: usize = 60_000;

/// How much of it.
#[derive(Debug, Clone, Copy)]
pub struct Dose {
    pub subscribers: usize,
    pub events: usize,
    pub per_second: u32,
}

/// What was seen.
#[derive(Debug)]
pub struct Heard {
    /// Subscribers that read.
    pub readers: usize,
    /// What went wrong with those that read.
    pub faults: Vec<String>,
    pub latencies: Latencies,
    /// Resident memory of the node before it had subscribers, and the most with them.
    pub resident_kib: (u64, u64),
    /// Seconds that the node computed while events were appended, and seconds that passed.
    pub cpu: (f64, f64),
}

/// From the beginning of an append to its receipt by each reader.
#[derive(Debug)]
pub struct Latencies(Vec<AtomicU64>);

impl Latencies {
    fn new() -> Self {
        Self((0..=LATENCY_MS_MAX).map(|_| AtomicU64::new(0)).collect())
    }

    fn note(&self, ms: usize) {
        self.0[ms.min(LATENCY_MS_MAX)].fetch_add(1, Ordering::Relaxed);
    }

    pub fn count(&self) -> u64 {
        self.0.iter().map(|ms| ms.load(Ordering::Relaxed)).sum()
    }

    /// The milliseconds within which so many of a thousand arrived.
    pub fn within(&self, per_mille: u64) -> usize {
        let wanted = self.count() * per_mille / 1000;
        let mut seen = 0;
        let at = self.0.iter().position(|ms| {
            seen += ms.load(Ordering::Relaxed);
            seen >= wanted
        });
        at.unwrap_or(LATENCY_MS_MAX)
    }
}

/// The events as they are appended, in the order of their numbers.
struct Sent {
    start: Instant,
    /// Nanoseconds after the start at which the append of each began.
    at: Vec<AtomicU64>,
    latencies: Latencies,
}

impl Sent {
    /// Notes the events of a message; `next` is the number that has to come.
    fn hear(&self, text: &str, next: &mut usize) -> Result<()> {
        let now = self.start.elapsed().as_nanos() as u64;
        for number in numbers(text) {
            ensure!(
                number == *next,
                "event {number} came where {next} had to come"
            );
            let begun = self.at[number].load(Ordering::Relaxed);
            self.latencies
                .note((now.saturating_sub(begun) / 1_000_000) as usize);
            *next += 1;
        }
        Ok(())
    }
}

/// The numbers of the made-up findings in a message; parsing each of a million messages would be what is measured.
fn numbers(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.split(r#""n":"#).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit());
        let digits = &rest[..end.unwrap_or(rest.len())];
        digits.parse().unwrap_or(usize::MAX)
    })
}

type Socket = WebSocketStream<TcpStream>;

/// Those who have subscribed.
#[derive(Default)]
struct Crowd {
    readers: JoinSet<Result<()>>,
    deaf: Vec<Socket>,
}

/// Starts a node on a fresh place, lets subscribers come, appends, and waits until all is heard.
///
/// # Errors
/// If the load cannot be brought about; what readers missed is a part of what was seen.
pub async fn load(place: &Place, dose: Dose) -> Result<Heard> {
    let keys = keys(place, dose.subscribers.div_ceil(OF_ONE_KEY)).await?;
    let log = Sqlite::open(place.data())?;
    let head = log.head().await?.position;
    let (node, url) = serve(place).await?;
    let address = url.strip_prefix("http://").context("plain")?.parse()?;
    let sent = Arc::new(Sent {
        start: Instant::now(),
        at: (0..dose.events).map(|_| AtomicU64::new(0)).collect(),
        latencies: Latencies::new(),
    });
    let before = resident_kib(node.pid())?;
    let subscribe = format!(r#"{{"subscribe":{{"after":"{head}","kind":["task.found"]}}}}"#);
    let mut crowd = gather(dose.subscribers, address, &keys, &subscribe, &sent).await?;
    let readers = crowd.readers.len();
    let (begun, computed) = (Instant::now(), computed_s(node.pid())?);
    let most = append(&log, &sent, dose.per_second, node.pid()).await?;
    let faults = crowd.faults().await?;
    let cpu = (
        computed_s(node.pid())? - computed,
        begun.elapsed().as_secs_f64(),
    );
    let most = most.max(resident_kib(node.pid())?);
    // Here and not before, so that the node has had all of them until now.
    drop(crowd);
    let sent = Arc::into_inner(sent).context("every reader has ended")?;
    Ok(Heard {
        readers,
        faults,
        latencies: sent.latencies,
        resident_kib: (before, most),
        cpu,
    })
}

async fn keys(place: &Place, many: usize) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for n in 0..many {
        let name = format!("load-{n}");
        let words = ["api-keys", "issue", &name, "--role", "viewer"];
        let issued = place.objects(&words).await?;
        let key = issued[0]["api_key"].as_str().context("a key")?;
        keys.push(key.to_owned());
    }
    Ok(keys)
}

async fn gather(
    many: usize,
    to: SocketAddr,
    keys: &[String],
    subscribe: &str,
    sent: &Arc<Sent>,
) -> Result<Crowd> {
    let mut arrivals: JoinSet<Result<(usize, Socket)>> = JoinSet::new();
    let mut pace = interval(Duration::from_secs(1) / ARRIVALS_PER_SECOND);
    for n in 0..many {
        pace.tick().await;
        let (key, subscribe) = (keys[n / OF_ONE_KEY].clone(), subscribe.to_owned());
        arrivals.spawn(async move { Ok((n, arrive(to, n, &key, subscribe).await?)) });
    }
    let mut crowd = Crowd::default();
    while let Some(arrived) = arrivals.join_next().await {
        let (n, socket) = arrived??;
        match n % DEAF_EVERY == DEAF_EVERY - 1 {
            true => crowd.deaf.push(socket),
            false => drop(crowd.readers.spawn(read(socket, sent.clone()))),
        }
    }
    Ok(crowd)
}

impl Crowd {
    /// Waits for the readers, and tells what went wrong with each that did not hear all.
    async fn faults(&mut self) -> Result<Vec<String>> {
        let mut faults = Vec::new();
        let until = tokio::time::Instant::now() + LAST_MAX;
        while let Ok(Some(read)) = timeout_at(until, self.readers.join_next()).await {
            faults.extend(read?.err().map(|error| format!("{error:#}")));
        }
        let waiting = self.readers.len();
        faults.extend((0..waiting).map(|_| "the last event did not come".to_owned()));
        self.readers.shutdown().await;
        Ok(faults)
    }
}

/// A subscribed socket; it comes from one of several addresses of this machine.
async fn arrive(to: SocketAddr, n: usize, key: &str, subscribe: String) -> Result<Socket> {
    let mut request = format!("ws://{to}/api/v1/events/ws").into_client_request()?;
    let bearer = format!("Bearer {key}").parse()?;
    request.headers_mut().insert("authorization", bearer);
    let socket = TcpSocket::new_v4()?;
    let from = Ipv4Addr::new(127, 0, 1, 1 + (n / OF_ONE_ADDRESS) as u8);
    socket.bind((from, 0).into())?;
    // Small: who does not read is to be felt by the node soon.
    socket.set_recv_buffer_size(16 * 1024)?;
    let opening = async {
        let stream = socket.connect(to).await?;
        let config = WebSocketConfig::default().read_buffer_size(4 * 1024);
        let opened =
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await;
        let (mut socket, _) = opened?;
        socket.send(Message::text(subscribe)).await?;
        anyhow::Ok(socket)
    };
    let opened = timeout(PATIENCE, opening).await;
    opened
        .with_context(|| format!("no answer to subscriber {n}"))?
        .with_context(|| format!("opening subscriber {n}"))
}

/// Reads until every event is heard.
async fn read(mut socket: Socket, sent: Arc<Sent>) -> Result<()> {
    let mut next = 0;
    while next < sent.at.len() {
        match socket.next().await.context("the stream ended")?? {
            Message::Text(text) => sent.hear(&text, &mut next)?,
            // Answered by the library with the next look at the socket.
            Message::Ping(_) => {}
            other => bail!("before event {next} came {other:?}"),
        }
    }
    Ok(())
}

/// Appends one event after another; answers the most that was resident of the node meanwhile.
async fn append(log: &Sqlite, sent: &Sent, per_second: u32, node: u32) -> Result<u64> {
    let mut pace = interval(Duration::from_secs(1) / per_second);
    let mut most = 0;
    for (n, at) in sent.at.iter().enumerate() {
        pace.tick().await;
        let begun = sent.start.elapsed().as_nanos() as u64;
        at.store(begun, Ordering::Relaxed);
        log.append(encoded(n as u64, None), None).await?;
        most = most.max(resident_kib(node)?);
    }
    Ok(most)
}

fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.context("a process has resident memory")
}

/// Seconds of CPU that a process has used: proc_pid_stat(5), in hundredths on every Linux.
fn computed_s(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").context("a name in brackets")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(messages: &[&str]) -> Result<usize> {
        let sent = Sent {
            start: Instant::now(),
            at: (0..9).map(|_| AtomicU64::new(0)).collect(),
            latencies: Latencies::new(),
        };
        let mut next = 0;
        for message in messages {
            sent.hear(message, &mut next)?;
        }
        assert_eq!(sent.latencies.count(), next as u64);
        Ok(next)
    }

    #[test]
    fn what_is_missing_or_comes_twice_is_a_fault() {
        let (first, both) = (r#"[{"n":0}]"#, r#"[{"n":1},{"n":2}]"#);
        assert_eq!(heard(&[first, both]).unwrap(), 3);
        assert!(heard(&[both]).is_err(), "the first is missing");
        assert!(heard(&[first, first]).is_err(), "it came twice");
        assert!(heard(&[first, r#"[{"n":2},{"n":1}]"#]).is_err(), "order");
    }

    #[test]
    fn the_slowest_of_a_thousand_is_told() {
        let latencies = Latencies::new();
        (0..1000).for_each(|n| latencies.note(if n < 985 { 3 } else { 700 }));
        assert_eq!((latencies.within(500), latencies.within(990)), (3, 700));
    }
}
