//! The walk along an SPF record, as far as a mail server would follow it.
//!
//! It is the longest that a server can take: no mechanism matches. It stops where the limits of RFC 7208 §4.6.4 stop it.

use std::net::IpAddr;

use futures::FutureExt;
use futures::future::BoxFuture;
use hickory_proto::rr::{RData, RecordType};
use ipnet::IpNet;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::relation::Relation;

use super::publication::texts;
use super::report::shown;
use super::spf_record::{Directive, Lengths, Mechanism, Record, Target, parse};
use super::{Claim, CollectError, Found, presentation, text_records};
use crate::collectors::Handle;
use crate::probe::{DnsAnswer, Probe};

const VERSION: &str = "v=spf1";
/// Terms that ask DNS, in one check.
pub(super) const LOOKUPS_MAX: u32 = 10;
/// Of those, ones that may find nothing.
pub(super) const VOIDS_MAX: u32 = 2;
/// Hosts of one `mx`.
const EXCHANGES_MAX: usize = 10;
/// Terms of one check that are followed; the RFC bounds only those that ask.
const TERMS_MAX: usize = 1000;

/// Whether a text is an SPF record: the version, then nothing or a space (§4.5).
pub(super) fn is_record(text: &str) -> bool {
    let rest = text
        .get(..VERSION.len())
        .filter(|version| version.eq_ignore_ascii_case(VERSION))
        .map(|_| &text[VERSION.len()..]);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Whose record is read, and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Publisher<'n> {
    pub(super) domain: &'n str,
    pub(super) evidence: Digest,
}

