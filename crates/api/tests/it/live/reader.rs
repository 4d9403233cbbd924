//! A client of server-sent events over a socket, which reads no more than it is asked to.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Longer than anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One message.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// An open stream.
pub(crate) struct Reader {
    socket: BufReader<TcpStream>,
    /// Text of the body that is not read yet.
    text: String,
}

impl Reader {
    /// Asks for a stream; the answer must be a good one.
    pub(crate) async fn open(at: SocketAddr, key: &str, query: &str, headers: &str) -> Self {
        Self::of(at, key, &format!("/events{query}"), headers).await
    }

    /// The same of another path.
    pub(crate) async fn of(at: SocketAddr, key: &str, path: &str, headers: &str) -> Self {
        let mut socket = TcpStream::connect(at).await.unwrap();
        let request = format!(
            "GET /api/v1{path} HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {key}\r\n{headers}\r\n"
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut socket = BufReader::new(socket);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = socket.read_line(&mut head).await.unwrap();
            assert!(read > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        Self {
            socket,
            text: String::new(),
        }
    }

    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        let next = self.message();
        tokio::time::timeout(PATIENCE, next).await.expect("in time")
    }

    /// The next `n` messages.
    pub(crate) async fn take(&mut self, n: usize) -> Vec<Message> {
        let mut taken = Vec::with_capacity(n);
        while taken.len() < n {
            taken.push(self.next().await.expect("a message"));
        }
        taken
    }

    async fn message(&mut self) -> Option<Message> {
        loop {
            let Some(end) = self.text.find("\n\n") else {
                self.chunk().await?;
                continue;
            };
            let text: String = self.text.drain(..end + 2).collect();
            let mut message = Message::default();
            for line in text.lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => message.id = id.into(),
                    Some(("event", event)) => message.event = event.into(),
                    Some(("data", data)) => message.data = serde_json::from_str(data).unwrap(),
                    _ => {}
                }
            }
            if !message.data.is_null() {
                return Some(message);
            }
        }
    }

    /// Reads one chunk of the body (RFC 9112 §7.1).
    async fn chunk(&mut self) -> Option<()> {
        let mut size = String::new();
        self.socket.read_line(&mut size).await.ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        self.socket.read_exact(&mut chunk).await.ok()?;
        chunk.truncate(size);
        self.text += std::str::from_utf8(&chunk).unwrap();
        (size > 0).then_some(())
    }
}
