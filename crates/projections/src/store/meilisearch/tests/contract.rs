//! What holds on any server: the view answers, dumps, restarts and is rebuilt as one in a file.

use mirage_domain::entity::Kind;
use mirage_domain::id::{FindingId, Position, ScanId, WorkspaceId};
use serde_json::json;

use super::fragile::{FRAGILE, Fragile};
use super::{asked, fold, view};
use crate::search::{Facets, Hit, Page, Query, Reader, Search};
use crate::store::meilisearch::Meilisearch;
use crate::testing::history::{Dice, History, made_up};
use crate::testing::made_scan::{MadeScan, workspace};
use crate::testing::{dumped, given};
use crate::{Folded, Home, Store};

pub(super) fn a_view_on_the_server_has_the_dump_of_one_in_a_file(home: &Meilisearch) {
    let history = made_up(3, 4, 250);
    let mut store = Store::open(home, view()).unwrap();
    for batch in history.commits().chunks(37) {
        store.fold(batch).unwrap();
    }
    assert!(asked(home) == dumped(&given::<Search>(&history)));
}

/// Queries that random logs answer.
const ASKED: [&str; 12] = [
    "example",
    "host-1",
    "192.0.2",
    "host -salt",
    "kind:ip",
    "exam module:dns",
    "salt*",
    "ho* -\"host 3\"",
    "\"host 5\" example",
    "-example",
    "!!",
    "o",
];

fn parsed(text: &str) -> (Query, crate::search::Filter) {
    let query = Query::parse(text).unwrap();
    let filter = query.filter(|scan| scan.parse::<ScanId>()).unwrap();
    (query, filter)
}

/// Every hit of a query, by pages of this many.
pub(super) fn every(reader: &Reader<'_>, text: &str, limit: u32) -> Vec<Hit> {
    let (query, filter) = parsed(text);
    let (mut hits, mut page) = (Vec::new(), Page::first(limit));
    loop {
        let found = reader.search(&query, &filter, &page).unwrap();
        hits.extend(found.hits);
        match found.next {
            Some(after) => page = page.after(after),
            None => return hits,
        }
    }
}

fn facets(reader: &Reader<'_>, text: &str) -> Facets {
    let (query, filter) = parsed(text);
    reader.facets(&query, &filter).unwrap()
}

pub(super) fn answers_are_those_of_the_view_in_a_file_now_and_as_of_then(home: &Meilisearch) {
    let history = made_up(2, 4, 250);
    fold(home, history.commits());
    let (on_server, in_file) = (home.ask(view()).unwrap(), given::<Search>(&history));
    let mut dice = Dice(2);
    for text in ASKED {
        let then = Position(1 + dice.below(history.commits().len()) as u64);
        let (n, limit) = (dice.below(2), [2, 50][dice.below(2)]);
        for at in [None, Some(then)] {
            let reader = |db| Reader::new(db, &workspace(n), at).unwrap();
            let (on_server, in_file) = (reader(&on_server), reader(&in_file));
            let expected = every(&in_file, text, limit);
            assert_eq!(every(&on_server, text, limit), expected, "{text} {at:?}");
            assert_eq!(facets(&on_server, text), facets(&in_file, text), "{text}");
        }
    }
}

pub(super) fn a_walk_that_is_cut_goes_on_where_it_was(home: &Meilisearch) {
    let keys: Vec<String> = (0..150).map(|n| format!("host-{n}.mirage.test")).collect();
    let claims: Vec<_> = keys
        .iter()
        .map(|key| (Kind::Domain, &**key, json!({})))
        .collect();
    fold(home, found(&claims).commits());
    let db = home.ask(view()).unwrap();
    let whole = Reader::new(&db, &workspace(0), None).unwrap();
    let mut cut = Reader::new(&db, &workspace(0), None).unwrap();
    // Less than the first page costs.
    cut.steps_max = 1;
    let (query, filter) = parsed("host");
    let page = cut.search(&query, &filter, &Page::first(1_000)).unwrap();
    assert!(page.next.is_some() && !page.is_ranked);
    let ids = |reader: &Reader<'_>| {
        let hits = every(reader, "host", 1_000).into_iter();
        let mut ids: Vec<FindingId> = hits.map(|hit| hit.finding_id).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!((ids(&cut).len(), ids(&cut)), (151, ids(&whole)));
    assert!(facets(&cut, "host").is_cut);
}

/// One scan that has found these.
fn found(claims: &[(Kind, &str, serde_json::Value)]) -> History {
    let mut history = History::default();
    let mut scan = MadeScan::start(&mut history, 0, &[1]);
    let at = scan.schedule(&mut history, "dns");
    let seed = scan.finding("seed", None, 1, 0);
    for (n, (kind, key, attributes)) in claims.iter().enumerate() {
        let mut finding = scan.finding("dns", Some(&seed), 10 + n, 1);
        (finding.kind, finding.key) = (*kind, (*key).to_owned().into());
        finding.attributes = attributes.as_object().unwrap().clone().into();
        scan.report(&mut history, at, vec![finding]);
    }
    history
}