/// One check, along every branch of the record.
pub(super) struct Walk<'a> {
    probe: &'a dyn Probe,
    found: &'a Found,
    pub(super) lookups: u32,
    pub(super) voids: u32,
    terms: usize,
    /// Names whose records are being read, outermost first.
    open: Vec<String>,
    /// The first error that makes the whole record void.
    pub(super) fault: Option<String>,
    /// The term that lets anyone pass, and where it stands.
    pub(super) passing: Option<(String, Digest)>,
    /// The first question that was not answered.
    pub(super) outcome: Result<(), CollectError>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(probe: &'a dyn Probe, found: &'a Found) -> Self {
        Self {
            probe,
            found,
            lookups: 0,
            voids: 0,
            terms: 0,
            open: Vec::new(),
            fault: None,
            passing: None,
            outcome: Ok(()),
        }
    }

    /// Reads one record; `is_pass`: whether what matches in it may send.
    pub(super) fn record<'s>(
        &'s mut self,
        text: &'s str,
        own: Publisher<'s>,
        parent: &'s Handle,
        is_pass: bool,
    ) -> BoxFuture<'s, ()> {
        async move {
            let Record {
                directives,
                redirect,
            } = match parse(text) {
                Ok(record) => record,
                Err(term) => return self.fault(format!("`{}` in {}", shown(&term), own.domain)),
            };
            self.open.push(own.domain.to_owned());
            for directive in &directives {
                if self.is_over() {
                    break;
                }
                self.directive(directive, own, parent, is_pass).await;
            }
            if let Some(target) = redirect.filter(|_| !self.is_over()) {
                self.onward(&target, parent, is_pass).await;
            }
            self.open.pop();
        }
        .boxed()
    }

    async fn directive(
        &mut self,
        directive: &Directive,
        own: Publisher<'_>,
        parent: &Handle,
        is_pass: bool,
    ) {
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return self.found.remark("cap-reached", "spf-terms", own.domain);
        }
        let is_pass = is_pass && directive.is_pass;
        let hosts = is_pass.then_some(parent);
        match &directive.mechanism {
            Mechanism::All if is_pass => self.passes_all("+all", own.evidence),
            Mechanism::All => {}
            Mechanism::Net(net) if is_pass => self.net(*net, own.evidence, parent),
            Mechanism::Net(_) => {}
            Mechanism::Include(target) => self.onward(target, parent, is_pass).await,
            Mechanism::A(target, lengths) => {
                let named = target.as_ref();
                if let Some(name) = self.asked(named, own.domain) {
                    self.host(name, named.is_some(), *lengths, hosts).await;
                }
            }
            Mechanism::Mx(target, lengths) => {
                if let Some(name) = self.asked(target.as_ref(), own.domain) {
                    self.exchanges(name, *lengths, hosts).await;
                }
            }
            Mechanism::Exists(target) => {
                if let Some(name) = self.asked(Some(target), own.domain) {
                    let answer = self.ask(name, RecordType::A).await;
                    self.count_void(answer.as_slice());
                }
            }
            // A look-up of the sender's address, whatever the name.
            Mechanism::Ptr => self.lookups += 1,
        }
    }

    /// Whether a server would have given up.
    fn is_over(&self) -> bool {
        self.lookups > LOOKUPS_MAX || self.terms > TERMS_MAX
    }

    fn fault(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    fn passes_all(&mut self, term: &str, evidence: Digest) {
        self.passing.get_or_insert((term.to_owned(), evidence));
    }

    /// Counts a term that asks; the name to ask for, unless it is known only when a mail comes in or is one too many.
    fn asked<'t>(&mut self, target: Option<&'t Target>, own: &'t str) -> Option<&'t str> {
        self.lookups += 1;
        match target {
            _ if self.lookups > LOOKUPS_MAX => None,
            None => Some(own),
            Some(Target::Name(name)) => Some(name),
            Some(Target::Macro(text)) => {
                let detail = format!("{own}: {}", shown(text));
                self.found.remark("not-expanded", "spf-macro", detail);
                None
            }
        }
    }

    /// Reads the record of an `include` or a `redirect`.
    async fn onward(&mut self, target: &Target, parent: &Handle, is_pass: bool) {
        let own = self.open.last().cloned().unwrap_or_default();
        let Some(name) = self.asked(Some(target), &own) else {
            return;
        };
        if self.open.iter().any(|open| open == name) {
            return self.fault(format!("it leads around in a circle over {name}"));
        }
        let answer = match texts(name, is_record, self.probe).await {
            Ok(answer) => answer,
            Err(error) => return self.fail(error),
        };
        let evidence = answer.evidence;
        let [text] = answer.texts.as_slice() else {
            self.voids += u32::from(answer.texts.is_empty());
            return self.fault(format!("{name} has {} records", answer.texts.len()));
        };
        let handle = match Entity::new(Kind::Domain, name) {
            Ok(entity) if is_pass => {
                let claim = Claim::out(Relation::Authorises, entity, evidence);
                self.found.add_under(parent, claim)
            }
            _ => parent.clone(),
        };
        let publisher = Publisher {
            domain: name,
            evidence,
        };
        self.record(text, publisher, &handle, is_pass).await;
    }

    /// The addresses of a host; under `parent` if they may send.
    async fn host(
        &mut self,
        name: &str,
        is_named: bool,
        lengths: Lengths,
        parent: Option<&Handle>,
    ) {
        let four = self.ask(name, RecordType::A).await;
        let six = self.ask(name, RecordType::AAAA).await;
        let answers: Vec<DnsAnswer> = four.into_iter().chain(six).collect();
        // One family that did not answer may have an address.
        if answers.len() == 2 {
            self.count_void(&answers);
        }
        if let Some(parent) = parent {
            self.authorise_host(name, is_named, lengths, &answers, parent);
        }
    }

    fn authorise_host(
        &mut self,
        name: &str,
        is_named: bool,
        lengths: Lengths,
        answers: &[DnsAnswer],
        parent: &Handle,
    ) {
        let entity = Entity::new(Kind::Domain, name).ok().filter(|_| is_named);
        if let (Some(entity), Some(answer)) = (entity, answers.iter().find(|a| !is_void(a))) {
            let claim = Claim::out(Relation::Authorises, entity, answer.evidence);
            self.found.add_under(parent, claim);
        }
        for answer in answers {
            for address in addresses(answer) {
                let length = match address {
                    IpAddr::V4(_) => lengths.four,
                    IpAddr::V6(_) => lengths.six,
                };
                if let Ok(net) = IpNet::new(address, length) {
                    self.net(net, answer.evidence, parent);
                }
            }
        }
    }

    async fn exchanges(&mut self, name: &str, lengths: Lengths, parent: Option<&Handle>) {
        let answer = self.ask(name, RecordType::MX).await;
        self.count_void(answer.as_slice());
        let records = answer.iter().flat_map(|answer| &answer.answers);
        let mut names: Vec<String> = records
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some(presentation::domain(&mx.exchange)?.key().to_owned()),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        if names.len() > EXCHANGES_MAX {
            return self.fault(format!("{name} has more than {EXCHANGES_MAX} mail servers"));
        }
        for exchange in &names {
            let answers = [RecordType::A, RecordType::AAAA].map(|kind| (exchange, kind));
            let mut all = Vec::new();
            for (exchange, kind) in answers {
                all.extend(self.ask(exchange, kind).await);
            }
            if let Some(parent) = parent {
                self.authorise_host(exchange, true, lengths, &all, parent);
            }
        }
    }

    /// A block or a single address that may send.
    fn net(&mut self, net: IpNet, evidence: Digest, parent: &Handle) {
        if net.prefix_len() == 0 {
            return self.passes_all(&net.to_string(), evidence);
        }
        let entity = match net.prefix_len() == net.max_prefix_len() {
            true => Entity::new(Kind::Ip, &net.addr().to_string()),
            false => Entity::new(Kind::Netblock, &net.trunc().to_string()),
        };
        if let Ok(entity) = entity {
            let claim = Claim::out(Relation::Authorises, entity, evidence);
            self.found.add_under(parent, claim);
        }
    }

    async fn ask(&mut self, name: &str, kind: RecordType) -> Option<DnsAnswer> {
        match text_records::ask(name, kind, self.probe).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.fail(error);
                None
            }
        }
    }

    fn fail(&mut self, error: CollectError) {
        let outcome = std::mem::replace(&mut self.outcome, Ok(()));
        self.outcome = outcome.and(Err(error));
    }

    /// One look-up of which every answer came and none had a record (§4.6.4).
    fn count_void(&mut self, answers: &[DnsAnswer]) {
        let is_void = !answers.is_empty() && answers.iter().all(is_void);
        self.voids += u32::from(is_void);
    }
}

fn is_void(answer: &DnsAnswer) -> bool {
    answer.answers.is_empty()
}

fn addresses(answer: &DnsAnswer) -> impl Iterator<Item = IpAddr> + '_ {
    let address = |data: &RData| match data {
        RData::A(four) => Some(IpAddr::V4(four.0)),
        RData::AAAA(six) => Some(IpAddr::V6(six.0)),
        _ => None,
    };
    answer
        .answers
        .iter()
        .filter_map(move |record| address(&record.data))
}
