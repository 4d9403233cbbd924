//! Scope: what a scan may contact, decided for each finding by a named rule.
//!
//! A seed implies its rule; `!rule` excludes and wins. Out of scope a finding is kept and marked.
//! **Invariant:** a decision is a pure function of the scope, the parent with its own decision, the relation and the entity.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::entity::{Entity, Kind};
use crate::relation::Relation;

/// Most rules of one scope, seeds' rules not counted.
pub const RULES_MAX: usize = 10_000;

/// One rule, as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// `example.com`: the name and all below it.
    Below(Box<str>),
    /// `=www.example.com`: this name alone.
    Name(Box<str>),
    /// `192.0.2.0/24`, `192.0.2.1`: every address inside.
    Net(IpNet),
    /// `email:info@example.com`: this entity alone.
    Entity(Kind, Box<str>),
}

/// The text is no scope rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no scope rule: write a domain, =name, an address, a CIDR, or KIND:KEY, with ! before it to exclude"
)]
pub struct RuleError(pub String);

impl FromStr for Rule {
    type Err = RuleError;
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let wrong = || RuleError(text.to_owned());
        let name = |text: &str| Kind::Domain.normalise(text).map(String::into_boxed_str);
        if let Some(exact) = text.strip_prefix('=') {
            return name(exact).map(Self::Name).map_err(|_| wrong());
        }
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net(net.trunc()));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Net(address.to_canonical().into()));
        }
        if let Some((kind, key)) = text.split_once(':')
            && let Ok(kind) = kind.parse::<Kind>()
        {
            let entity = Entity::new(kind, key).map_err(|_| wrong())?;
            return Ok(Self::of_seed(&entity));
        }
        name(text).map(Self::Below).map_err(|_| wrong())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(name) => f.write_str(name),
            Self::Name(name) => write!(f, "={name}"),
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => net.addr().fmt(f),
            Self::Net(net) => net.fmt(f),
            Self::Entity(kind, key) => write!(f, "{kind}:{key}"),
        }
    }
}

impl Rule {
    /// The rule that a seed implies.
    pub fn of_seed(seed: &Entity) -> Self {
        let key = seed.key();
        match seed.kind() {
            Kind::Domain => Self::Below(key.into()),
            Kind::Ip | Kind::Netblock => {
                key.parse().unwrap_or(Self::Entity(seed.kind(), key.into()))
            }
            Kind::Url => match host(key) {
                Some(Host::Name(name)) => Self::Name(name.into()),
                Some(Host::Address(address)) => Self::Net(address.into()),
                None => Self::Entity(Kind::Url, key.into()),
            },
            kind => Self::Entity(kind, key.into()),
        }
    }

    fn has_name(&self, name: &str) -> bool {
        match self {
            Self::Below(top) => name
                .strip_suffix(&**top)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            Self::Name(exact) => **exact == *name,
            Self::Net(_) | Self::Entity(..) => false,
        }
    }

    fn has_address(&self, address: IpAddr) -> bool {
        matches!(self, Self::Net(net) if net.contains(&address))
    }

    fn has_entity(&self, entity: &Entity) -> bool {
        matches!(self, Self::Entity(kind, key) if *kind == entity.kind() && **key == *entity.key())
    }
}

/// Whether a finding's entity is in scope, and the rule that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    #[serde(rename = "in")]
    pub is_in: bool,
    /// The rule's text; `no-rule` when none speaks of the entity.
    pub rule: Box<str>,
}

impl Decision {
    fn new(is_in: bool, rule: impl fmt::Display) -> Self {
        Self {
            is_in,
            rule: rule.to_string().into(),
        }
    }
}

/// Where a finding hangs: its parent entity, the parent's own decision, and the relation.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    pub parent: &'a Entity,
    pub parent_is_in: bool,
    pub relation: Relation,
}

/// The scope of one scan, fixed when it starts.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    include: Vec<Rule>,
    exclude: Vec<Rule>,
}

/// What of an entity the rules speak about.
enum Place<'a> {
    Name(&'a str),
    Address(IpAddr),
    Net(IpNet),
    /// No place of its own: it belongs where its parent does.
    Nowhere,
}

enum Host<'a> {
    Name(&'a str),
    Address(IpAddr),
}

/// The host of a normalised URL.
fn host(url: &str) -> Option<Host<'_>> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    if let Some(six) = authority.strip_prefix('[') {
        return six.split(']').next()?.parse().ok().map(Host::Address);
    }
    let name = authority.split(':').next()?;
    Some(name.parse().map_or(Host::Name(name), Host::Address))
}

fn place(entity: &Entity) -> Place<'_> {
    let key = entity.key();
    let address = |text: &str| text.parse().map_or(Place::Nowhere, Place::Address);
    match entity.kind() {
        Kind::Domain => Place::Name(key),
        Kind::DnsRecord => Place::Name(key.split(' ').next().unwrap_or(key)),
        Kind::Email => Place::Name(key.rsplit('@').next().unwrap_or(key)),
        Kind::Ip => address(key),
        Kind::Netblock => key.parse().map_or(Place::Nowhere, Place::Net),
        Kind::Service => {
            let socket = key
                .split('/')
                .next()
                .and_then(|s| s.parse::<std::net::SocketAddr>().ok());
            socket.map_or(Place::Nowhere, |socket| Place::Address(socket.ip()))
        }
        Kind::Url => match host(key) {
            Some(Host::Name(name)) => Place::Name(name),
            Some(Host::Address(address)) => Place::Address(address),
            None => Place::Nowhere,
        },
        _ => Place::Nowhere,
    }
}

