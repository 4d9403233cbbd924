//! Resolving: which resolver is asked, how often, and what counts as an answer.
//!
//! **Invariant:** the resolvers are configuration and exempt from the egress policy; what they answer is not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::TaskProbe;
use super::dns::Lost;
use crate::collectors::CollectError;
use crate::probe::exchange::{Exchange, Frame};
use crate::probe::question::{self, Question};
use crate::probe::{DnsAnswer, answer};

/// Tries of one question, over all resolvers.
const TRIES: usize = 3;
/// Pause after a resolver's refusal, times the number of the try.
const BACK_OFF: Duration = Duration::from_millis(100);
/// What a kept answer weighs besides its message.
const ENTRY_BYTES: usize = 256;
/// Where the C library looks when nothing is configured.
const LAST_RESORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);
const DNS_PORT: u16 = 53;

/// Spreads first tries over the resolvers.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// The resolvers of `/etc/resolv.conf`.
pub(super) fn system() -> Vec<SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let found = listed(&text);
    match found.is_empty() {
        true => vec![LAST_RESORT],
        false => found,
    }
}

fn listed(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let address = (words.next()? == "nameserver").then(|| words.next())??;
        Some(SocketAddr::new(address.parse().ok()?, DNS_PORT))
    };
    text.lines().filter_map(address).collect()
}

/// What a question is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The collector's own question: its source answers in DNS, at the source's pace.
    Answer,
    /// To connect; the pace counts the connection.
    Connection,
}

/// A message as it came.
struct Heard {
    message: Vec<u8>,
    server: SocketAddr,
    transport: &'static str,
}

impl TaskProbe {
    /// The answer to a question, from the scan's cache or from a resolver.
    pub(super) async fn resolve(
        &self,
        name: &str,
        kind: RecordType,
        purpose: Purpose,
    ) -> Result<DnsAnswer, CollectError> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let question = Question::new(&name, kind)?;
        let key = (Arc::<str>::from(name), kind);
        let make = pin!(async {
            let heard = self.hear(&key.0, &question, purpose).await?;
            let weight = heard.message.len() + key.0.len() + ENTRY_BYTES;
            let answer = self.understand(&key.0, kind, heard).await?;
            Ok((answer, Some(weight)))
        });
        self.scan.messages.get(&key, make).await
    }

    async fn understand(
        &self,
        name: &str,
        kind: RecordType,
        heard: Heard,
    ) -> Result<DnsAnswer, CollectError> {
        let frame = Frame::Dns {
            name: name.to_owned(),
            kind: kind.to_string(),
            server: Some(heard.server.to_string()),
            transport: heard.transport.to_owned(),
        };
        let payload = heard.message;
        let exchange = Exchange { frame, payload };
        let evidence = self.keep(&exchange).await?;
        answer::dns(&exchange.payload, evidence)
    }

    /// Asks the resolvers in turn until one answers.
    async fn hear(
        &self,
        name: &str,
        question: &Question,
        purpose: Purpose,
    ) -> Result<Heard, CollectError> {
        let resolvers = &self.scan.policy.resolvers;
        let first = TURN.fetch_add(1, Ordering::Relaxed);
        let mut has_edns = true;
        let mut reason = String::new();
        for index in 0..TRIES {
            let server = resolvers[first.wrapping_add(index) % resolvers.len()];
            if purpose == Purpose::Answer {
                self.at_source_pace().await;
            }
            let heard = match self.ask(server, question, has_edns).await? {
                Ok(heard) => heard,
                Err(Lost::Failed(cause)) => {
                    reason = cause;
                    continue;
                }
                Err(Lost::Silent { .. }) => {
                    reason = "no answer in time".into();
                    continue;
                }
            };
            let code = ResponseCode::from_low(question::code(&heard.message));
            match code {
                // An old server that does not know EDNS (RFC 6891 §7).
                ResponseCode::FormErr | ResponseCode::NotImp if has_edns => has_edns = false,
                ResponseCode::ServFail | ResponseCode::Refused => {
                    tokio::time::sleep(BACK_OFF * u32::try_from(index + 1).unwrap_or(1)).await;
                }
                _ => return Ok(heard),
            }
            reason = code.to_string();
        }
        Err(CollectError::Unavailable(format!("DNS: {name}: {reason}")))
    }

    /// One try: over UDP, and over TCP if the answer is cut or somebody garbles the case of letters.
    async fn ask(
        &self,
        server: SocketAddr,
        question: &Question,
        has_edns: bool,
    ) -> Result<Result<Heard, Lost>, CollectError> {
        self.charge()?;
        let (sockets, wait) = (&self.scan.live.sockets, self.scan.policy.timeouts.dns);
        match sockets.ask(server, question, has_edns, wait).await {
            Ok(message) if question::is_truncated(&message) => {}
            Err(Lost::Silent { case_differs: true }) => {}
            Err(lost) => return Ok(Err(lost)),
            Ok(message) => return Ok(Ok(self.heard(message, server, "udp"))),
        }
        self.charge()?;
        // Rare: boxed, so that it does not lie in every query that waits.
        let answer = Box::pin(sockets.ask_tcp(server, question, wait)).await;
        Ok(answer.map(|message| self.heard(message, server, "tcp")))
    }

    fn heard(&self, message: Vec<u8>, server: SocketAddr, transport: &'static str) -> Heard {
        self.received(message.len());
        Heard {
            message,
            server,
            transport,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_from_the_system_s_file() {
        let text = "# x\nsearch example.com\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver x\n";
        let expected = ["192.0.2.53:53", "[2001:db8::53]:53"].map(|text| text.parse().unwrap());
        assert_eq!(listed(text), expected);
    }
}
