//! How a collector is tested: recorded answers in, findings out, through the frame that a scan uses.
//!
//! ```text
//! replay(&Crtsh, &["example.com"], r#"[{"name_value":"a.example.com"}]"#).await.finds(&["domain:a.example.com"]);
//! let tape = Tape::new().dns("example.com", "A", &["192.0.2.1"]).nxdomain("example.com", "AAAA");
//! replay(&Dns, &["example.com"], tape).await.claims(&["domain:example.com resolves-to ip:192.0.2.1"]);
//! given().setting("ports", "22").replay(&Ports, &["ip:192.0.2.1"], tape).await.fails("limited").finds(&[]);
//! ```
//! A text without a kind is of the first kind that the collector consumes.
//! **Invariant:** each tape runs twice and must give one answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::finding::Finding;
use mirage_domain::id::{Digest, FindingId, IdKey, ModuleName, ScanId, WorkspaceId};
use mirage_domain::module::{Manifest, Reads};
use mirage_domain::relation::Direction;
use mirage_domain::scope::Scope;

use super::found::{Found, Frame, Reported};
use super::{CollectError, Collector, Input, Settings};
use crate::probe::answer;
use crate::probe::exchange::{self, Exchange};
use crate::probe::replay::{Replay, name_of};

/// Recorded answers, in the order in which they are written down.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    exchanges: Vec<Exchange>,
    any: Option<Vec<u8>>,
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

    /// The answer to a question. A record is data in presentation form, `10 mail.example.com.`, or with its own type
    /// before it, `CNAME other.example.com.` (then what follows belongs to that name).
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

    fn probe(&self) -> Replay {
        let replay = Replay::new(self.exchanges.clone());
        match &self.any {
            Some(body) => replay.any_http(body.clone()),
            None => replay,
        }
    }
}

