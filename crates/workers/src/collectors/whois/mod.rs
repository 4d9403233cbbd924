//! whois: who registered a name or an address, by whatever a server says on port 43 (RFC 3912).
//!
//! Only where RDAP has no answer: like `rdap` it reads the bootstrap file (RFC 9224), and where a server is listed for
//! the name or the address it asks nobody. So what it does hangs on the input and that file alone, not on how `rdap` fared.
//! Servers refer to the next one, at most three times, each judged by the egress policy; of their answers the last one
//! that is about the input counts. The form is any server's own, hence the low confidence.
//! **Never:** a claim from an answer about something else, such as the top-level domain.

mod fields;
mod meaning;
mod server;

use std::collections::BTreeSet;

use async_trait::async_trait;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::module::{Manifest, Setting};

use self::fields::Field;
use self::server::Server;
use super::{CollectError, Collector, Found, Input, charset, registries};
use crate::probe::{Line, OpenPort, Probe};

pub(super) struct Whois;

static MANIFEST: Manifest = Manifest {
    name: "whois",
    summary: "Who registered a name or an address for which no RDAP server is listed",
    consumes: &[Kind::Domain, Kind::Ip],
    produces: &[Kind::Email, Kind::Netblock, Kind::Organization],
    // Servers shut out who asks often, some for a day.
    requests_per_minute_max: 60,
    parallel: 2,
    deadline_s: 300,
    settings: &[
        registries::BOOTSTRAP,
        Setting {
            key: "server",
            help: "the server that is asked first, HOST or HOST:PORT",
            default: "whois.iana.org",
            is_secret: false,
            is_operators: true,
        },
    ],
    ..Manifest::DEFAULT
};

/// Bytes of an answer; the longest are a few hundred lines.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Referrals that are followed: from the root to the registry, to the registrar, and one to spare.
const REFERRALS_MAX: usize = 3;
/// Addresses of one server that are tried.
const ADDRESSES_MAX: usize = 3;
/// What a server says that has had enough, in lower case.
const LIMITS: &[&str] = &[
    "quota exceeded",
    "limit exceeded",
    "exceeded the query limit",
    "rate limit",
    "too many requests",
    "too many queries",
];

#[async_trait]
impl Collector for Whois {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let entity = &input.entity;
        if entity.kind() == Kind::Domain && entity.registrable_domain() != entity.as_domain() {
            return Ok(());
        }
        let listed = registries::server(entity, input.setting("bootstrap"), probe).await?;
        if listed.is_some() {
            return Ok(());
        }
        let setting = input.setting("server");
        let wrong = || CollectError::Refused(format!("server `{setting}` is no HOST or HOST:PORT"));
        let first = Server::parse(setting).ok_or_else(wrong)?;
        match follow(first, entity, probe, found).await? {
            Some(answer) => meaning::report(entity, &answer, found),
            None => found.remark("not-registered", "whois", entity.key()),
        }
        Ok(())
    }
}

/// What one server answered.
struct Answer {
    fields: Vec<Field>,
    evidence: Digest,
}

/// Asks along the referrals; the last answer about the entity, none if no server knows it.
async fn follow(
    mut server: Server,
    entity: &Entity,
    probe: &dyn Probe,
    found: &Found,
) -> Result<Option<Answer>, CollectError> {
    let (mut best, mut asked) = (None, BTreeSet::new());
    loop {
        let answer = match ask(&server, entity, probe, found).await {
            Ok(answer) => answer,
            Err(error) if best.is_none() => return Err(error),
            Err(error) => {
                found.remark("server-unavailable", server.to_string(), error.to_string());
                return Ok(best);
            }
        };
        let next = server::referral(&answer.fields).filter(|next| *next != server);
        if meaning::is_about(&answer.fields, entity) {
            best = Some(answer);
        }
        asked.insert(server);
        let Some(next) = next else {
            return Ok(best);
        };
        if asked.contains(&next) {
            found.remark("referral-loop", next.to_string(), entity.key());
            return Ok(best);
        }
        if asked.len() > REFERRALS_MAX {
            found.remark("cap-reached", "referrals", entity.key());
            return Ok(best);
        }
        server = next;
    }
}

async fn ask(
    server: &Server,
    entity: &Entity,
    probe: &dyn Probe,
    found: &Found,
) -> Result<Answer, CollectError> {
    let said = said(server, entity, probe).await?;
    let text = charset::text(&said.said, "");
    let mut text = text.as_str();
    if said.is_cut {
        found.remark("cap-reached", "answer", server.to_string());
        // The last line may be half of one.
        text = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    }
    if text.trim().is_empty() {
        return Err(CollectError::Unavailable(format!("{server}: no answer")));
    }
    let fields = fields::read(text);
    let lower = text.to_lowercase();
    let is_limit = LIMITS.iter().any(|phrase| lower.contains(phrase));
    // Answers about a name often tell the limits in their small print.
    if is_limit && !meaning::is_about(&fields, entity) && server::referral(&fields).is_none() {
        return Err(CollectError::Limited(server.to_string()));
    }
    Ok(Answer {
        fields,
        evidence: said.evidence,
    })
}

/// What the first of the server's addresses that is open says.
async fn said(
    server: &Server,
    entity: &Entity,
    probe: &dyn Probe,
) -> Result<OpenPort, CollectError> {
    let question = server.question(entity);
    let mut failure = CollectError::Unavailable(format!("{server}: no connection"));
    for socket in server.sockets(probe).await?.into_iter().take(ADDRESSES_MAX) {
        let line = Line {
            text: &question,
            bytes_max: ANSWER_BYTES_MAX,
        };
        match probe.tcp(socket, Some(line)).await {
            Ok(Some(said)) => return Ok(said),
            Ok(None) => {}
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests;
