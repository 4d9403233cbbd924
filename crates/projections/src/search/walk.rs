//! The walk over what an index of terms gives: pages of candidates, held against the query.
//!
//! Terms narrow down and never decide, so the answer is that of the SQLite view whatever the server folds alike.

use std::collections::{HashSet, VecDeque};

use mirage_domain::entity::Kind;
use mirage_domain::id::{EntityId, FindingId, ScanId};
use serde::Deserialize;

use super::documents::DOCUMENTS;
use super::hits::{DOCUMENT_STEPS, Document};
use super::query::{Clause, Query};
use super::reader::{Filter, Reader};
use super::source::Source;
use super::terms::{self, Way};
use super::words::{Matcher, Searched};
use crate::Error;
use crate::store::meilisearch::filter::Filter as Condition;
use crate::store::meilisearch::{Asked, PAGE_DOCUMENTS_MAX};

/// Candidates of the first page; each further one has four times as many.
const PAGE_DOCUMENTS_MIN: usize = 64;

/// A claim as it is kept.
#[derive(Deserialize)]
struct Claim {
    cursor: i64,
    finding: FindingId,
    entity: EntityId,
    workspace: String,
    scan: ScanId,
    module: String,
    kind: Kind,
    key: Option<String>,
    text: Option<String>,
    unspaced: Option<String>,
}

impl Claim {
    fn searched(&self) -> Searched<'_> {
        Searched {
            key: self.key.as_deref(),
            text: self.text.as_deref(),
            unspaced: self.unspaced.as_deref(),
        }
    }
}

impl From<Claim> for Document {
    fn from(claim: Claim) -> Self {
        Self {
            cursor: claim.cursor,
            finding: claim.finding,
            entity: claim.entity,
            scan: claim.scan,
            module: claim.module,
            kind: claim.kind,
            key: claim.key,
            text: claim.text,
        }
    }
}

pub(super) struct Walk<'a> {
    reader: &'a Reader<'a>,
    asked: &'a Asked,
    names: Filter,
    matchers: Vec<Matcher>,
    /// What every candidate has; none where nothing can match.
    conditions: Option<Vec<Condition>>,
    /// The walk goes on below this cursor: what was told before is not known here.
    before: Option<i64>,
    told: HashSet<FindingId>,
    page: VecDeque<Claim>,
    rows: usize,
    /// Nothing above is wanted any more.
    limit: i64,
    is_over: bool,
    steps: u32,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        reader: &'a Reader<'a>,
        asked: &'a Asked,
        query: &Query,
        filter: &Filter,
    ) -> Self {
        let conditions = conditions(reader, query, filter);
        Self {
            reader,
            asked,
            names: filter.clone(),
            matchers: query.clauses.iter().map(Matcher::new).collect(),
            is_over: conditions.is_none(),
            conditions,
            before: None,
            told: HashSet::new(),
            page: VecDeque::new(),
            rows: PAGE_DOCUMENTS_MIN,
            limit: reader.last(),
            steps: 0,
        }
    }

    /// Only claims before this cursor.
    pub(super) fn before(self, cursor: Option<i64>) -> Self {
        let below = cursor.map_or(i64::MAX, |cursor| cursor - 1);
        Self {
            before: cursor,
            limit: self.limit.min(below),
            ..self
        }
    }

    /// The next page of candidates, without those that do not match.
    fn turn(&mut self) -> Result<(), Error> {
        let candidates = self.candidates(Condition::AtMost("cursor", self.limit), self.rows)?;
        let read = candidates.len();
        self.is_over = read < self.rows;
        self.limit = candidates.last().map_or(self.limit, |last| last.cursor - 1);
        self.rows = (self.rows * 4).min(PAGE_DOCUMENTS_MAX);
        self.steps = self.steps.saturating_add(read as u32 * DOCUMENT_STEPS);
        let matching = candidates.into_iter().filter(|claim| self.lets(claim));
        self.page = matching.collect();
        match self.before {
            Some(before) if !self.page.is_empty() => self.remember(before),
            _ => Ok(()),
        }
    }

    /// Learns which findings of the page were hits before the walk went on here: a newer claim of theirs matches.
    fn remember(&mut self, before: i64) -> Result<(), Error> {
        let findings = self.page.iter().map(|claim| claim.finding.to_string());
        let among = Condition::Among("finding", findings.collect());
        let mut last = self.reader.last();
        loop {
            let range = vec![
                among.clone(),
                Condition::AtLeast("cursor", before),
                Condition::AtMost("cursor", last),
            ];
            let newer = self.candidates(Condition::All(range), PAGE_DOCUMENTS_MAX)?;
            let is_last = newer.len() < PAGE_DOCUMENTS_MAX;
            last = newer.last().map_or(last, |claim| claim.cursor - 1);
            let matching = newer.iter().filter(|claim| self.lets(claim));
            let findings: Vec<FindingId> = matching.map(|claim| claim.finding).collect();
            self.told.extend(findings);
            if is_last {
                return Ok(());
            }
        }
    }

    /// Newest first.
    fn candidates(&self, also: Condition, limit: usize) -> Result<Vec<Claim>, Error> {
        let Some(conditions) = &self.conditions else {
            return Ok(Vec::new());
        };
        let mut all = conditions.clone();
        all.push(also);
        let page = self.asked.fetch(&Condition::All(all), "cursor:desc", limit);
        page.map_err(|fault| Error::query(self.reader.db.view(), fault))
    }

    fn lets(&self, claim: &Claim) -> bool {
        is_named(claim, self.reader, &self.names)
            && !self.asked.is_fallen(claim.finding)
            && self
                .matchers
                .iter()
                .all(|matcher| matcher.lets(claim.searched()))
    }
}

