//! A server and the builds on it: finding, making, completing and deleting them.
//!
//! **Invariant:** no build is made under a number that the server has an index or an entry of: old documents would be
//! taken for its own.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::builds::{self, Build, now_s};
use super::client::{Body, Client, Patience};
use super::filter::Filter;
use super::{Fault, Options, settings};
use crate::store::LINGER;
use crate::store::remote::wait;
use crate::{Checkpoint, Registered};

/// The first version that sorts what is read by a filter and neither loses documents nor refuses where there are none
/// yet (its pull request 6016).
const VERSION_MIN: (&str, [u64; 2]) = ("1.29", [1, 29]);
/// Builds or indexes on one server: a rebuild leaves at most two behind.
const BUILDS_MAX: u32 = 1_000;
const PREFIX_CHARS_MAX: usize = 64;

/// What is read of documents: a page of them.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) results: Vec<T>,
    #[serde(default)]
    pub(super) total: u64,
}

/// How a page of documents is asked for.
pub(super) struct Wanted<'a> {
    pub(super) filter: &'a Filter,
    pub(super) fields: Option<&'a [&'a str]>,
    pub(super) sort: Option<String>,
    pub(super) limit: usize,
}

pub(crate) struct Server {
    client: Client,
    prefix: String,
    /// A build at work that says nothing for longer is nobody's.
    abandoned: Duration,
}

impl Server {
    pub(super) fn new(options: Options) -> Result<Self, Fault> {
        let prefix = options.prefix.clone();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if prefix.is_empty() || prefix.len() > PREFIX_CHARS_MAX || !prefix.chars().all(is_plain) {
            return Err(Fault::Prefix(PREFIX_CHARS_MAX));
        }
        Ok(Self {
            prefix,
            abandoned: options.task_max + LINGER,
            client: Client::new(options)?,
        })
    }

    fn catalogue(&self) -> String {
        format!("indexes/{}_builds", self.prefix)
    }

    fn index(&self, id: &str) -> String {
        format!("indexes/{}_{id}", self.prefix)
    }

    /// The builds of the view's version.
    pub(super) fn builds(
        &self,
        view: &Registered,
        patience: Patience,
    ) -> Result<Vec<Build>, Fault> {
        let path = format!("{}/documents/fetch", self.catalogue());
        let asked = self
            .client
            .post(&path, json!({ "limit": BUILDS_MAX }), patience);
        let mut builds: Vec<Build> = match wait(asked) {
            Ok(Page { results, .. }) => results,
            Err(fault) if fault.is_absent() => Vec::new(),
            Err(fault) => return Err(fault),
        };
        builds.retain(|build| build.number(view).is_some());
        Ok(builds)
    }

    pub(super) fn highest(
        &self,
        view: &Registered,
        patience: Patience,
    ) -> Result<Option<Build>, Fault> {
        let builds = self.builds(view, patience)?;
        Ok(builds::highest(&builds).cloned())
    }

    /// The build to fold into, made if there is none.
    pub(super) fn open(&self, view: &Registered) -> Result<Build, Fault> {
        self.is_new_enough()?;
        match self.highest(view, Patience::Batch)? {
            Some(build) => {
                self.settle(&build)?;
                Ok(build)
            }
            None => self.make(view, true),
        }
    }

    /// The next build; one that is used at once is complete from its beginning, which is empty.
    pub(super) fn make(&self, view: &Registered, is_complete: bool) -> Result<Build, Fault> {
        self.is_new_enough()?;
        let number = self.next(view)?;
        let mut build = Build::new(view, number, false);
        self.write(build.made(now_s()))?;
        let index = json!({ "uid": format!("{}_{}", self.prefix, build.id), "primaryKey": "id" });
        match wait(self.client.run(Method::POST, "indexes", Body::Json(index))) {
            Err(fault) if !fault.is_there_already() => return Err(fault),
            _ => self.settle(&build)?,
        }
        if is_complete {
            self.write(build.completed(build.rank))?;
            build.is_complete = true;
        }
        Ok(build)
    }

    /// Brings an index's settings to what they must be; most of the time they are.
    fn settle(&self, build: &Build) -> Result<(), Fault> {
        let path = format!("{}/settings", self.index(&build.id));
        let echo: Json = wait(self.client.get(&path, Patience::Batch))?;
        let wanted = settings::wanted();
        match settings::are_set(&wanted, &echo) {
            true => Ok(()),
            false => wait(self.client.run(Method::PATCH, &path, Body::Json(wanted))),
        }
    }

