//! How a collector is tested: recorded answers in, findings out, through a scan's frame.
//!
//! ```text
//! replay(&Crtsh, &["example.com"], r#"[{"name_value":"a.example.com"}]"#).await.finds(&["domain:a.example.com"]);
//! let tape = Tape::new().dns("example.com", "A", &["192.0.2.1"]).nxdomain("example.com", "AAAA");
//! replay(&Dns, &["example.com"], tape).await.claims(&["domain:example.com resolves-to ip:192.0.2.1"]);
//! given().setting("ports", "22").replay(&Ports, &["ip:192.0.2.1"], tape).await.fails("limited").finds(&[]);
//! ```
//! A text without a kind is of the first kind that the collector consumes.
//! **Invariant:** each tape runs twice and must give one answer.

mod outcome;
mod tape;

use std::sync::{Arc, Mutex};

use mirage_domain::entity::Entity;
use mirage_domain::id::{Digest, FindingId, IdKey, ModuleName, ScanId, WorkspaceId};
use mirage_domain::module::{Manifest, Profile, Reads};
use mirage_domain::scope::Scope;

use super::found::{Found, Frame, Reported};
use super::{Collector, Input, Settings};
pub use outcome::Outcome;
pub use tape::Tape;

/// What surrounds a test's inputs.
#[derive(Debug, Clone, Default)]
pub struct Given {
    settings: Vec<(&'static str, String)>,
    scope: Vec<String>,
    is_out_of_scope: bool,
    profile: Profile,
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

    /// The scan's profile; `standard` unless said.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
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
            profile: self.profile,
            key: key(),
            scope: Arc::new(Scope::new(seeds, &self.scope).expect("a test writes scope rules")),
            sink: Arc::new(move |report| {
                reported
                    .lock()
                    .expect("no test panicked inside")
                    .push(report);
            }),
            keep: Arc::new(|bytes| Box::pin(async move { Ok(Digest::of(&bytes)) })),
        }
    }
}

fn key() -> IdKey {
    IdKey::new([7; 32])
}

/// As [`Found::keyed`] in these tests.
#[cfg(test)]
pub(super) fn keyed(text: &str) -> String {
    key().mac(text.as_bytes()).to_string()[..32].to_owned()
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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use hickory_proto::op::ResponseCode;
    use hickory_proto::rr::RecordType;
    use mirage_domain::entity::Kind;
    use mirage_domain::relation::Relation;

    use super::tape::socket;
    use super::*;
    use crate::collectors::{Claim, CollectError};
    use crate::probe::exchange::Frame;
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
        let port = probe
            .tcp(socket("192.0.2.1:22"), None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(port.said, "SSH-2.0-x");
        assert!(
            probe
                .tcp(socket("192.0.2.1:23"), None)
                .await
                .unwrap()
                .is_none()
        );
        let server = socket("192.0.2.53:53");
        let zone = probe.transfer("example.com", server).await.unwrap();
        assert_eq!((zone.records.len(), zone.is_cut), (3, false));
        let kept = probe.evidence(zone.evidence).await.unwrap();
        assert!(matches!(kept.frame, Frame::Dns { name, .. } if name == "example.com"));
        assert!(!kept.payload.is_empty());
    }
}
