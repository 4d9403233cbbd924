//! Tapes: recorded answers for a test, written down one by one.

use std::net::SocketAddr;

use data_encoding::HEXUPPER;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::probe::answer;
use crate::probe::exchange::{self, Exchange};
use crate::probe::replay::{Replay, name_of};

/// Recorded answers, in the order in which they are written down.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    pub(super) exchanges: Vec<Exchange>,
    any: Option<Vec<u8>>,
    files: Vec<Vec<u8>>,
}

impl From<&str> for Tape {
    /// A body that answers every GET.
    fn from(body: &str) -> Self {
        Self::new().any_http(body)
    }
}

impl Tape {
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers every GET that is not on the tape with status 200 and this body.
    pub fn any_http(mut self, body: impl AsRef<[u8]>) -> Self {
        self.any = Some(body.as_ref().to_vec());
        self
    }

    /// A file that is stored as it is, under the hash of its bytes.
    pub fn file(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.files.push(bytes.as_ref().to_vec());
        self
    }

    /// The answer to a GET, whatever the address that is asked.
    pub fn http(
        self,
        url: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Self {
        self.http_at("", url, status, headers, body)
    }

    /// The answer to a GET from the address `remote`, `192.0.2.1:443`.
    pub fn http_at(
        self,
        remote: &str,
        url: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Self {
        let lower = |(name, value): &(&str, &str)| (name.to_ascii_lowercase(), (*value).to_owned());
        let frame = exchange::Frame::Http {
            method: "GET".into(),
            url: url::Url::parse(url)
                .expect("a test names a URL")
                .to_string(),
            request_headers: Vec::new(),
            remote: remote.into(),
            version: "HTTP/1.1".into(),
            status,
            headers: headers.iter().map(lower).collect(),
            is_cut: false,
        };
        self.with(frame, body.as_ref())
    }

    /// The answer to a question. A record is data in presentation form, `10 mail.example.com.`, as bytes in hex,
    /// `\# 4 C0000201` (RFC 3597), or with its own type before it, `CNAME other.example.com.` (then what follows
    /// belongs to that name).
    pub fn dns(self, name: &str, kind: &str, records: &[&str]) -> Self {
        let answers = records_of(name, kind, records);
        self.message(name, kind, ResponseCode::NoError, answers)
    }

    /// The name does not exist.
    pub fn nxdomain(self, name: &str, kind: &str) -> Self {
        self.message(name, kind, ResponseCode::NXDomain, Vec::new())
    }

    fn message(self, name: &str, kind: &str, code: ResponseCode, answers: Vec<Record>) -> Self {
        let frame = dns_frame(name, kind, None);
        let message = message(name, kind, code, answers);
        self.with(frame, &message)
    }

    /// A TLS 1.3 handshake with the chain, leaf first, in DER.
    pub fn tls(self, remote: &str, server_name: Option<&str>, chain: &[&[u8]]) -> Self {
        let frame = exchange::Frame::Tls {
            remote: socket(remote).to_string(),
            server_name: server_name.map(name_of),
            version: "TLSv1.3".into(),
            cipher: "TLS13_AES_256_GCM_SHA384".into(),
            protocol: Some("h2".into()),
        };
        let payload = answer::chain_payload(chain.iter().copied());
        self.with(frame, &payload)
    }

    /// An open port and what it says first; a port that is not on the tape is closed.
    pub fn tcp(self, remote: &str, banner: impl AsRef<[u8]>) -> Self {
        let remote = socket(remote).to_string();
        self.with(exchange::Frame::Tcp { remote }, banner.as_ref())
    }

    /// What `remote` answers to a line before it closes.
    pub fn line(self, remote: &str, line: &str, body: impl AsRef<[u8]>) -> Self {
        let frame = exchange::Frame::Line {
            remote: socket(remote).to_string(),
            line: line.into(),
            is_cut: false,
        };
        self.with(frame, body.as_ref())
    }

    /// A zone as `server` transfers it, in lines `NAME TYPE DATA`; none: it declines.
    pub fn transfer(self, zone: &str, server: &str, lines: &[&str]) -> Self {
        let code = match lines.is_empty() {
            true => ResponseCode::Refused,
            false => ResponseCode::NoError,
        };
        let message = message(zone, "AXFR", code, lines.iter().map(|l| line(l)).collect());
        let length = u16::try_from(message.len()).expect("a test's zone fits into a message");
        let payload = [&length.to_be_bytes(), &message[..]].concat();
        let frame = dns_frame(zone, "AXFR", Some(socket(server).to_string()));
        self.with(frame, &payload)
    }

    /// An exchange as it is.
    pub fn with(mut self, frame: exchange::Frame, payload: &[u8]) -> Self {
        let payload = payload.to_vec();
        self.exchanges.push(Exchange { frame, payload });
        self
    }

    pub(super) fn probe(&self) -> Replay {
        let files = self.files.iter().cloned();
        let replay = files.fold(Replay::new(self.exchanges.clone()), Replay::file);
        match &self.any {
            Some(body) => replay.any_http(body.clone()),
            None => replay,
        }
    }
}

pub(super) fn socket(text: &str) -> SocketAddr {
    text.parse().expect("a test names address and port")
}

fn name(text: &str) -> Name {
    let name = Name::from_ascii(name_of(text)).expect("a test names a host");
    name.append_domain(&Name::root())
        .expect("a test's name is short")
}

fn dns_frame(name: &str, kind: &str, server: Option<String>) -> exchange::Frame {
    exchange::Frame::Dns {
        name: name_of(name),
        kind: kind.into(),
        server,
        transport: "tape".into(),
    }
}

fn message(asked: &str, kind: &str, code: ResponseCode, answers: Vec<Record>) -> Vec<u8> {
    let mut message = Message::new(0, MessageType::Response, OpCode::Query);
    message.metadata.response_code = code;
    message.add_query(Query::query(name(asked), kind_of(kind)));
    message.answers = answers;
    message
        .to_vec()
        .expect("a test's records fit into a message")
}

fn kind_of(text: &str) -> RecordType {
    text.parse().expect("a test names a record type")
}

fn record(owner: &str, kind: RecordType, data: &str) -> Record {
    let data = match data
        .strip_prefix("\\# ")
        .and_then(|raw| raw.split_once(' '))
    {
        Some((_, hex)) => RData::Unknown {
            code: kind,
            rdata: NULL::with(HEXUPPER.decode(hex.as_bytes()).expect("a test writes hex")),
        },
        None => RData::try_from_str(kind, data).expect("a test writes data of that type"),
    };
    Record::from_rdata(name(owner), 300, data)
}

fn records_of(asked: &str, kind: &str, records: &[&str]) -> Vec<Record> {
    let mut owner = asked.to_owned();
    let mut all = Vec::new();
    for text in records {
        match text.split_once(' ') {
            Some(("CNAME", target)) if kind != "CNAME" => {
                all.push(record(&owner, RecordType::CNAME, target));
                target.clone_into(&mut owner);
            }
            Some((own, data)) if own == kind => all.push(record(&owner, kind_of(kind), data)),
            _ => all.push(record(&owner, kind_of(kind), text)),
        }
    }
    all
}

fn line(text: &str) -> Record {
    let mut words = text.splitn(3, ' ');
    let mut next = || words.next().expect("a line is NAME TYPE DATA");
    let (owner, kind, data) = (next(), next(), next());
    record(owner, kind_of(kind), data)
}