fn socket(text: &str) -> SocketAddr {
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
    let data = RData::try_from_str(kind, data);
    Record::from_rdata(
        name(owner),
        300,
        data.expect("a test writes data of that type"),
    )
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

/// What surrounds a test's inputs.
#[derive(Debug, Clone, Default)]
pub struct Given {
    settings: Vec<(&'static str, String)>,
    scope: Vec<String>,
    is_out_of_scope: bool,
}

/// The surroundings of a plain test: default settings, the inputs as seeds.
pub fn given() -> Given {
    Given::default()
}

/// Runs the collector on the inputs against the tape.
pub async fn replay(collector: &dyn Collector, inputs: &[&str], tape: impl Into<Tape>) -> Outcome {
    given().replay(collector, inputs, tape).await
}

impl Given {
    /// A setting that is not at its default.
    pub fn setting(mut self, key: &'static str, value: &str) -> Self {
        self.settings.push((key, value.to_owned()));
        self
    }

    /// A scope rule besides those that the inputs imply.
    pub fn scope(mut self, rule: &str) -> Self {
        self.scope.push(rule.to_owned());
        self
    }

    /// The inputs imply no scope.
    pub fn out_of_scope(mut self) -> Self {
        self.is_out_of_scope = true;
        self
    }

    /// Runs the collector on the inputs against the tape. A module that reads evidence gets each input with each
    /// exchange of the tape.
    pub async fn replay(
        &self,
        collector: &dyn Collector,
        inputs: &[&str],
        tape: impl Into<Tape>,
    ) -> Outcome {
        let tape = tape.into();
        let first = self.run(collector, inputs, &tape).await;
        let second = self.run(collector, inputs, &tape).await;
        assert_eq!(first, second, "one tape gave two answers");
        first
    }

    async fn run(&self, collector: &dyn Collector, inputs: &[&str], tape: &Tape) -> Outcome {
        let manifest = collector.manifest();
        let (probe, settings) = (tape.probe(), Arc::new(self.settings(manifest)));
        let entities = inputs.iter().map(|text| entity(manifest, text));
        let entities: Vec<Entity> = entities.collect();
        let reported = Arc::new(Mutex::new(Vec::new()));
        let frame = Arc::new(self.frame(manifest, &entities, reported.clone()));
        let mut failures = Vec::new();
        let exchanges = tape.exchanges.iter();
        let evidence: Vec<Option<Digest>> = match manifest.reads {
            Reads::Network => vec![None],
            Reads::Evidence => exchanges.map(|e| Some(Digest::of(&e.encode()))).collect(),
        };
        for entity in &entities {
            assert!(
                manifest.consumes.contains(&entity.kind()),
                "{entity} is no input"
            );
            let seed = FindingId::derive(
                &frame.scan,
                &module("seed"),
                None,
                None,
                entity.id(&frame.key),
            );
            let is_in_scope = !self.is_out_of_scope;
            let found = Found::new(frame.clone(), entity.clone(), seed, is_in_scope);
            for evidence in &evidence {
                let input = Input {
                    entity: entity.clone(),
                    evidence: *evidence,
                    is_in_scope,
                    settings: settings.clone(),
                };
                if let Err(error) = collector.collect(&input, &probe, &found).await {
                    failures.push(error);
                }
            }
        }
        let reports = std::mem::take(&mut *reported.lock().expect("no test panicked inside"));
        Outcome::new(manifest, frame.key.clone(), &entities, reports, failures)
    }

    fn settings(&self, manifest: &Manifest) -> Settings {
        let mut settings = Settings::defaults(manifest);
        for (key, value) in &self.settings {
            let known = settings.0.insert(key, value.clone());
            assert!(known.is_some(), "{} has no setting {key}", manifest.name);
        }
        settings
    }

    fn frame(
        &self,
        manifest: &'static Manifest,
        seeds: &[Entity],
        reported: Arc<Mutex<Vec<Reported>>>,
    ) -> Frame {
        let workspace = WorkspaceId::new("default").expect("a plain word");
        let seeds = if self.is_out_of_scope { &[] } else { seeds };
        Frame {
            scan: ScanId::derive(&workspace, "test", "replay"),
            module: module(manifest.name),
            manifest,
            key: IdKey::new([7; 32]),
            scope: Arc::new(Scope::new(seeds, &self.scope).expect("a test writes scope rules")),
            sink: Arc::new(move |report| {
                reported
                    .lock()
                    .expect("no test panicked inside")
                    .push(report);
            }),
        }
    }
}

fn module(name: &str) -> ModuleName {
    ModuleName::new(name).expect("a module's name is a plain word")
}

fn entity(manifest: &Manifest, text: &str) -> Entity {
    let named = text
        .split_once(':')
        .and_then(|(kind, key)| Some((kind.parse().ok()?, key)));
    let (kind, key) = named.unwrap_or((manifest.consumes[0], text));
    let entity: Result<Entity, _> = Entity::new(kind, key);
    entity.unwrap_or_else(|error| panic!("`{text}` is no {kind}: {error}"))
}

/// What came out.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    findings: Vec<Finding>,
    remarks: Vec<(&'static str, String, String)>,
    failures: Vec<CollectError>,
    default: Kind,
    /// What the ids in findings stand for.
    names: BTreeMap<String, String>,
}

impl Outcome {
    fn new(
        manifest: &Manifest,
        key: IdKey,
        inputs: &[Entity],
        reports: Vec<Reported>,
        failures: Vec<CollectError>,
    ) -> Self {
        let (mut findings, mut remarks) = (Vec::new(), Vec::new());
        let mut names = BTreeMap::new();
        for input in inputs {
            names.insert(input.id(&key).to_string(), input.to_string());
        }
        for report in reports {
            match report {
                Reported::Finding(finding) => {
                    let entity = finding.entity().expect("nothing is erased here");
                    names.insert(finding.entity.to_string(), entity.to_string());
                    assert!(!finding.evidence.is_empty(), "{entity} has no evidence");
                    findings.push(*finding);
                }
                Reported::Remark(own) => remarks.push((own.code, own.rule, own.detail)),
            }
        }
        Self {
            findings,
            remarks,
            failures,
            default: manifest.consumes[0],
            names,
        }
    }

    /// Every finding, as reported.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Exactly these entities were found, in any order, and no input failed that [`fails`](Self::fails) did not name
    /// before.
    #[track_caller]
    pub fn finds(self, entities: &[&str]) -> Self {
        let found = self.findings.iter().map(|finding| self.name(finding));
        let expected = entities.iter().map(|text| self.full(text));
        self.compare(found.collect(), expected.collect());
        self
    }

    /// Exactly these claims were made: `SUBJECT RELATION OBJECT`, in any order, and no input failed unnamed.
    #[track_caller]
    pub fn claims(self, claims: &[&str]) -> Self {
        let made = self.findings.iter().map(|finding| self.claim(finding));
        let expected = claims.iter().map(|text| (*text).to_owned());
        self.compare(made.collect(), expected.collect());
        self
    }

    #[track_caller]
    fn compare(&self, found: BTreeSet<String>, expected: BTreeSet<String>) {
        let missing: Vec<_> = expected.difference(&found).collect();
        let further: Vec<_> = found.difference(&expected).collect();
        assert!(
            missing.is_empty() && further.is_empty() && self.failures.is_empty(),
            "missing: {missing:#?}\nnot expected: {further:#?}\nfailures: {:#?}\nremarks: {:#?}",
            self.failures,
            self.remarks,
        );
    }

    /// An input failed with this reason; its failures count as named.
    #[track_caller]
    pub fn fails(mut self, reason: &str) -> Self {
        let before = self.failures.len();
        self.failures.retain(|error| error.reason() != reason);
        let is_there = self.failures.len() < before;
        assert!(is_there, "none failed as {reason}: {:#?}", self.failures);
        self
    }

    /// A remark with this code was made.
    #[track_caller]
    pub fn remarks(self, code: &str) -> Self {
        let is_there = self.remarks.iter().any(|(own, ..)| *own == code);
        assert!(is_there, "no remark {code}: {:#?}", self.remarks);
        self
    }

    /// Some finding of the entity has this attribute.
    #[track_caller]
    pub fn attribute(self, entity: &str, name: &str, value: impl Into<serde_json::Value>) -> Self {
        let (entity, value) = (self.full(entity), value.into());
        let of_entity = self.findings.iter().filter(|f| self.name(f) == entity);
        let values = of_entity.filter_map(|finding| finding.attributes.open()?.get(name));
        let values: Vec<_> = values.collect();
        assert!(
            values.contains(&&value),
            "{entity} {name}: {values:?}, not {value}"
        );
        self
    }

    fn name(&self, finding: &Finding) -> String {
        self.names[&finding.entity.to_string()].clone()
    }

    fn claim(&self, finding: &Finding) -> String {
        let own = self.name(finding);
        let parent = finding.parent.map(|parent| parent.entity.to_string());
        let parent = parent
            .and_then(|id| self.names.get(&id).cloned())
            .unwrap_or_default();
        let relation = finding.relation.map_or("", |relation| relation.as_str());
        match finding.direction {
            Direction::Out => format!("{parent} {relation} {own}"),
            Direction::In => format!("{own} {relation} {parent}"),
        }
    }

    fn full(&self, text: &str) -> String {
        let kind = text.split_once(':').map(|(kind, _)| kind.parse::<Kind>());
        match kind {
            Some(Ok(_)) => text.to_owned(),
            _ => format!("{}:{text}", self.default),
        }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use mirage_domain::relation::Relation;

    use super::*;
    use crate::collectors::Claim;
    use crate::probe::{HttpRequest, Probe};

    struct Lines;

    static MANIFEST: Manifest = Manifest {
        name: "lines",
        consumes: &[Kind::Domain],
        produces: &[Kind::Domain, Kind::Ip],
        ..Manifest::DEFAULT
    };

    #[async_trait]
    impl Collector for Lines {
        fn manifest(&self) -> &'static Manifest {
            &MANIFEST
        }

        async fn collect(
            &self,
            input: &Input,
            probe: &dyn Probe,
            found: &Found,
        ) -> Result<(), CollectError> {
            let url = format!("https://{}/", input.key());
            let page = probe.http(HttpRequest::get(url)).await?;
            let body = String::from_utf8_lossy(&page.body).into_owned();
            for name in body.lines() {
                let Ok(entity) = Entity::new(Kind::Domain, name) else {
                    found.remark("not-a-name", "domain", name);
                    continue;
                };
                let claim = Claim::inward(Relation::SubdomainOf, entity, page.evidence);
                let handle = found.add(claim.with("line", name));
                let answer = probe.dns(name, RecordType::A).await?;
                for record in &answer.answers {
                    let Ok(address) = Entity::new(Kind::Ip, &record.data.to_string()) else {
                        continue;
                    };
                    let claim = Claim::out(Relation::ResolvesTo, address, answer.evidence);
                    found.add_under(&handle, claim);
                }
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_collector_s_claims_are_compared_as_sets() {
        let tape = Tape::from("a.example.com\n*\na.example.com").dns(
            "a.example.com",
            "A",
            &["CNAME c.example.com.", "192.0.2.1"],
        );
        replay(&Lines, &["example.com"], tape)
            .await
            .finds(&["a.example.com", "ip:192.0.2.1"])
            .claims(&[
                "domain:a.example.com subdomain-of domain:example.com",
                "domain:a.example.com resolves-to ip:192.0.2.1",
            ])
            .attribute("a.example.com", "line", "a.example.com")
            .remarks("not-a-name");
    }

    #[tokio::test]
    async fn what_is_not_on_the_tape_is_unavailable() {
        let outcome = replay(&Lines, &["example.com"], Tape::new()).await;
        outcome.fails("unavailable").finds(&[]);
    }

    #[tokio::test]
    #[should_panic(expected = "failures")]
    async fn a_failure_that_is_not_named_fails_the_test() {
        replay(&Lines, &["example.com"], Tape::new())
            .await
            .finds(&[]);
    }

    #[tokio::test]
    async fn every_kind_of_answer_is_played_back() {
        let tape = Tape::new()
            .dns("example.com", "MX", &["10 mail.example.com."])
            .dns("example.com", "TXT", &["\"v=spf1 -all\""])
            .nxdomain("no.example.com", "A")
            .http("https://example.com", 301, &[("Location", "/b")], "")
            .http("https://example.com/b", 200, &[], "text")
            .tls("192.0.2.1:443", Some("example.com"), &[b"leaf", b"root"])
            .tcp("192.0.2.1:22", "SSH-2.0-x")
            .transfer(
                "example.com",
                "192.0.2.53:53",
                &[
                    "example.com SOA ns.example.com. me.example.com. 1 2 3 4 5",
                    "a.example.com A 192.0.2.1",
                    "example.com SOA ns.example.com. me.example.com. 1 2 3 4 5",
                ],
            );
        let probe = tape.probe();
        let mx = probe.dns("Example.com.", RecordType::MX).await.unwrap();
        assert_eq!(mx.answers[0].data.to_string(), "10 mail.example.com.");
        let none = probe.dns("no.example.com", RecordType::A).await.unwrap();
        assert_eq!(none.code, ResponseCode::NXDomain);
        let page = probe
            .http(HttpRequest::get("https://example.com/"))
            .await
            .unwrap();
        assert_eq!((page.hops.len(), &page.body[..]), (1, &b"text"[..]));
        let remote = socket("192.0.2.1:443");
        let handshake = probe.tls(remote, Some("example.com")).await.unwrap();
        assert_eq!(handshake.chain, ["leaf", "root"]);
        let port = probe.tcp(socket("192.0.2.1:22")).await.unwrap().unwrap();
        assert_eq!(port.banner, "SSH-2.0-x");
        assert!(probe.tcp(socket("192.0.2.1:23")).await.unwrap().is_none());
        let server = socket("192.0.2.53:53");
        let zone = probe.transfer("example.com", server).await.unwrap();
        assert_eq!((zone.records.len(), zone.is_cut), (3, false));
        assert!(probe.evidence(zone.evidence).await.is_ok());
    }
}
