//! A web server for tests that says whatever it is told, byte by byte.

use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

/// A listener on loopback; ends with its connections when it is dropped.
pub(super) struct Listener {
    pub(super) at: SocketAddr,
    /// Connections that were accepted.
    pub(super) accepted: Arc<AtomicUsize>,
    /// Heads of requests that were read.
    pub(super) heads: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Listener {
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// Runs `handle` on each connection.
pub(super) async fn listen<F, R>(handle: F) -> Listener
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let (count, mut tasks) = (accepted.clone(), JoinSet::new());
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            connections.spawn(handle(stream));
        }
    });
    Listener {
        at,
        accepted,
        heads: Arc::default(),
        _tasks: tasks,
    }
}

/// Accepts and counts, and says nothing.
pub(super) async fn canary() -> Listener {
    listen(|stream| async move { drop(stream) }).await
}

/// Serves what `answer` makes of a path, as raw bytes, and closes.
pub(super) async fn serve(
    answer: impl Fn(&str, SocketAddr) -> Vec<u8> + Send + Sync + 'static,
) -> Listener {
    let (answer, heads) = (Arc::new(answer), Arc::<Mutex<Vec<String>>>::default());
    let seen = heads.clone();
    let mut listener = listen(move |mut stream| {
        let (answer, seen) = (answer.clone(), seen.clone());
        async move {
            let at = stream.local_addr().unwrap();
            let head = head(&mut stream).await;
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            seen.lock().unwrap().push(head);
            let bytes = answer(&path, at);
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    listener.heads = heads;
    listener
}

/// Reads the head of a request.
pub(super) async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A whole answer.
pub(super) fn page(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for header in headers {
        bytes.push_str(header);
        bytes.push_str("\r\n");
    }
    bytes.push_str("\r\n");
    [bytes.as_bytes(), body].concat()
}

pub(super) fn redirect(to: &str) -> Vec<u8> {
    page("302 Found", &[&format!("location: {to}")], b"")
}

/// The probe's resolver in tests without DNS: nobody listens there.
pub(super) fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}
