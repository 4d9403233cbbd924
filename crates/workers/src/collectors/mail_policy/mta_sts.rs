//! MTA-STS (RFC 8461): which mail servers a domain vouches for, and that mail must be encrypted.

use hickory_proto::rr::RecordType;
use mirage_domain::entity::{Entity, Kind};
use mirage_domain::id::Digest;
use mirage_domain::relation::Relation;
use url::Url;

use super::publication::{Texts, below, has_version, texts};
use super::report::{Report, Severity, shown};
use super::{Claim, CollectError, page, text_records};
use crate::probe::{HttpRequest, Page, Probe};

/// Of a policy (§3.2 lets a client cut at 64 KiB).
const POLICY_BYTES_MAX: usize = 64 * 1024;
/// Servers of a policy that are reported.
const SERVERS_MAX: usize = 64;

/// Reports what the domain announces; the policy itself is fetched only where a port is given.
pub(super) async fn collect(
    port: Option<&str>,
    probe: &dyn Probe,
    report: &mut Report<'_>,
) -> Result<(), CollectError> {
    let domain = report.domain();
    let (Some(name), Some(host)) = (below("_mta-sts", domain), below("mta-sts", domain)) else {
        return Ok(());
    };
    let is_record = |text: &str| has_version(text, "STSv1");
    let Texts { texts, evidence } = texts(&name, is_record, probe).await?;
    let [text] = texts.as_slice() else {
        return Ok(());
    };
    report.says("mta_sts", shown(text), evidence);
    match (has_server(&host, probe, report).await?, port) {
        (false, _) => invalid("has no server for it", evidence, report),
        (true, Some(port)) => fetch(&host, port, probe, report).await?,
        (true, None) => {}
    }
    Ok(())
}

/// Whether the host has an address, at which the policy must lie; it is reported if so.
async fn has_server(
    host: &str,
    probe: &dyn Probe,
    report: &Report<'_>,
) -> Result<bool, CollectError> {
    for kind in [RecordType::A, RecordType::AAAA] {
        let answer = text_records::ask(host, kind, probe).await?;
        if answer.answers.is_empty() {
            continue;
        }
        if let Ok(entity) = Entity::new(Kind::Domain, host) {
            let claim = Claim::inward(Relation::SubdomainOf, entity, answer.evidence);
            report.found.add(claim);
        }
        return Ok(true);
    }
    Ok(false)
}

async fn fetch(
    host: &str,
    port: &str,
    probe: &dyn Probe,
    report: &mut Report<'_>,
) -> Result<(), CollectError> {
    let url = Url::parse(&format!("https://{host}:{port}/.well-known/mta-sts.txt"));
    let wrong = |_| CollectError::Refused(format!("tls-port `{port}` is no number of a port"));
    // A redirect must not be followed (§3.3).
    let request = HttpRequest {
        follow: false,
        body_bytes_max: POLICY_BYTES_MAX,
        ..HttpRequest::get(url.map_err(wrong)?)
    };
    match probe.http(request).await {
        Ok(page) => match policy(&page) {
            Some(policy) => servers(&policy, &page, report),
            None => invalid("does not publish it", page.evidence, report),
        },
        // A server that is not there, or not trusted, is the domain's own trouble and no source's.
        Err(error @ (CollectError::Unavailable(_) | CollectError::Malformed(_))) => {
            let found = report.found;
            found.remark("server-unavailable", host, error.to_string());
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn invalid(reason: &str, evidence: Digest, report: &Report<'_>) {
    let domain = report.domain();
    let headline = format!("{domain} announces an MTA-STS policy and {reason}");
    report.exposes("mta-sts-invalid", Severity::Low, domain, headline, evidence);
}

/// What a policy says.
#[derive(Debug, PartialEq)]
struct Policy {
    mode: String,
    servers: Vec<String>,
}

/// Reads `version`, `mode` and every `mx` of a policy (§3.2); none if it is no policy.
fn policy(page: &Page) -> Option<Policy> {
    (page.status == 200 && !page.is_cut).then(|| read(&page::text(page)))?
}

fn read(text: &str) -> Option<Policy> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    let pairs: Vec<(&str, &str)> = pairs
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let value = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, v)| *v);
    let mode = value("mode").filter(|mode| matches!(*mode, "enforce" | "testing" | "none"))?;
    let servers = pairs.iter().filter(|(key, _)| *key == "mx");
    (value("version") == Some("STSv1")).then(|| Policy {
        mode: mode.to_owned(),
        servers: servers.map(|(_, name)| (*name).to_owned()).collect(),
    })
}

fn servers(policy: &Policy, page: &Page, report: &mut Report<'_>) {
    report.says("mta_sts_mode", policy.mode.as_str(), page.evidence);
    if policy.servers.len() > SERVERS_MAX {
        report.found.remark(
            "cap-reached",
            "mta-sts-servers",
            policy.servers.len().to_string(),
        );
    }
    for name in policy.servers.iter().take(SERVERS_MAX) {
        // `*.example.com` names no host.
        if let Ok(entity) = Entity::new(Kind::Domain, name) {
            let claim = Claim::out(Relation::MailHandledBy, entity, page.evidence);
            report
                .found
                .add(claim.with("mta_sts", policy.mode.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_mode_and_servers() {
        let text =
            "version: STSv1\r\nmode: enforce\r\nmx: a.example\r\nmx:*.b.example\r\nmax_age: 1\r\n";
        let policy = read(text).unwrap();
        assert_eq!(policy.mode, "enforce");
        assert_eq!(policy.servers, ["a.example", "*.b.example"]);
        for text in [
            "",
            "<html>",
            "version: STSv1",
            "version: STSv2\nmode: none",
            "version: STSv1\nmode: x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
