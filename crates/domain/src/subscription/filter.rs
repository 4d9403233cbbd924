//! Which events a subscription wants; an empty set is no condition.
//!
//! **Never:** an event about a delivery: each one told would be the cause of the next. Nor a record of the audit: who
//! read what is for few, and names addresses.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::id::{ModuleName, ScanId, StreamId};

/// Families of events, and categories of their streams, that are told to nobody.
const UNTOLD: [&str; 2] = ["audit", "delivery"];

/// See the module's doc.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    #[serde(default)]
    pub scan: Option<ScanId>,
    /// Of events, `task.found`.
    #[serde(default)]
    pub kinds: BTreeSet<String>,
    /// Of the task that the event came from.
    #[serde(default)]
    pub modules: BTreeSet<ModuleName>,
}

impl Filter {
    /// Whether an event of this kind is wanted, from that stream and module.
    pub fn wants(&self, stream: &StreamId, module: Option<&ModuleName>, kind: &str) -> bool {
        let scan = self.scan.as_ref();
        let is_of_module = || module.is_some_and(|module| self.modules.contains(module));
        !UNTOLD.contains(&stream.category.as_str())
            && scan.is_none_or(|scan| stream.scan.as_ref() == Some(scan))
            && (self.modules.is_empty() || is_of_module())
            && (self.kinds.is_empty() || self.kinds.contains(kind))
    }

    /// The first kind that there is not, or that nobody is told of.
    pub(super) fn unknown_kind(&self) -> Option<&String> {
        let is_known = |kind: &str| Event::kinds().any(|(known, _)| known == kind);
        let is_untold = |kind: &str| {
            UNTOLD
                .iter()
                .any(|family| kind.split('.').next() == Some(family))
        };
        let mut kinds = self.kinds.iter();
        kinds.find(|kind| !is_known(kind) || is_untold(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{SubscriptionId, Token, WorkspaceId};

    fn names(names: &[&str]) -> BTreeSet<ModuleName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn every_condition_must_hold_and_an_empty_one_does() {
        let workspace = WorkspaceId::new("default").unwrap();
        let [one, other] = ["scn_a", "scn_b"].map(|id| ScanId::new(id).unwrap());
        let stream = StreamId::scan(&workspace, &one);
        let dns = ModuleName::new("dns").unwrap();
        let all = Filter::default();
        assert!(all.wants(&stream, None, "scan.started"));
        let of = |scan: &ScanId, kind: &str, module: &str| Filter {
            scan: Some(scan.clone()),
            kinds: [kind.to_owned()].into(),
            modules: names(&[module]),
        };
        assert!(of(&one, "task.found", "dns").wants(&stream, Some(&dns), "task.found"));
        assert!(!of(&other, "task.found", "dns").wants(&stream, Some(&dns), "task.found"));
        assert!(!of(&one, "task.found", "dns").wants(&stream, Some(&dns), "task.started"));
        assert!(!of(&one, "task.found", "http").wants(&stream, Some(&dns), "task.found"));
        assert!(!of(&one, "task.found", "dns").wants(&stream, None, "task.found"));
    }

    #[test]
    fn nobody_is_told_of_a_delivery_or_of_who_read_what() {
        let workspace = WorkspaceId::new("default").unwrap();
        let deliveries = StreamId::delivery(&workspace, &SubscriptionId::new("sub_a").unwrap());
        let audit = StreamId::audit(&workspace, &Token::new("writer").unwrap());
        assert!(!Filter::default().wants(&deliveries, None, "delivery.delivered"));
        assert!(!Filter::default().wants(&audit, None, "audit.read"));
        for kind in ["delivery.delivered", "audit.refused", "scan.exploded"] {
            let filter = Filter {
                kinds: ["scan.started".to_owned(), kind.to_owned()].into(),
                ..Filter::default()
            };
            assert_eq!(filter.unknown_kind().unwrap(), kind);
        }
    }
}