    fn is_new_enough(&self) -> Result<(), Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            pkg_version: String,
        }
        let found: Version = wait(self.client.get("version", Patience::Batch))?;
        let numbers = found
            .pkg_version
            .split('.')
            .map_while(|part| part.parse().ok());
        let numbers: Vec<u64> = numbers.take(2).collect();
        match numbers[..] >= VERSION_MIN.1[..] {
            true => Ok(()),
            false => Err(Fault::Old {
                found: found.pkg_version.chars().take(20).collect(),
                wanted: VERSION_MIN.0,
            }),
        }
    }

    fn next(&self, view: &Registered) -> Result<u64, Fault> {
        let builds = self.builds(view, Patience::Batch)?;
        let entries = builds.iter().filter_map(|build| build.number(view));
        let greatest = entries.chain(self.indexes(view)?).max();
        Ok(greatest.unwrap_or(0) + 1)
    }

    /// The numbers that have an index.
    fn indexes(&self, view: &Registered) -> Result<Vec<u64>, Fault> {
        #[derive(Deserialize)]
        struct Index {
            uid: String,
        }
        let path = format!("indexes?limit={BUILDS_MAX}");
        let page: Page<Index> = wait(self.client.get(&path, Patience::Batch))?;
        let begin = format!("{}_", self.prefix);
        let number = |index: &Index| builds::number(view, index.uid.strip_prefix(&begin)?);
        Ok(page.results.iter().filter_map(number).collect())
    }

    /// Changes the members that are named, of the one document.
    fn write(&self, document: Json) -> Result<(), Fault> {
        let path = format!("{}/documents?primaryKey=id", self.catalogue());
        wait(
            self.client
                .run(Method::PUT, &path, Body::Json(json!([document]))),
        )
    }

    /// Writes documents that are absent, by these payloads, and waits for all of them.
    pub(super) fn add(&self, build: &Build, payloads: Vec<Vec<u8>>) -> Result<(), Fault> {
        let path = format!("{}/documents?primaryKey=id", self.index(&build.id));
        let mut tasks = Vec::with_capacity(payloads.len());
        for payload in payloads {
            let body = Body::Lines(payload);
            tasks.push(wait(self.client.enqueue(Method::POST, &path, &body))?);
        }
        tasks
            .into_iter()
            .try_for_each(|task| wait(self.client.done(task)))
    }

    pub(super) fn move_to(&self, build: &Build, last: Checkpoint) -> Result<(), Fault> {
        self.write(build.moved(last, now_s()))
    }

    /// Lets a build take the place of all others.
    pub(super) fn complete(&self, build: &Build, rank: u64) -> Result<(), Fault> {
        self.write(build.completed(rank))
    }

    /// Documents of a build as they are kept.
    pub(super) fn fetch<T: serde::de::DeserializeOwned>(
        &self,
        build: &Build,
        wanted: Wanted<'_>,
        patience: Patience,
    ) -> Result<Page<T>, Fault> {
        let mut asked = json!({ "filter": wanted.filter.to_string(), "limit": wanted.limit });
        if let Some(fields) = wanted.fields {
            asked["fields"] = json!(fields);
        }
        if let Some(sort) = wanted.sort {
            asked["sort"] = json!([sort]);
        }
        let path = format!("{}/documents/fetch", self.index(&build.id));
        let page: Page<T> = wait(self.client.post(&path, asked, patience))?;
        let (told, due) = (page.results.len(), page.total.min(wanted.limit as u64));
        match told as u64 == due {
            true => Ok(page),
            false => Err(Fault::Partial { told, due }),
        }
    }

    /// Documents that the server's own way with words finds, best first.
    pub(super) fn search<T: serde::de::DeserializeOwned>(
        &self,
        build: &Build,
        asked: Json,
    ) -> Result<Vec<T>, Fault> {
        #[derive(Deserialize)]
        struct Answer<T> {
            hits: Vec<T>,
        }
        let path = format!("{}/search", self.index(&build.id));
        let answer: Answer<T> = wait(self.client.post(&path, asked, Patience::Question))?;
        Ok(answer.hits)
    }

    /// Deletes builds that a newer one has replaced, those of a rebuild that died, and indexes without an entry.
    pub(super) fn sweep(&self, view: &Registered) -> Result<(), Fault> {
        let builds = self.builds(view, Patience::Question)?;
        let Some(highest) = builds::highest(&builds) else {
            return Ok(());
        };
        let quiet = now_s().saturating_sub(self.abandoned.as_secs());
        let is_old = |build: &&Build| match build.is_complete {
            true => build.rank < highest.rank,
            false => build.touched_s < quiet,
        };
        for build in builds.iter().filter(is_old) {
            self.delete(&build.id)?;
        }
        let known = |number: u64| {
            builds
                .iter()
                .any(|build| build.number(view) == Some(number))
        };
        for number in self.indexes(view)? {
            if !known(number) && Some(number) < highest.number(view) {
                self.delete(&format!("{}{number}", builds::begin(view)))?;
            }
        }
        Ok(())
    }

    pub(super) fn discard(&self, view: &Registered) -> Result<(), Fault> {
        let builds = self.builds(view, Patience::Batch)?;
        let mut complete = builds.iter().filter(|build| build.is_complete);
        complete.try_for_each(|build| self.delete(&build.id))
    }

    /// The entry first: whoever looks afterwards finds no build that is half gone.
    fn delete(&self, id: &str) -> Result<(), Fault> {
        for path in [
            format!("{}/documents/{id}", self.catalogue()),
            self.index(id),
        ] {
            match wait(self.client.run(Method::DELETE, &path, Body::None)) {
                Err(fault) if !fault.is_absent() => return Err(fault),
                _ => {}
            }
        }
        Ok(())
    }
}