pub(super) fn words_parts_and_scripts_are_found_as_in_a_file(home: &Meilisearch) {
    let words: Vec<String> = (0..100).map(|n| format!("w{n}")).collect();
    let history = found(&[
        (
            Kind::Domain,
            "my-shop.mirage.test",
            json!({"server": "nginx/1.18.0", "title": "Not Found"}),
        ),
        (
            Kind::Text,
            "Straße nach MÜNCHEN",
            json!({"names": ["found", {"deep": "not"}]}),
        ),
        (
            Kind::Domain,
            "xn--mnchen-3ya.test",
            json!({"unicode": "münchen.test"}),
        ),
        (Kind::Text, "東京都庁舎", json!({"words": words})),
        (Kind::Text, "four", json!({"title": "東京都庁舎 大阪"})),
        (Kind::Text, "o'neil \\ \"quoted\"", json!({})),
    ]);
    fold(home, history.commits());
    let (on_server, in_file) = (home.ask(view()).unwrap(), given::<Search>(&history));
    let reader = |db| Reader::new(db, &workspace(0), None).unwrap();
    let (on_server, in_file) = (reader(&on_server), reader(&in_file));
    for text in [
        "shop",
        "y-sho",
        "my shop",
        "mirage -www",
        "irag*",
        "nginx/1.18",
        "\"not found\"",
        "not found",
        "gin",
        "münchen",
        "munchen",
        "ünch",
        "straße",
        "京都庁",
        "東京*",
        "大阪",
        "w9*",
        "w100*",
        "' OR 1=1 --",
        "o'neil",
        "\\",
        "neil quoted",
        "cursor >= 0",
        "kdomain",
        "-found",
        "\"deep: not\"",
        "*",
        "%_%",
        "\u{202e}abc",
    ] {
        if Query::parse(text).is_ok() {
            assert_eq!(
                every(&on_server, text, 50),
                every(&in_file, text, 50),
                "{text}"
            );
        }
    }
}

pub(super) fn a_word_that_is_nearly_there_is_told_apart_from_hits(home: &Meilisearch) {
    let history = made_up(7, 2, 120);
    fold(home, history.commits());
    let (query, filter) = parsed("exomple");
    let db = home.ask(view()).unwrap();
    let reader = Reader::new(&db, &workspace(0), None).unwrap();
    assert!(every(&reader, "exomple", 5).is_empty());
    let near = reader.near(&query, &filter, 5).unwrap();
    let has_it = |hit: &Hit| hit.key.as_ref().is_some_and(|key| key.contains("example"));
    assert!(!near.is_empty() && near.iter().all(has_it), "{near:?}");
    let in_file = given::<Search>(&history);
    let reader = Reader::new(&in_file, &workspace(0), None).unwrap();
    assert_eq!(reader.near(&query, &filter, 5).unwrap(), []);
}

pub(super) fn what_has_fallen_is_not_found(home: &Meilisearch) {
    let history = made_up(5, 2, 120);
    fold(home, history.commits());
    let db = home.ask(view()).unwrap();
    let reader = Reader::new(&db, &workspace(0), None).unwrap();
    let before = every(&reader, "host", 50);
    db.exclude(&[before[0].finding_id]).unwrap();
    let mut expected = before.clone();
    expected.retain(|hit| hit.finding_id != before[0].finding_id);
    assert_eq!(every(&reader, "host", 50), expected);
}

/// The server compares names without regard to case.
pub(super) fn a_workspace_finds_nothing_of_another(home: &Meilisearch) {
    let history = made_up(18, 3, 120);
    fold(home, history.commits());
    let db = home.ask(view()).unwrap();
    let hits = |name: &str| {
        let reader = Reader::new(&db, &WorkspaceId::new(name).unwrap(), None).unwrap();
        let near = parsed("exomple");
        let near = reader.near(&near.0, &near.1, 50).unwrap();
        every(&reader, "host", 50).len() + near.len()
    };
    assert!(hits("default") > 0);
    assert_eq!(hits("DEFAULT") + hits("Default") + hits("stranger"), 0);
}

pub(super) fn a_build_that_was_completed_meanwhile_is_gone_over_to(home: &Meilisearch) {
    let history = made_up(14, 2, 120);
    let commits = history.commits();
    fold(home, &commits[..50]);
    let mut live = Store::open(home, view()).unwrap();
    let mut next = Store::build(home, view()).unwrap();
    next.fold(&commits[..30]).unwrap();
    let mut next = next.complete().unwrap().err().unwrap();
    next.fold(&commits[30..50]).unwrap();
    assert!(next.complete().unwrap().is_ok());
    let end = Folded::At(history.end());
    assert_eq!(live.fold(&commits[50..]).unwrap(), end);
    home.sweep(view()).unwrap();
    assert!(asked(home) == dumped(&given::<Search>(&history)));
}

pub(super) fn streams_that_are_set_aside_are_those_of_the_view_in_a_file(home: &Meilisearch) {
    let view = &FRAGILE[0];
    let history = made_up(15, 3, 200);
    let mut store = Store::open(home, view).unwrap();
    for batch in history.commits().chunks(23) {
        store.fold(batch).unwrap();
    }
    let (on_server, in_file) = (home.ask(view).unwrap(), given::<Fragile>(&history));
    assert!(dumped(&on_server) == dumped(&in_file));
    let aside = on_server.quarantine(100).unwrap();
    assert_eq!(aside, in_file.quarantine(100).unwrap());
    assert!(aside.iter().any(|stream| stream.skipped > 0));
    assert_eq!(on_server.quarantined().unwrap(), aside.len() as u64);
}
