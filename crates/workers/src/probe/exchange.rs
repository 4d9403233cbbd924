//! Exchanges: the form in which evidence of the network is stored.
//!
//! One line of JSON that names the request and the answer's frame, a line feed, then the answer's bytes as received.
//! No time and no counter stand in it, so the same answer is stored once.

use serde::{Deserialize, Serialize};

/// The first line of a stored exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "exchange", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Frame {
    /// The payload is the DNS message (for a transfer: messages, each after its 2-byte length).
    Dns {
        name: String,
        kind: String,
        server: Option<String>,
        transport: String,
    },
    /// The payload is the body before decoding.
    Http {
        method: String,
        url: String,
        request_headers: Vec<(String, String)>,
        remote: String,
        version: String,
        status: u16,
        headers: Vec<(String, String)>,
        is_cut: bool,
    },
    /// The payload is the chain: each certificate after its 4-byte big-endian length.
    Tls {
        remote: String,
        server_name: Option<String>,
        version: String,
        cipher: String,
        protocol: Option<String>,
    },
    /// The payload is what the server said first.
    Tcp { remote: String },
    /// The payload is what the server answered to one line before it closed (RFC 3912).
    Line {
        remote: String,
        line: String,
        is_cut: bool,
    },
    /// The payload is text that Mirage itself wrote: a seed list, settings.
    Document { name: String },
}

/// A stored exchange: its frame and the answer's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub frame: Frame,
    pub payload: Vec<u8>,
}

/// The bytes are no exchange.
#[derive(Debug, thiserror::Error)]
#[error("the evidence is no exchange")]
pub struct NoExchange(#[source] Option<serde_json::Error>);

impl Exchange {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes =
            serde_json::to_vec(&self.frame).expect("a frame holds strings and numbers only");
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, NoExchange> {
        let end = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .ok_or(NoExchange(None))?;
        let frame =
            serde_json::from_slice(&bytes[..end]).map_err(|error| NoExchange(Some(error)))?;
        Ok(Self {
            frame,
            payload: bytes[end + 1..].to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_with_line_feeds_comes_back_as_it_was() {
        let frame = Frame::Tcp {
            remote: "192.0.2.1:22".into(),
        };
        let exchange = Exchange {
            frame,
            payload: b"SSH-2.0-x\r\n\n\0".to_vec(),
        };
        assert_eq!(Exchange::decode(&exchange.encode()).unwrap(), exchange);
        assert!(Exchange::decode(b"no line").is_err());
        assert!(Exchange::decode(b"{}\n").is_err());
    }
}
