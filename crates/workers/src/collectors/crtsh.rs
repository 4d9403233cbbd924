//! crt.sh: names that public certificate logs have seen under a domain.
//!
//! Needs no key. The site fails under load; that is `Unavailable`, never "found nothing".
//! Its answer holds all names below, so only the topmost name of a branch of the scope is asked about.

use std::collections::BTreeSet;

use async_trait::async_trait;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::module::{Manifest, Setting};
use mirage_domain::relation::Relation;
use serde::Deserialize;

use super::{Claim, CollectError, Collector, Found, Input};
use crate::probe::{HttpRequest, Page, Probe};

pub(super) struct Crtsh;

static MANIFEST: Manifest = Manifest {
    name: "crtsh",
    summary: "Subdomains from certificate transparency logs",
    consumes: &[Kind::Domain],
    produces: &[Kind::Domain],
    requests_per_minute_max: 10,
    parallel: 2,
    settings: &[Setting {
        key: "url",
        help: "where to ask; {domain} stands for the domain",
        default: "https://crt.sh/?q=%25.{domain}&output=json",
        is_secret: false,
        is_operators: true,
    }],
    ..Manifest::DEFAULT
};

/// The largest companies' answers have some tens of MiB.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Names of one answer that are reported, in their order.
const NAMES_MAX: usize = 100_000;
/// A certificate may be long expired and its name gone.
const CONFIDENCE: u8 = 80;

#[async_trait]
impl Collector for Crtsh {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        probe: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        if !found.is_topmost() {
            return Ok(());
        }
        let url = input.setting("url").replace("{domain}", input.key());
        let request = HttpRequest {
            body_bytes_max: BODY_BYTES_MAX,
            ..HttpRequest::get(url)
        };
        let page = probe.http(request).await?;
        let names = names_below(input.key(), &certificates(&page)?);
        if page.is_cut || names.len() > NAMES_MAX {
            found.remark("cap-reached", "names", input.key());
        }
        for entity in names.into_iter().take(NAMES_MAX) {
            let claim = Claim::inward(Relation::SubdomainOf, entity, page.evidence);
            found.add(claim.confidence(CONFIDENCE));
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Certificate {
    /// Names, one a line.
    name_value: Option<String>,
}

fn certificates(page: &Page) -> Result<Vec<Certificate>, CollectError> {
    if page.status != 200 || page.body.trim_ascii().is_empty() {
        let reason = format!("crt.sh: status {}, {} bytes", page.status, page.body.len());
        return Err(CollectError::Unavailable(reason));
    }
    let parsed = match page.is_cut {
        false => serde_json::from_slice(&page.body),
        true => serde_json::from_slice(&whole(&page.body)),
    };
    parsed.map_err(|error| CollectError::Malformed(format!("crt.sh: {error}")))
}

/// A list that was cut, up to its last whole entry.
fn whole(body: &[u8]) -> Vec<u8> {
    let end = body.iter().rposition(|byte| *byte == b'}');
    let mut list = body[..end.map_or(0, |end| end + 1)].to_vec();
    list.push(b']');
    list
}

/// Wildcards and mailboxes stand among the names too; they name no host, so their keys are refused.
fn names_below(domain: &str, certificates: &[Certificate]) -> BTreeSet<Entity> {
    let values = certificates.iter().flat_map(|own| &own.name_value);
    let entities = values
        .flat_map(|value| value.lines())
        .filter_map(|line| Entity::new(Kind::Domain, line.trim()).ok());
    let is_below = |entity: &Entity| {
        let rest = entity.key().strip_suffix(domain);
        rest.is_some_and(|rest| rest.ends_with('.'))
    };
    entities.filter(is_below).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Tape, given, replay};
    use crate::probe::exchange::Frame;

    const LISTED: &str = r#"[
        {"issuer_ca_id":1,"common_name":"example.com","name_value":"example.com\nWWW.example.com\n*.wild.example.com",
         "entry_timestamp":null,"not_before":"2025-01-01T00:00:00"},
        {"name_value":"admin@example.com\nbadexample.com\nexample.com.evil.test\n b\u00fccher.example.com \n\u001b[2J.example.com"},
        {"name_value":null},
        {"name_value":"www.example.com\na.b.example.com"}]"#;

    #[tokio::test]
    async fn names_below_the_domain_are_found_once() {
        replay(&Crtsh, &["example.com"], LISTED).await.claims(&[
            "domain:www.example.com subdomain-of domain:example.com",
            "domain:a.b.example.com subdomain-of domain:example.com",
            "domain:xn--bcher-kva.example.com subdomain-of domain:example.com",
        ]);
    }

    #[tokio::test]
    async fn the_topmost_name_of_the_scope_alone_is_asked_about() {
        let outcome = given()
            .scope("example.com")
            .replay(&Crtsh, &["www.example.com"], Tape::new())
            .await;
        outcome.finds(&[]);
        let outcome = replay(
            &Crtsh,
            &["dept.example.com"],
            r#"[{"name_value":"a.dept.example.com"}]"#,
        );
        outcome.await.finds(&["a.dept.example.com"]);
    }

    #[tokio::test]
    async fn the_place_to_ask_is_a_setting() {
        let tape = Tape::new().http("http://ct.test/example.com", 200, &[], "[]");
        given()
            .setting("url", "http://ct.test/{domain}")
            .replay(&Crtsh, &["example.com"], tape)
            .await
            .finds(&[]);
    }

    #[tokio::test]
    async fn a_source_that_is_down_never_found_nothing() {
        let url = "https://crt.sh/?q=%25.example.com&output=json";
        for (status, body, reason) in [
            (200, "", "unavailable"),
            (502, "<html>", "unavailable"),
            (
                200,
                "<html><body>too many connections</body></html>",
                "malformed",
            ),
            (200, "{\"error\":1}", "malformed"),
        ] {
            let tape = Tape::new().http(url, status, &[], body);
            let outcome = replay(&Crtsh, &["example.com"], tape).await;
            outcome.fails(reason).finds(&[]);
        }
        let outcome = replay(&Crtsh, &["example.com"], Tape::new()).await;
        outcome.fails("unavailable").finds(&[]);
    }

    #[tokio::test]
    async fn of_an_answer_that_was_cut_the_whole_entries_count() {
        let frame = Frame::Http {
            method: "GET".into(),
            url: "https://crt.sh/?q=%25.example.com&output=json".into(),
            request_headers: Vec::new(),
            remote: String::new(),
            version: "HTTP/1.1".into(),
            status: 200,
            headers: Vec::new(),
            is_cut: true,
        };
        let body = br#"[{"name_value":"a.example.com"},{"name_value":"b.exa"#;
        let outcome = replay(&Crtsh, &["example.com"], Tape::new().with(frame, body)).await;
        outcome.remarks("cap-reached").finds(&["a.example.com"]);
    }
}
