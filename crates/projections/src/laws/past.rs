//! As of then: for random logs and positions, each view answers as one folded up to there.

use mirage_domain::id::{EntityId, Position, WorkspaceId};

use crate::Db;
use crate::catalog::{Catalog, EntityFilter, FindingFilter, Page, Reader, ScanFilter};
use crate::graph::{self, Among, Graph};
use crate::search::{self, Query, Search};
use crate::testing::history::{Dice, History, made_up};
use crate::testing::made_scan::workspace;
use crate::testing::{given_commits, given_in_memory};

/// Logs, and positions of each.
const LOGS: u64 = 50;
const POSITIONS: usize = 20;
/// Logs whose catalog is asked of every store that is there.
const LOGS_EVERYWHERE: u64 = 1;
/// Commits of a log, about.
const STEPS: usize = 60;

struct Views {
    catalog: Db,
    graph: Db,
    search: Db,
}

impl Views {
    /// Folded up to there.
    fn until(history: &History, at: usize, is_everywhere: bool) -> Self {
        let commits = &history.commits()[..at];
        Self {
            catalog: match is_everywhere {
                true => given_commits::<Catalog>(commits),
                false => given_in_memory::<Catalog>(commits),
            },
            graph: given_commits::<Graph>(commits),
            search: given_commits::<Search>(commits),
        }
    }

    /// Findings, entities, counts, relations, neighbours and hits, as one text.
    fn answers(&self, workspace: &WorkspaceId, at: Option<Position>) -> String {
        let catalog = Reader::new(&self.catalog, workspace, at).unwrap();
        let page = Page::first(1_000);
        let entities = catalog.entities(&EntityFilter::default(), &page).unwrap();
        let scans = catalog
            .scans(
                &ScanFilter {
                    with_archived: true,
                },
                &page,
            )
            .unwrap();
        let mut told = vec![
            format!(
                "{:?}",
                catalog.findings(&FindingFilter::default(), &page).unwrap()
            ),
            format!("{entities:?} {scans:?} {:?}", catalog.totals().unwrap()),
        ];
        let graph = graph::Reader::beside(&self.graph, &catalog).unwrap();
        let ids: Vec<EntityId> = entities
            .rows
            .iter()
            .map(|entity| entity.entity_id)
            .collect();
        for id in ids {
            let (all, first) = (Among::default(), graph::Page::first(100));
            told.push(format!("{:?}", graph.neighbors(id, &all, &first).unwrap()));
        }
        for scan in &scans.rows {
            let id = &scan.scan_id;
            told.push(format!("{:?}", catalog.entities_by_kind(id).unwrap()));
            told.push(format!("{:?}", catalog.findings_by_module(id).unwrap()));
            told.push(format!("{:?}", graph.components(id).unwrap()));
        }
        self.search.exclude(catalog.fallen().unwrap()).unwrap();
        let search =
            search::Reader::new(&self.search, workspace, Some(catalog.position())).unwrap();
        for text in ["example", "host-1", "192.0", "kind:ip 2", "module:dns host"] {
            let query = Query::parse(text).unwrap();
            let filter = query.filter(|scan| scan.parse()).unwrap();
            let first = search::Page::first(50);
            told.push(format!(
                "{:?}",
                search.search(&query, &filter, &first).unwrap()
            ));
            told.push(format!("{:?}", search.facets(&query, &filter).unwrap()));
        }
        told.join("\n")
    }
}

#[test]
fn a_thousand_moments_answer_as_a_fold_up_to_there() {
    let mut moments = 0;
    for seed in 0..LOGS {
        let history = made_up(1_000 + seed, 3, STEPS);
        let is_everywhere = seed < LOGS_EVERYWHERE;
        let whole = Views::until(&history, history.commits().len(), is_everywhere);
        let mut dice = Dice(seed);
        for _ in 0..POSITIONS {
            let at = 1 + dice.below(history.commits().len());
            let cut = Views::until(&history, at, is_everywhere);
            let workspace = workspace(dice.below(2));
            let then = whole.answers(&workspace, Some(Position(at as u64)));
            assert_eq!(
                then,
                cut.answers(&workspace, None),
                "seed {seed}, position {at}"
            );
            moments += 1;
        }
    }
    assert_eq!(moments, 1_000);
}
