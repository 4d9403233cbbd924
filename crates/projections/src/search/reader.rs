//! A reader of the search view: one workspace, as of one position.

use std::cmp::Reverse;

use mirage_domain::entity::Kind;
use mirage_domain::id::{Cursor, EntityId, FindingId, ModuleName, Position, ScanId, WorkspaceId};
use serde::Serialize;

use super::hits::{Document, STEPS_MAX, STEPS_OF_COUNTS};
use super::page::{After, Found, Page};
use super::query::Query;
use super::{facets, snippet, source, walk};
use crate::{Db, Error};

/// What hits are let through; an empty list lets all. Several names of one list are alternatives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub scans: Vec<ScanId>,
    pub kinds: Vec<Kind>,
    pub modules: Vec<ModuleName>,
}

impl Filter {
    pub(super) fn is_empty(&self) -> bool {
        self.scans.is_empty() && self.kinds.is_empty() && self.modules.is_empty()
    }

    /// Each list that lets less than all through: its column, and the names.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, Vec<String>)> {
        let scans = self.scans.iter().map(ToString::to_string).collect();
        let modules = self.modules.iter().map(ToString::to_string).collect();
        let kinds = self.kinds.iter().map(|kind| kind.as_str().to_owned());
        let lists: [(&str, Vec<String>); 3] = [
            ("scan", scans),
            ("module", modules),
            ("kind", kinds.collect()),
        ];
        lists.into_iter().filter(|(_, names)| !names.is_empty())
    }
}

/// A finding that matches, by the newest of its claims that do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    pub finding_id: FindingId,
    pub scan_id: ScanId,
    pub module: String,
    pub kind: Kind,
    /// None once it was erased.
    pub key: Option<String>,
    pub entity_id: EntityId,
    /// The attribute that holds a word of the query, cut to its surroundings; none where the key alone matches.
    pub snippet: Option<String>,
    /// Of the claim.
    pub position: Position,
}

/// Answers are consistent without a transaction: rows never change, and later ones are not looked at.
pub struct Reader<'db> {
    pub(super) db: &'db Db,
    workspace: WorkspaceId,
    at: Position,
    /// Of one walk.
    pub(crate) steps_max: u32,
}

impl<'db> Reader<'db> {
    /// Reads as of a position, or as of the view's checkpoint. A position that the view has not reached is an error.
    pub fn new(db: &'db Db, workspace: &WorkspaceId, at: Option<Position>) -> Result<Self, Error> {
        Ok(Self {
            db,
            workspace: workspace.clone(),
            at: db.reached(at)?,
            steps_max: STEPS_MAX,
        })
    }

    /// The position that every answer is made at.
    pub fn position(&self) -> Position {
        self.at
    }

    pub(super) fn workspace(&self) -> &WorkspaceId {
        &self.workspace
    }

    /// The packed cursor that nothing in an answer stands behind.
    pub(super) fn last(&self) -> i64 {
        Cursor::after(self.at).packed()
    }

    /// Findings that match, newest first; a set that fits into one page is ranked, best first.
    pub fn search(&self, query: &Query, filter: &Filter, page: &Page) -> Result<Found, Error> {
        let question = self.question(query, filter);
        let after = page.after.map(|after| after.checked(self.at, &question));
        let mut hits = source::of(self, query, filter, after.transpose()?)?;
        let mut documents = Vec::new();
        let mut is_more = false;
        while let Some(document) = hits.next()? {
            is_more = documents.len() == page.rows();
            if is_more {
                break;
            }
            documents.push(document);
        }
        let last = documents.last().map(|last: &Document| last.cursor);
        let next = last.filter(|_| is_more).or(hits.cut());
        let is_ranked = next.is_none() && page.after.is_none();
        if is_ranked {
            documents.sort_by_cached_key(|document| Reverse(snippet::rank(query, document)));
        }
        Ok(Found {
            hits: documents
                .into_iter()
                .map(|document| hit(query, document))
                .collect(),
            is_ranked,
            at: self.at,
            next: next.map(|cursor| After::new(self.at, cursor, &question)),
        })
    }

    /// What is asked, as one text: equal for equal questions.
    fn question(&self, query: &Query, filter: &Filter) -> String {
        format!("{}\0{query:?}\0{filter:?}", self.workspace)
    }

    /// How the findings that match are spread.
    pub fn facets(&self, query: &Query, filter: &Filter) -> Result<facets::Facets, Error> {
        let patient = Self {
            workspace: self.workspace.clone(),
            steps_max: self.steps_max.saturating_mul(STEPS_OF_COUNTS),
            ..*self
        };
        facets::of(source::of(&patient, query, filter, None)?)
    }

    /// Findings with words nearly like those of a query, best first, at most `limit`: for a search without a hit. A
    /// view that knows no such words finds none.
    pub fn near(&self, query: &Query, filter: &Filter, limit: u32) -> Result<Vec<Hit>, Error> {
        let limit = crate::page::rows(limit);
        let found = walk::near(self, query, filter, limit)?;
        Ok(found
            .into_iter()
            .map(|document| hit(query, document))
            .collect())
    }
}

fn hit(query: &Query, document: Document) -> Hit {
    Hit {
        snippet: snippet::of(query, document.text.as_deref().unwrap_or_default()),
        finding_id: document.finding,
        scan_id: document.scan,
        module: document.module,
        kind: document.kind,
        key: document.key,
        entity_id: document.entity,
        position: Cursor::unpacked(document.cursor).position,
    }
}