impl Scope {
    /// The rules that the seeds imply, and the scan's own ones; `!rule` excludes.
    pub fn new<'a>(
        seeds: impl IntoIterator<Item = &'a Entity>,
        rules: &[String],
    ) -> Result<Self, RuleError> {
        let mut scope = Self::default();
        scope.include.extend(seeds.into_iter().map(Rule::of_seed));
        for rule in rules {
            match rule.strip_prefix('!') {
                Some(rule) => scope.exclude.push(rule.parse()?),
                None => scope.include.push(rule.parse()?),
            }
        }
        scope.include.sort_unstable();
        scope.include.dedup();
        Ok(scope)
    }

    pub fn included(&self) -> &[Rule] {
        &self.include
    }
    pub fn excluded(&self) -> &[Rule] {
        &self.exclude
    }

    /// Decides for `entity`; a seed has no link.
    pub fn decide(&self, link: Option<Link<'_>>, entity: &Entity) -> Decision {
        let place = place(entity);
        if let Some(rule) = find(&self.exclude, &place, entity) {
            return Decision::new(false, format_args!("!{rule}"));
        }
        if let Some(rule) = find(&self.include, &place, entity) {
            return Decision::new(true, rule);
        }
        match link {
            Some(link) if link.parent_is_in => inherit(link, &place, entity),
            _ => Decision::new(false, "no-rule"),
        }
    }
}

/// What an in-scope parent passes on to an entity that no rule names.
fn inherit(link: Link<'_>, place: &Place<'_>, entity: &Entity) -> Decision {
    let same_host = || match (host(link.parent.key()), host(entity.key())) {
        (Some(Host::Address(parent)), Some(Host::Address(own))) => parent == own,
        _ => false,
    };
    match (place, link.relation) {
        (_, Relation::About) => Decision::new(true, "of-parent"),
        (Place::Nowhere, _) => Decision::new(true, "of-parent"),
        (Place::Address(_), Relation::ResolvesTo) => Decision::new(true, "address-of-name"),
        (Place::Address(_), Relation::Offers | Relation::Serves) => {
            Decision::new(true, "at-parent")
        }
        (Place::Address(_), _) if entity.kind() == Kind::Url && same_host() => {
            Decision::new(true, "same-host")
        }
        (Place::Name(_) | Place::Address(_) | Place::Net(_), _) => Decision::new(false, "no-rule"),
    }
}

fn find<'a>(rules: &'a [Rule], place: &Place<'_>, entity: &Entity) -> Option<&'a Rule> {
    rules.iter().find(|rule| {
        rule.has_entity(entity)
            || match place {
                Place::Name(name) => rule.has_name(name),
                Place::Address(address) => rule.has_address(*address),
                Place::Net(inner) => matches!(rule, Rule::Net(net) if net.contains(inner)),
                Place::Nowhere => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(kind: Kind, key: &str) -> Entity {
        Entity::recorded(kind, key)
    }

    fn scope(rules: &[&str]) -> Scope {
        let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
        Scope::new([&entity(Kind::Domain, "example.com")], &rules).unwrap()
    }

    #[test]
    fn a_domain_seed_covers_itself_and_all_below_but_no_look_alike() {
        let scope = scope(&[]);
        let decide = |name: &str| scope.decide(None, &entity(Kind::Domain, name));
        assert_eq!(
            decide("a.b.example.com"),
            Decision::new(true, "example.com")
        );
        assert!(decide("example.com").is_in);
        assert_eq!(decide("badexample.com"), Decision::new(false, "no-rule"));
    }

    #[test]
    fn an_exclusion_wins_and_is_named() {
        let scope = scope(&["!internal.example.com", "!192.0.2.0/24"]);
        let name = scope.decide(None, &entity(Kind::Domain, "db.internal.example.com"));
        assert_eq!(name, Decision::new(false, "!internal.example.com"));
        let parent = entity(Kind::Domain, "example.com");
        let link = Link {
            parent: &parent,
            parent_is_in: true,
            relation: Relation::ResolvesTo,
        };
        let address = scope.decide(Some(link), &entity(Kind::Ip, "192.0.2.7"));
        assert_eq!(address, Decision::new(false, "!192.0.2.0/24"));
    }

    #[test]
    fn an_address_is_in_for_the_name_that_resolves_to_it_and_its_neighbours_are_not() {
        let scope = scope(&[]);
        let parent = entity(Kind::Domain, "www.example.com");
        let ip = entity(Kind::Ip, "192.0.2.7");
        let link = |relation| Link {
            parent: &parent,
            parent_is_in: true,
            relation,
        };
        assert!(scope.decide(Some(link(Relation::ResolvesTo)), &ip).is_in);
        assert!(!scope.decide(Some(link(Relation::Authorises)), &ip).is_in);
        let stranger = Link {
            parent_is_in: false,
            ..link(Relation::ResolvesTo)
        };
        assert!(!scope.decide(Some(stranger), &ip).is_in);
    }

    #[test]
    fn a_url_is_judged_by_its_host() {
        let scope = scope(&["198.51.100.0/24"]);
        let url = |key: &str| scope.decide(None, &entity(Kind::Url, key)).is_in;
        assert!(url("https://www.example.com:8443/a"));
        assert!(url("http://198.51.100.9/"));
        assert!(!url("https://example.com.evil.net/"));
        assert!(!url("https://evil.net/?q=example.com"));
    }

    #[test]
    fn rules_read_back_as_they_are_shown() {
        for text in [
            "example.com",
            "=www.example.com",
            "192.0.2.0/24",
            "192.0.2.1",
            "2001:db8::/32",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        assert!("*.example.com".parse::<Rule>().is_err());
    }
}
