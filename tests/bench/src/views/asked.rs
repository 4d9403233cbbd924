//! The questions that are asked over the gateway, too: each as an address, and as the view's own.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use mirage_domain::id::{EntityId, FindingId};
use mirage_log::contract::scan;

use super::made::{self, entity};
use super::reads::{READS, Views};

/// An address below `/api/v1` about a host.
type Url = fn(usize) -> String;
/// The same question to the views.
type Ask = fn(&Asked, usize) -> Result<usize>;

/// The views of a data directory, for the questions of the gateway.
pub(crate) struct Asked(Views);

impl Asked {
    /// Names, addresses and questions.
    pub(crate) const ALL: [(&str, Url, Ask); 5] = [
        (
            "first 100 findings",
            |_| format!("/findings?scan={}&limit=100", scan()),
            |views, _| views.0.first_findings(),
        ),
        (
            "an entity",
            |host| format!("/entities/{}", id(host)),
            |views, host| views.0.entity(id(host)),
        ),
        (
            "search, a host's name",
            |host| format!("/search?q=host-{host}&limit=50"),
            |views, host| views.read("search, a host's name", host),
        ),
        (
            "why of a finding",
            |host| format!("/findings/{}/why", finding(host)),
            |views, host| views.read("why of a finding", host),
        ),
        (
            "neighbours of a host",
            |host| format!("/entities/{}/neighbors?limit=100", id(host)),
            |views, host| views.read("neighbours of a host", host),
        ),
    ];

    pub(crate) fn open(data: &Path) -> Result<Self> {
        Ok(Self(Views::open(data)?))
    }

    fn read(&self, what: &str, host: usize) -> Result<usize> {
        let read = READS.iter().find(|read| read.what == what);
        let rows = (read.context("a read of this name")?.ask)(&self.0, None, host)?;
        ensure!(rows > 0, "{what}: nothing about host {host}");
        Ok(rows)
    }
}

fn id(host: usize) -> EntityId {
    made::id(&entity(host, 0))
}

fn finding(host: usize) -> FindingId {
    made::finding(host, 5)
}