impl Source for Walk<'_> {
    fn next(&mut self) -> Result<Option<Document>, Error> {
        loop {
            while let Some(claim) = self.page.pop_front() {
                if self.told.insert(claim.finding) {
                    return Ok(Some(claim.into()));
                }
            }
            if self.is_over || self.steps >= self.reader.steps_max {
                return Ok(None);
            }
            self.turn()?;
        }
    }

    fn cut(&self) -> Option<i64> {
        (!self.is_over && self.steps >= self.reader.steps_max).then_some(self.limit + 1)
    }
}

/// Claims that hold words nearly like those of a query, best first: for a reader whose question has no answer. What
/// comes later in the log may change what is near. A store that knows no such words finds none.
pub(super) fn near(
    reader: &Reader<'_>,
    query: &Query,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Document>, Error> {
    let Some(asked) = reader.db.meilisearch() else {
        return Ok(Vec::new());
    };
    let (negative, positive): (Vec<&Clause>, Vec<&Clause>) =
        query.clauses.iter().partition(|clause| clause.is_negative);
    let words: Vec<String> = positive
        .iter()
        .flat_map(|clause| super::words::words(&clause.text))
        .collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = named(reader, filter);
    all.push(Condition::AtMost("cursor", reader.last()));
    let found = asked.near(&words.join(" "), &Condition::All(all), limit);
    let found: Vec<Claim> = found.map_err(|fault| Error::query(reader.db.view(), fault))?;
    let negative: Vec<Matcher> = negative.into_iter().map(Matcher::new).collect();
    let mut told = HashSet::new();
    let fits = |claim: &Claim| {
        is_named(claim, reader, filter)
            && !asked.is_fallen(claim.finding)
            && negative
                .iter()
                .all(|matcher| matcher.lets(claim.searched()))
            && told.insert(claim.finding)
    };
    Ok(found.into_iter().filter(fits).map(Document::from).collect())
}

/// The server compares names without regard to case, and workspaces never meet.
fn is_named(claim: &Claim, reader: &Reader<'_>, filter: &Filter) -> bool {
    let is_module = |module: &mirage_domain::id::ModuleName| module.to_string() == claim.module;
    claim.workspace == reader.workspace().to_string()
        && (filter.scans.is_empty() || filter.scans.contains(&claim.scan))
        && (filter.kinds.is_empty() || filter.kinds.contains(&claim.kind))
        && (filter.modules.is_empty() || filter.modules.iter().any(is_module))
}

fn conditions(reader: &Reader<'_>, query: &Query, filter: &Filter) -> Option<Vec<Condition>> {
    let mut all = named(reader, filter);
    for clause in query.clauses.iter().filter(|clause| !clause.is_negative) {
        let ways: Vec<Condition> = terms::ways(clause).into_iter().map(of_way).collect();
        if ways.is_empty() {
            return None;
        }
        all.push(Condition::Any(ways));
    }
    Some(all)
}

fn named(reader: &Reader<'_>, filter: &Filter) -> Vec<Condition> {
    let mut all = vec![
        Condition::is("table", DOCUMENTS.name),
        Condition::is("workspace", reader.workspace().to_string()),
    ];
    let among = |(attribute, names)| Condition::Among(attribute, names);
    all.extend(filter.named().map(among));
    all
}

fn of_way(way: Way) -> Condition {
    let terms = way
        .terms
        .into_iter()
        .map(|term| Condition::is("terms", term));
    let beginning = way
        .beginning
        .map(|beginning| Condition::Begins("terms", beginning));
    Condition::All(terms.chain(beginning).collect())
}
