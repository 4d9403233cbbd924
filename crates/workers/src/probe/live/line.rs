//! Lines: one line said over TCP, and what is answered until the server closes (RFC 3912).
//!
//! **Invariant:** bounded by bytes, by the wait between them and by the time of the whole exchange.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::TaskProbe;
use super::connect::{Door, NoConnection, Target};
use crate::collectors::CollectError;
use crate::probe::exchange::{Exchange, Frame};
use crate::probe::{Line, OpenPort, answer};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 8 * 1024;

/// What was heard, and whether to the end.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    is_whole: bool,
}

impl TaskProbe {
    pub(super) async fn say(
        &self,
        remote: SocketAddr,
        line: Line<'_>,
    ) -> Result<Option<OpenPort>, CollectError> {
        if line.text.is_empty() || line.text.chars().any(char::is_control) {
            let reason = format!("{:?} is not one line", line.text);
            return Err(CollectError::Malformed(reason));
        }
        let target = Target::At(remote);
        let mut places = self.enter(&target, Door::Web).await?;
        let talk = pin!(self.talk(&target, line));
        let heard = match places.patiently(&self.scan.live, talk).await {
            Ok(heard) => heard,
            Err(NoConnection::Closed(_)) => return Ok(None),
            Err(NoConnection::Denied(error)) => return Err(error),
        };
        self.received(heard.bytes.len());
        if heard.bytes.is_empty() && !heard.is_whole {
            let reason = format!("{remote}: no answer in time");
            return Err(CollectError::Unavailable(reason));
        }
        let frame = Frame::Line {
            remote: remote.to_string(),
            line: line.text.to_owned(),
            is_cut: !heard.is_whole,
        };
        let exchange = Exchange {
            frame,
            payload: heard.bytes,
        };
        let evidence = self.keep(&exchange).await?;
        Ok(Some(answer::open_port(exchange, line.bytes_max, evidence)))
    }

    async fn talk(&self, target: &Target, line: Line<'_>) -> Result<Heard, NoConnection> {
        let timeouts = &self.scan.policy.timeouts;
        let mut stream = self.open(target, timeouts.connect).await?;
        let deadline = Instant::now() + timeouts.total;
        let question = format!("{}\r\n", line.text);
        match timeout_at(deadline, stream.write_all(question.as_bytes())).await {
            Ok(Ok(())) => Ok(self.listen(&mut stream, line.bytes_max, deadline).await),
            // Nothing was heard, as from a server that keeps silent.
            Ok(Err(_)) | Err(_) => Ok(Heard::default()),
        }
    }

    async fn listen(&self, stream: &mut TcpStream, bytes_max: usize, deadline: Instant) -> Heard {
        let timeouts = &self.scan.policy.timeouts;
        let (mut heard, mut chunk) = (Heard::default(), vec![0; CHUNK_BYTES]);
        while heard.bytes.len() <= bytes_max {
            let wait: Duration = match heard.bytes.is_empty() {
                true => timeouts.first_byte,
                false => timeouts.between_chunks,
            };
            let until = deadline.min(Instant::now() + wait);
            match timeout_at(until, stream.read(&mut chunk)).await {
                Ok(Ok(0)) => {
                    heard.is_whole = true;
                    return heard;
                }
                Ok(Ok(length)) => heard.bytes.extend_from_slice(&chunk[..length]),
                Ok(Err(_)) | Err(_) => return heard,
            }
        }
        heard.bytes.truncate(bytes_max);
        heard
    }
}
