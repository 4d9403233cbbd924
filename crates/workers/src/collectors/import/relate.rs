//! How what a tool saw hangs under its parent: by the natural relation, else by `related-to`.
//!
//! **Never:** a guess: what the tool does not say is `related-to`.

use mirage_domain::entity::{Entity, Kind};
use mirage_domain::relation::{Direction, Relation};

use super::Edge;

/// The edge from `parent` to `child`; `by` is what found it, such as the type of a DNS record.
pub(super) fn relate(parent: &Entity, child: &Entity, by: &str) -> Edge {
    let edge = natural(parent, child, by);
    let is_legal = edge.0.is_legal_for(edge.1, parent.kind(), child.kind());
    match is_legal {
        true => edge,
        false => (Relation::RelatedTo, Direction::Out),
    }
}

fn natural(parent: &Entity, child: &Entity, by: &str) -> Edge {
    use {Kind as K, Relation as R};
    let out = |relation| (relation, Direction::Out);
    let inward = |relation| (relation, Direction::In);
    match (parent.kind(), child.kind()) {
        _ if parent == child => out(R::About),
        (_, K::Exposure) => out(R::Shows),
        (_, K::Verdict) => out(R::JudgedBy),
        (K::File, _) => out(R::Mentions),
        (K::Domain, K::Domain) => between_names(parent.key(), child.key(), by),
        (K::Domain, K::Ip) if is_text(by) => out(R::Mentions),
        (K::Domain, K::Ip) => out(R::ResolvesTo),
        (K::Ip, K::Domain) if by == "PTR" => out(R::NamedBy),
        (K::Domain, K::DnsRecord) => out(R::HasRecord),
        (K::Ip | K::Domain, K::Service) => out(R::Offers),
        (K::Service, K::Ip | K::Domain) => inward(R::Offers),
        (K::Service | K::Domain, K::Url) => out(R::Serves),
        (K::Url, K::Service) => inward(R::Serves),
        (K::Url, K::Domain) if host(parent.key()) == Some(child.key()) => inward(R::Serves),
        (K::Url, K::Url) => out(R::LinksTo),
        (K::Service | K::Url | K::Domain, K::Software | K::TrackerId) => out(R::Uses),
        (K::Software | K::Service | K::Url, K::Vulnerability) => out(R::AffectedBy),
        (K::Service, K::Certificate) => out(R::Presents),
        (K::Ip | K::Netblock, K::Netblock) => out(R::PartOf),
        (K::Netblock, K::Ip) => inward(R::PartOf),
        (K::Netblock, K::AutonomousSystem) => out(R::AnnouncedBy),
        (K::AutonomousSystem, K::Netblock) => inward(R::AnnouncedBy),
        (_, K::Location) => out(R::LocatedAt),
        (K::Url | K::Domain | K::Text | K::DnsRecord, _) => out(R::Mentions),
        _ => out(R::RelatedTo),
    }
}

/// Records whose text names others.
fn is_text(by: &str) -> bool {
    matches!(by, "TXT" | "SPF" | "CAA" | "SOA" | "SRV")
}

fn between_names(parent: &str, child: &str, by: &str) -> Edge {
    let is_below = |name: &str, top: &str| {
        name.strip_suffix(top)
            .is_some_and(|rest| rest.ends_with('.'))
    };
    match by {
        "CNAME" | "DNAME" => (Relation::AliasOf, Direction::Out),
        "NS" => (Relation::ServedBy, Direction::Out),
        "MX" => (Relation::MailHandledBy, Direction::Out),
        by if is_text(by) => (Relation::Mentions, Direction::Out),
        _ if is_below(child, parent) => (Relation::SubdomainOf, Direction::In),
        _ if is_below(parent, child) => (Relation::SubdomainOf, Direction::Out),
        _ => (Relation::RelatedTo, Direction::Out),
    }
}

/// The host of a normalised URL, without its port.
pub(super) fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    match authority.strip_prefix('[') {
        Some(six) => six.split(']').next(),
        None => authority.split(':').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(parent: &str, child: &str, by: &str) -> String {
        let entity = |text: &str| {
            let (kind, key) = text.split_once(':').unwrap();
            Entity::new(kind.parse().unwrap(), key).unwrap()
        };
        let (relation, direction) = relate(&entity(parent), &entity(child), by);
        format!("{relation} {}", direction.as_str())
    }

    #[test]
    fn what_has_a_natural_relation_gets_it_in_its_direction() {
        for (parent, child, by, wanted) in [
            ("domain:a.example", "ip:192.0.2.1", "A", "resolves-to out"),
            ("domain:a.example", "ip:192.0.2.1", "TXT", "mentions out"),
            ("ip:192.0.2.1", "domain:a.example", "PTR", "named-by out"),
            ("ip:192.0.2.1", "domain:a.example", "asn", "related-to out"),
            (
                "domain:a.example",
                "domain:b.example",
                "CNAME",
                "alias-of out",
            ),
            (
                "domain:a.example",
                "domain:w.a.example",
                "crt",
                "subdomain-of in",
            ),
            (
                "domain:w.a.example",
                "domain:a.example",
                "up",
                "subdomain-of out",
            ),
            (
                "domain:a.example",
                "domain:b.example",
                "x",
                "related-to out",
            ),
            (
                "domain:a.example",
                "service:192.0.2.1:443/tcp",
                "",
                "offers out",
            ),
            (
                "url:https://a.example/",
                "service:192.0.2.1:443/tcp",
                "",
                "serves in",
            ),
            (
                "url:https://a.example/",
                "domain:a.example",
                "host",
                "serves in",
            ),
            (
                "url:https://a.example/",
                "domain:b.example",
                "",
                "mentions out",
            ),
            ("url:https://a.example/", "software:nginx", "", "uses out"),
            ("netblock:192.0.2.0/24", "ip:192.0.2.1", "", "part-of in"),
            (
                "organization:acme",
                "storage-bucket:s3:acme",
                "",
                "related-to out",
            ),
            (
                "software:nginx",
                "exposure:old software nginx",
                "",
                "shows out",
            ),
        ] {
            assert_eq!(edge(parent, child, by), wanted, "{parent} {child} {by}");
        }
    }

    #[test]
    fn every_pair_of_kinds_has_a_legal_edge() {
        for (_, parent) in mirage_domain::entity::examples()
            .map(|(kind, key)| (kind, Entity::new(kind, key).unwrap()))
        {
            for (kind, key) in mirage_domain::entity::examples() {
                let child = Entity::new(kind, key).unwrap();
                for by in ["A", "TXT", "PTR", "CNAME", "anything"] {
                    let (relation, direction) = relate(&parent, &child, by);
                    assert!(relation.is_legal_for(direction, parent.kind(), kind));
                }
            }
        }
    }
}
