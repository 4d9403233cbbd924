//! DNS through the probe against a bare loop over as many sockets with the same codec.
//!
//! Both ask `mirage-world` of the same build, a process of its own, the same questions in turns.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use async_trait::async_trait;
use futures::stream::BoxStream;
use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RecordType};
use mirage_domain::id::{Digest, WorkspaceId};
use mirage_domain::module::Manifest;
use mirage_log::evidence::{self, EvidenceStore, Files};
use mirage_workers::probe::Probe;
use mirage_workers::probe::live::{Live, LiveConfig, Policy};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::company::Company;
use crate::row::{Row, median};

/// Numbered hosts of the world; each is asked for both kinds of address.
const HOSTS: usize = 20_000;
const KINDS: [RecordType; 2] = [RecordType::A, RecordType::AAAA];
const IN_FLIGHT: usize = 1000;
/// Sockets of the bare loop, as many as the probe has.
const SOCKETS: usize = 16;
const ROUNDS: usize = 7;
/// After this without an answer a socket of the bare loop sends again what is missing.
const SILENCE: Duration = Duration::from_millis(500);

static MANIFEST: Manifest = Manifest {
    name: "bench",
    ..Manifest::DEFAULT
};

pub(crate) fn run(dir: &Path) -> anyhow::Result<Vec<Row>> {
    let company = Company::start(HOSTS)?;
    let resolver: SocketAddr = company.text("resolver")?.parse()?;
    let place = tempfile::tempdir_in(dir)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let live = Live::new(LiveConfig::default()).await?;
        let stores: [Arc<dyn EvidenceStore>; 2] =
            [Arc::new(Files::open(place.path())?), Arc::new(Dropped)];
        let (mut ours, mut theirs) = ([Vec::new(), Vec::new()], Vec::new());
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            bare(resolver).await?;
            theirs.push(rate(begun));
            for (store, rates) in stores.iter().zip(&mut ours) {
                let begun = Instant::now();
                probe(&live, store.clone(), resolver).await?;
                rates.push(rate(begun));
            }
        }
        let bare = median(theirs);
        let row = |what: &str, rates, wanted| {
            let what = format!("DNS, {IN_FLIGHT} in flight, {what}");
            Row::rates(&what, "answers", (median(rates), bare), wanted)
        };
        let [on_disk, dropped] = ours;
        let remark =
            "the server shares the two cores; the rest is evidence: two writes a row, one at random";
        Ok(vec![
            row("evidence on disk", on_disk, "≥ 0.7×").remark(remark),
            row("evidence only hashed", dropped, "–"),
        ])
    })
}

/// A store that keeps nothing: what the probe costs without its evidence's disk.
struct Dropped;

#[async_trait]
impl EvidenceStore for Dropped {
    async fn put(&self, _: &WorkspaceId, bytes: Vec<u8>) -> Result<Digest, evidence::Error> {
        Ok(Digest::of(&bytes))
    }
    async fn flush(&self) -> Result<(), evidence::Error> {
        Ok(())
    }
    async fn get(&self, _: &WorkspaceId, _: Digest) -> Result<Option<Vec<u8>>, evidence::Error> {
        Ok(None)
    }
    fn list<'a>(&'a self, _: &'a WorkspaceId) -> BoxStream<'a, Result<Digest, evidence::Error>> {
        Box::pin(futures::stream::empty())
    }
}

fn questions() -> usize {
    HOSTS * KINDS.len()
}

fn question(index: usize) -> (String, RecordType) {
    let name = format!("h{:05}.mirage-corp.example", index / KINDS.len() + 1);
    (name, KINDS[index % KINDS.len()])
}

fn rate(begun: Instant) -> f64 {
    questions() as f64 / begun.elapsed().as_secs_f64()
}

/// A round through the probe, to the evidence's flush.
async fn probe(
    live: &Arc<Live>,
    evidence: Arc<dyn EvidenceStore>,
    resolver: SocketAddr,
) -> anyhow::Result<()> {
    let mut policy = Policy::new(WorkspaceId::new("default")?);
    policy.resolvers = vec![resolver];
    // A scan of its own, so that nothing is in its cache.
    let task = Arc::new(live.scan(policy, evidence.clone()).task(&MANIFEST));
    let next = Arc::new(AtomicUsize::new(0));
    let mut askers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (task, next) = (task.clone(), next.clone());
        askers.spawn(async move {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= questions() {
                    return anyhow::Ok(());
                }
                let (name, kind) = question(index);
                let answer = task.dns(&name, kind).await?;
                ensure!(kind != RecordType::A || answer.answers.len() == 1, "{name}");
            }
        });
    }
    while let Some(asked) = askers.join_next().await {
        asked??;
    }
    Ok(evidence.flush().await?)
}

/// A round of the bare loop: each socket keeps its share in flight.
async fn bare(resolver: SocketAddr) -> anyhow::Result<()> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut loops = JoinSet::new();
    for _ in 0..SOCKETS {
        loops.spawn(bare_loop(resolver, next.clone()));
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    Ok(())
}

async fn bare_loop(resolver: SocketAddr, next: Arc<AtomicUsize>) -> anyhow::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let mut waiting = HashMap::new();
    let (mut id, mut buffer) = (0_u16, [0; 2048]);
    loop {
        while waiting.len() < IN_FLIGHT / SOCKETS {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= questions() {
                break;
            }
            id = id.wrapping_add(1);
            waiting.insert(id, send(&socket, resolver, id, index).await?);
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let Ok(received) = tokio::time::timeout(SILENCE, socket.recv_from(&mut buffer)).await
        else {
            for (query, _) in waiting.values() {
                socket.send_to(query, resolver).await?;
            }
            continue;
        };
        let (length, from) = received?;
        let message = Message::from_vec(&buffer[..length])?;
        let asked = waiting.get(&message.metadata.id);
        let is_ours = asked.is_some_and(|(_, query)| message.queries.first() == Some(query));
        if is_ours && from == resolver {
            waiting.remove(&message.metadata.id);
        }
    }
}

async fn send(
    socket: &UdpSocket,
    resolver: SocketAddr,
    id: u16,
    index: usize,
) -> anyhow::Result<(Vec<u8>, Query)> {
    let (name, kind) = question(index);
    let query = Query::query(Name::from_ascii(name + ".")?, kind);
    let mut message = Message::query();
    message.metadata.id = id;
    message.metadata.recursion_desired = true;
    message.add_query(query.clone());
    let bytes = message.to_vec()?;
    socket.send_to(&bytes, resolver).await?;
    Ok((bytes, query))
}
