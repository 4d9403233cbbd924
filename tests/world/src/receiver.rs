//! A receiver of webhooks on loopback that answers as its script says.
//!
//! A connection of its own for each request; what came is kept in the order in which it came.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where it wants to be posted to; the query stands for a secret that a URL may hold.
const PATH: &str = "/in?token=t";

/// What it does with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    Redirect(String),
    /// Reads it and says nothing more.
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    /// Empty if it was not sent.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The cursor of the event.
    pub fn sequence(&self) -> String {
        self.json()["sequence"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

#[derive(Default)]
struct State {
    script: Mutex<VecDeque<Answer>>,
    received: watch::Sender<Vec<Received>>,
}

impl State {
    fn next(&self) -> Answer {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.pop_front().unwrap_or(Answer::Status(204))
    }
}

/// See the module's doc; ends with its connections when it is dropped.
pub struct Receiver {
    pub at: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Answers by the script, then 204 to everything.
    ///
    /// # Errors
    /// If there is no socket.
    pub async fn start(script: &[Answer]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let state = Arc::new(State {
            script: Mutex::new(script.iter().cloned().collect()),
            ..State::default()
        });
        let (shared, mut tasks) = (state.clone(), JoinSet::new());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                // Whoever asked may have left in the middle.
                connections.spawn(async move { drop(serve(stream, shared).await) });
            }
        });
        Ok(Self {
            at,
            state,
            _tasks: tasks,
        })
    }

    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.at)
    }

    pub fn received(&self) -> Vec<Received> {
        self.state.received.borrow().clone()
    }

    /// Waits until what came is so.
    ///
    /// # Errors
    /// If it is not within the time.
    pub async fn until(
        &self,
        most: Duration,
        is_so: impl Fn(&[Received]) -> bool,
    ) -> Result<Vec<Received>> {
        let mut received = self.state.received.subscribe();
        let seen = received.wait_for(|all| is_so(all));
        let waited = tokio::time::timeout(most, seen).await;
        let have = self.state.received.borrow().len();
        let seen = waited.with_context(|| format!("{have} requests came, and not those"))?;
        Ok(seen?.clone())
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) -> Result<()> {
    let received = read(&mut stream).await?;
    let next = state.next();
    state.received.send_modify(|all| all.push(received));
    let text = match next {
        Answer::Hang => return std::future::pending().await,
        Answer::Status(status) => format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"),
        Answer::Redirect(to) => {
            format!("HTTP/1.1 307 X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
        }
    };
    stream.write_all(text.as_bytes()).await?;
    Ok(())
}

async fn read(stream: &mut TcpStream) -> Result<Received> {
    let mut bytes = Vec::new();
    loop {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec())?;
            ensure!(
                head.starts_with(&format!("POST {PATH} HTTP/1.1\r\n")),
                "{head}"
            );
            let headers = headers(&head);
            let length = headers.iter().find(|(name, _)| name == "content-length");
            let length: usize = length.context("a length")?.1.parse()?;
            if bytes.len() >= end + 4 + length {
                let body = bytes[end + 4..].to_vec();
                return Ok(Received { headers, body });
            }
        }
        ensure!(stream.read_buf(&mut bytes).await? > 0, "half a request");
    }
}

fn headers(head: &str) -> Vec<(String, String)> {
    let lines = head.split("\r\n").skip(1);
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let pairs = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    pairs.collect()
}
