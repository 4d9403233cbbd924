//! Search through its public door: what is found, now and as of then, and what hostile queries do.

use std::sync::Arc;

use mirage_domain::entity::Kind;
use mirage_domain::finding::Finding;
use mirage_domain::id::{FindingId, Position, ScanId, WorkspaceId};
use mirage_domain::sealed::Sealable;
use mirage_log::memory::Memory;
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::json;

use super::*;
use crate::testing::history::{Dice, History, made_up};
use crate::testing::made_scan::{MadeScan, workspace};
use crate::testing::{dumped, given, given_commits, obeys_projection_law};
use crate::{Db, Folder, Registered, Runner, Store, registered};

static VIEWS: &[Registered] = &[registered::<Search>()];

#[test]
fn obeys_the_projection_law() {
    obeys_projection_law::<Search>();
}

fn reader(db: &Db) -> Reader<'_> {
    Reader::new(db, &workspace(0), None).unwrap()
}

fn parsed(text: &str) -> (Query, Filter) {
    let query = Query::parse(text).unwrap();
    let filter = query.filter(|scan| scan.parse::<ScanId>()).unwrap();
    (query, filter)
}

/// Every hit of a query, by pages of this many.
fn every(reader: &Reader<'_>, text: &str, limit: u32) -> Vec<Hit> {
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

fn keys(reader: &Reader<'_>, text: &str) -> Vec<String> {
    let hits = every(reader, text, 50).into_iter();
    hits.filter_map(|hit| hit.key).collect()
}

fn ids(hits: &[Hit]) -> Vec<FindingId> {
    let mut ids: Vec<FindingId> = hits.iter().map(|hit| hit.finding_id).collect();
    ids.sort_unstable();
    ids
}

/// A claim with this key and these attributes.
fn claim(
    scan: &MadeScan,
    n: usize,
    kind: Kind,
    key: &str,
    attributes: serde_json::Value,
) -> Finding {
    let seed = scan.finding("seed", None, 1, 0);
    let mut finding = scan.finding("dns", Some(&seed), n, 1);
    (finding.kind, finding.key) = (kind, key.to_owned().into());
    let attributes = attributes.as_object().unwrap().clone();
    finding.attributes = attributes.into();
    finding
}

/// One scan that has found these, and its seed `host-1.example.com`.
fn found(claims: &[(Kind, &str, serde_json::Value)]) -> (History, MadeScan, usize) {
    let mut history = History::default();
    let mut scan = MadeScan::start(&mut history, 0, &[1]);
    let at = scan.schedule(&mut history, "dns");
    for (n, (kind, key, attributes)) in claims.iter().enumerate() {
        let finding = claim(&scan, 10 + n, *kind, key, attributes.clone());
        scan.report(&mut history, at, vec![finding]);
    }
    (history, scan, at)
}

#[test]
fn a_name_is_found_by_its_words_and_by_parts_of_them() {
    let (history, ..) = found(&[
        (Kind::Domain, "www.mirage.test", json!({})),
        (Kind::Domain, "my-shop.mirage.test", json!({})),
    ]);
    let db = given::<Search>(&history);
    let reader = reader(&db);
    let www = ["www.mirage.test"];
    for query in [
        "mirage www",
        "mira www",
        "WWW.Mira",
        "w.mir",
        "www.mirage.test",
        "\"www mirage\"",
        "mirag* ww*",
        "rage www",
    ] {
        assert_eq!(keys(&reader, query), www, "{query}");
    }
    let shop = ["my-shop.mirage.test"];
    for query in ["shop", "my-shop", "y-sho", "my shop", "mirage -www", "my"] {
        assert_eq!(keys(&reader, query), shop, "{query}");
    }
    for query in ["mirage nothing", "ra", "irag*", "\"mirage www\"", "!!"] {
        assert!(keys(&reader, query).is_empty(), "{query}");
    }
}

#[test]
fn attributes_are_found_by_whole_words_phrases_and_beginnings() {
    let (history, ..) = found(&[
        (
            Kind::Domain,
            "a.test",
            json!({"server": "nginx/1.18.0", "title": "Not Found"}),
        ),
        (
            Kind::Domain,
            "b.test",
            json!({"names": ["found", {"deep": "not"}]}),
        ),
    ]);
    let db = given::<Search>(&history);
    let reader = reader(&db);
    assert_eq!(keys(&reader, "nginx"), ["a.test"]);
    assert_eq!(keys(&reader, "ngi*"), ["a.test"]);
    assert_eq!(keys(&reader, "nginx/1.18"), ["a.test"]);
    assert_eq!(keys(&reader, "\"not found\""), ["a.test"]);
    assert_eq!(keys(&reader, "not found"), ["b.test", "a.test"]);
    assert!(keys(&reader, "gin").is_empty(), "parts are of keys only");
    assert!(keys(&reader, "kdomain").is_empty(), "marks are no words");
    let hits = every(&reader, "nginx", 9);
    assert_eq!(hits[0].snippet.as_deref(), Some("server: nginx/1.18.0"));
    assert_eq!(
        (hits[0].kind, hits[0].module.as_str()),
        (Kind::Domain, "dns")
    );
}

#[test]
fn a_beginning_is_found_however_many_words_have_it() {
    let words: Vec<String> = (0..100).map(|n| format!("w{n}")).collect();
    let (history, ..) = found(&[
        (Kind::Text, "many", json!({"words": words})),
        (Kind::Text, "Ünique", json!({})),
    ]);
    let db = given::<Search>(&history);
    let reader = reader(&db);
    for query in ["w*", "W9*", "w99*", "man*", "words w1*"] {
        assert_eq!(keys(&reader, query), ["many"], "{query}");
    }
    for query in ["w100*", "zz*", "kdo*", "any*"] {
        assert!(keys(&reader, query).is_empty(), "{query}");
    }
    for query in ["üni*", "UNI*", "unique*"] {
        assert_eq!(keys(&reader, query), ["Ünique"], "{query}");
    }
}

#[test]
fn umlauts_and_scripts_without_spaces_are_found() {
    let (history, ..) = found(&[
        (Kind::Text, "Straße nach MÜNCHEN", json!({})),
        (
            Kind::Domain,
            "xn--mnchen-3ya.test",
            json!({"unicode": "münchen.test"}),
        ),
        (Kind::Text, "東京都庁舎", json!({})),
        (Kind::Text, "four", json!({"title": "東京都庁舎 大阪"})),
    ]);
    let db = given::<Search>(&history);
    let reader = reader(&db);
    let both = ["xn--mnchen-3ya.test", "Straße nach MÜNCHEN"];
    for query in ["münchen", "MÜNCHEN", "munchen"] {
        assert_eq!(keys(&reader, query).len(), 2, "{query}: {both:?}");
    }
    assert_eq!(keys(&reader, "ünch"), ["Straße nach MÜNCHEN"]);
    assert_eq!(keys(&reader, "straße"), ["Straße nach MÜNCHEN"]);
    assert_eq!(keys(&reader, "mnchen-3ya"), ["xn--mnchen-3ya.test"]);
    assert_eq!(keys(&reader, "京都庁"), ["東京都庁舎", "four"]);
    assert_eq!(keys(&reader, "東京*"), ["東京都庁舎", "four"]);
    assert_eq!(keys(&reader, "大阪"), ["four"]);
}

#[test]
fn filters_are_alternatives_by_name_and_conditions_across_names() {
    let (mut history, scan, _) = found(&[
        (Kind::Domain, "a.mirage.test", json!({})),
        (Kind::Ip, "192.0.2.7", json!({"note": "mirage"})),
    ]);
    let mut other = MadeScan::start(&mut history, 2, &[1]);
    let at = other.schedule(&mut history, "http");
    let seed = other.finding("seed", None, 1, 0);
    let mut finding = other.finding("http", Some(&seed), 11, 1);
    finding.key = "b.mirage.test".to_owned().into();
    finding.kind = Kind::Domain;
    other.report(&mut history, at, vec![finding]);
    let db = given::<Search>(&history);
    let reader = reader(&db);
    assert_eq!(keys(&reader, "mirage").len(), 3);
    assert_eq!(keys(&reader, "mirage kind:ip"), ["192.0.2.7"]);
    assert_eq!(keys(&reader, "mirage kind:ip kind:domain").len(), 3);
    assert_eq!(keys(&reader, "mirage module:http"), ["b.mirage.test"]);
    assert_eq!(keys(&reader, "mirage kind:ip module:http").len(), 0);
    let first = format!("mirage scan:{}", scan.id);
    assert_eq!(keys(&reader, &first), ["a.mirage.test", "192.0.2.7"]);
    assert_eq!(keys(&reader, "kind:ip"), ["192.0.2.7"], "without a word");
    assert_eq!(keys(&reader, "-mirage").len(), 2, "the seeds are left");
    let (query, filter) = parsed("mirage");
    let facets = reader.facets(&query, &filter).unwrap();
    let shown = |counts: &[crate::catalog::Count]| {
        let count = |count: &crate::catalog::Count| format!("{} {}", count.name, count.count);
        counts.iter().map(count).collect::<Vec<_>>()
    };
    assert_eq!(shown(&facets.kinds), ["domain 2", "ip 1"]);
    assert_eq!(shown(&facets.modules), ["dns 2", "http 1"]);
    assert_eq!((facets.findings, facets.is_cut), (3, false));
}

#[test]
fn a_small_set_is_ranked_by_the_place_in_the_key() {
    let (history, ..) = found(&[
        (Kind::Text, "mirage", json!({})),
        (Kind::Text, "mirage.test", json!({})),
        (Kind::Text, "www.mirage.test", json!({})),
        (Kind::Text, "none", json!({"by": "mirage"})),
        (Kind::Text, "admirages.test", json!({})),
    ]);
    let db = given::<Search>(&history);
    let reader = reader(&db);
    let ranked = [
        "mirage",
        "mirage.test",
        "www.mirage.test",
        "admirages.test",
        "none",
    ];
    assert_eq!(keys(&reader, "mirage"), ranked);
    let (query, filter) = parsed("mirage");
    let first = reader.search(&query, &filter, &Page::first(2)).unwrap();
    assert!(!first.is_ranked && first.next.is_some());
    assert_eq!(first.hits[0].key.as_deref(), Some("admirages.test"));
}

#[test]
fn a_finding_that_is_claimed_twice_is_one_hit() {
    let (mut history, mut scan, at) =
        found(&[(Kind::Domain, "a.mirage.test", json!({"first": "walrus"}))]);
    let before = history.end();
    let again = claim(
        &scan,
        10,
        Kind::Domain,
        "a.mirage.test",
        json!({"second": "otter"}),
    );
    let now = scan.report(&mut history, at, vec![again]);
    let db = given::<Search>(&history);
    let reader = reader(&db);
    for limit in [1, 9] {
        let hits = every(&reader, "mirage", limit);
        assert_eq!((hits.len(), hits[0].position), (1, now), "the newest");
    }
    assert_eq!(every(&reader, "walrus", 9)[0].position, before);
    assert_eq!(every(&reader, "otter", 9)[0].position, now);
    let then = Reader::new(&db, &workspace(0), Some(before)).unwrap();
    assert_eq!(every(&then, "mirage", 9)[0].position, before);
    assert!(every(&then, "otter", 9).is_empty());
    let (query, filter) = parsed("mirage");
    assert_eq!(reader.facets(&query, &filter).unwrap().findings, 1);
}

#[test]
fn a_workspace_finds_nothing_of_another() {
    let (mut history, ..) = found(&[(Kind::Domain, "a.mirage.test", json!({}))]);
    MadeScan::start(&mut history, 1, &[1]);
    let db = given::<Search>(&history);
    let of = |name: &str| {
        let reader = Reader::new(&db, &WorkspaceId::new(name).unwrap(), None).unwrap();
        (
            keys(&reader, "example"),
            keys(&reader, "mirage"),
            keys(&reader, "-nothing"),
        )
    };
    let seed = vec!["host-1.example.com".to_owned()];
    assert_eq!(of("other"), (seed.clone(), vec![], seed));
    assert_eq!(of("stranger"), (vec![], vec![], vec![]));
    // Both share one mark with `default`, and are told apart all the same.
    assert_eq!(of("def-ault"), (vec![], vec![], vec![]));
}

#[test]
fn what_has_fallen_is_not_found() {
    let (history, ..) = found(&[
        (Kind::Domain, "a.mirage.test", json!({})),
        (Kind::Domain, "b.mirage.test", json!({})),
    ]);
    let db = given::<Search>(&history);
    let reader = reader(&db);
    let hits = every(&reader, "a.mirage", 9);
    db.exclude(&[hits[0].finding_id]).unwrap();
    assert_eq!(keys(&reader, "mirage"), ["b.mirage.test"]);
    let (query, filter) = parsed("mirage");
    assert_eq!(reader.facets(&query, &filter).unwrap().findings, 1);
}

#[test]
fn a_page_goes_on_only_for_the_same_question_at_the_same_position() {
    let history = made_up(21, 3, 200);
    let db = given::<Search>(&history);
    let reader = reader(&db);
    let (query, filter) = parsed("example");
    let found = reader.search(&query, &filter, &Page::first(2)).unwrap();
    let after = found.next.unwrap();
    assert_eq!(after.to_string().parse::<After>().unwrap(), after);
    let page = Page::first(2).after(after);
    assert!(reader.search(&query, &filter, &page).is_ok());
    let (other, none) = parsed("host");
    assert!(matches!(
        reader.search(&other, &none, &page),
        Err(Error::OtherQuery)
    ));
    let kinds = Filter {
        kinds: vec![Kind::Ip],
        ..Filter::default()
    };
    assert!(matches!(
        reader.search(&query, &kinds, &page),
        Err(Error::OtherQuery)
    ));
    let earlier = Reader::new(&db, &workspace(0), Some(Position(history.end().0 - 1))).unwrap();
    assert!(matches!(
        earlier.search(&query, &filter, &page),
        Err(Error::OtherPosition { .. })
    ));
    for text in ["", "1-2", "1-0-3", "x-1-1", "1--1-2"] {
        assert!(text.parse::<After>().is_err(), "{text}");
    }
}

/// Queries that random logs answer.
const ASKED: [&str; 8] = [
    "example",
    "host-1",
    "192.0.2",
    "host -salt",
    "kind:ip",
    "exam module:dns",
    "salt*",
    "\"host 5\" example",
];

#[test]
fn an_answer_about_the_past_is_the_one_that_was_given_then() {
    for seed in 0..4 {
        let history = made_up(seed, 4, 220);
        let db = given::<Search>(&history);
        let mut dice = Dice(seed);
        for _ in 0..8 {
            let at = 1 + dice.below(history.commits().len());
            let then = given_commits::<Search>(&history.commits()[..at]);
            for n in 0..2 {
                let past = Reader::new(&db, &workspace(n), Some(Position(at as u64))).unwrap();
                let present = Reader::new(&then, &workspace(n), None).unwrap();
                for text in ASKED {
                    let limit = [3, 50][dice.below(2)];
                    let hits = every(&past, text, limit);
                    assert_eq!(hits, every(&present, text, limit), "{text} at {at}");
                    let (query, filter) = parsed(text);
                    let facets = past.facets(&query, &filter).unwrap();
                    assert_eq!(facets, present.facets(&query, &filter).unwrap());
                    assert_eq!(facets.findings, hits.len() as u64, "{text} at {at}");
                }
            }
        }
    }
}

#[test]
fn pages_give_every_hit_once() {
    let history = made_up(31, 4, 300);
    let db = given::<Search>(&history);
    let reader = reader(&db);
    for text in ASKED {
        let whole = every(&reader, text, 1_000);
        let paged = every(&reader, text, 2);
        assert_eq!(ids(&paged), ids(&whole), "{text}");
        let mut once = ids(&whole);
        once.dedup();
        assert_eq!(once.len(), whole.len(), "{text}");
    }
}

#[test]
fn a_walk_that_is_cut_goes_on_where_it_was() {
    let history = made_up(32, 4, 300);
    let db = given::<Search>(&history);
    let whole = reader(&db);
    let mut cut = reader(&db);
    cut.steps_max = 300;
    let (query, filter) = parsed("example");
    let page = cut.search(&query, &filter, &Page::first(1_000)).unwrap();
    assert!(page.next.is_some() && !page.is_ranked);
    for text in ASKED {
        let hits = every(&cut, text, 1_000);
        assert_eq!(ids(&hits), ids(&every(&whole, text, 1_000)), "{text}");
    }
    cut.steps_max = 75;
    let facets = cut.facets(&query, &filter).unwrap();
    assert!(facets.is_cut && facets.findings > 0);
}

/// What the walk must find: every claim is looked at.
fn found_by_reading(history: &History, word: &str) -> usize {
    let mut ids: Vec<FindingId> = Vec::new();
    for recorded in history.commits() {
        if recorded.commit.stream.workspace != workspace(0) {
            continue;
        }
        for (_, entry) in recorded.entries() {
            let mirage_domain::event::Event::Task(mirage_domain::task::Event::Found(finding)) =
                &entry.event
            else {
                continue;
            };
            if finding.key.open().is_some_and(|key| key.contains(word)) {
                ids.push(finding.id);
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids.len()
}

#[test]
fn parts_of_keys_are_found_as_reading_every_claim_finds_them() {
    let history = made_up(41, 4, 300);
    let db = given::<Search>(&history);
    for word in ["ost-1", "192.0", "ple.com", "t-11.", "host"] {
        let hits = every(&reader(&db), word, 7);
        assert_eq!(hits.len(), found_by_reading(&history, word), "{word}");
    }
}

/// FTS5 holds an index against the rows that it is of.
fn is_whole(connection: &Connection, index: &str) -> bool {
    let sql = format!("INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)");
    connection.execute(&sql, []).is_ok()
}

fn check_indexes(connection: &Connection) {
    assert!(is_whole(connection, "words") && is_whole(connection, "parts"));
    let count = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    let documents = count("SELECT count(*) FROM documents");
    assert!(documents > 100);
    assert_eq!(count("SELECT count(*) FROM words_docsize"), documents);
}

#[test]
fn the_indexes_hold_what_the_rows_hold_whatever_the_batches() {
    let history = made_up(51, 4, 250);
    let commits = history.commits();
    for size in [1, 7, commits.len()] {
        let mut store = Store::in_memory(&VIEWS[0]).unwrap();
        for batch in commits.chunks(size) {
            store.fold(batch).unwrap();
        }
        // Rows are kept and the checkpoint is lost: everything comes again.
        store.rewind();
        store.fold(commits).unwrap();
        let db = store.into_db().unwrap();
        let connection = db.connection();
        check_indexes(connection);
        // The check sees what it is for.
        let sql = "UPDATE documents SET key = 'other'
            WHERE cursor = (SELECT max(cursor) FROM documents)";
        connection.execute(sql, []).unwrap();
        assert!(!is_whole(connection, "words") && !is_whole(connection, "parts"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_between_and_within_batches_leave_indexes_that_hold_what_the_rows_hold() {
    let history = made_up(52, 3, 250);
    let (dir, log) = (tempfile::tempdir().unwrap(), Arc::new(Memory::default()));
    let (mut dice, mut at) = (Dice(52), 0);
    while at < history.end().0 {
        at = (at + 1 + dice.below(40) as u64).min(history.end().0);
        history.copy_into(&*log, Position(at)).await;
        let runner = Runner::open_views(dir.path(), log.clone(), VIEWS).unwrap();
        let (mark, turns) = (dice.below(at as usize + 1) as u64, dice.below(30));
        let mut position = runner.position(Search::NAME).unwrap();
        let killed = async {
            position
                .wait_for(|position| position.0 >= mark)
                .await
                .unwrap();
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        runner.run(killed).await.unwrap();
    }
    let runner = Runner::open_views(dir.path(), log, VIEWS).unwrap();
    runner.fold_to_head().await.unwrap();
    let live = dumped(&runner.db(Search::NAME).unwrap());
    assert!(live == dumped(&given::<Search>(&history)));
    let opened = || {
        let store = Store::open(&Folder::of(dir.path()), &VIEWS[0]).unwrap();
        store.into_db().unwrap()
    };
    check_indexes(opened().connection());
    runner.rebuild(Search::NAME).await.unwrap();
    assert!(live == dumped(&runner.db(Search::NAME).unwrap()));
    let rebuilt = opened();
    check_indexes(rebuilt.connection());
    for index in ["words", "parts"] {
        let sql = format!("SELECT v FROM {index}_config WHERE k = 'automerge'");
        let merged: i64 = rebuilt
            .connection()
            .query_row(&sql, [], |row| row.get(0))
            .unwrap();
        assert_eq!(merged, 4, "a rebuilt index is merged by and by again");
    }
}

#[test]
fn a_claim_whose_words_were_erased_is_found_by_what_is_left() {
    let (mut history, mut scan, at) = found(&[]);
    let mut erased = claim(&scan, 10, Kind::Email, "somebody", json!({}));
    erased.key = Sealable::Erased;
    erased.attributes = Sealable::Erased;
    scan.report(&mut history, at, vec![erased]);
    let db = given::<Search>(&history);
    let hits = every(&reader(&db), "kind:email", 9);
    assert_eq!((hits.len(), &hits[0].key), (1, &None));
    assert!(every(&reader(&db), "somebody", 9).is_empty());
}

#[test]
fn the_dump_has_the_documents_and_no_pages_of_an_index() {
    let (history, ..) = found(&[(Kind::Domain, "a.mirage.test", json!({}))]);
    let dump = dumped(&given::<Search>(&history));
    let is_known = |line: &str| {
        line.contains(r#""table":"documents""#) || line.contains(r#""table":"checkpoint""#)
    };
    assert!(dump.lines().all(is_known), "{dump}");
    assert_eq!(dump.lines().count(), 3);
}

fn answers(db: &Db, text: &str) {
    let Ok(query) = Query::parse(text) else {
        return;
    };
    let Ok(filter) = query.filter(|scan| scan.parse::<ScanId>()) else {
        return;
    };
    let reader = reader(db);
    let found = reader.search(&query, &filter, &Page::first(5));
    assert!(found.is_ok(), "{text:?}: {found:?}");
    assert!(reader.facets(&query, &filter).is_ok(), "{text:?}");
}

#[test]
fn the_language_of_the_index_is_no_language_here() {
    let db = given::<Search>(&made_up(61, 2, 60));
    for text in [
        "' OR 1=1 --",
        "\"\"\"\"",
        "a\0b",
        "NEAR(host example, 5)",
        "key:host",
        "{marks}:wdefault",
        "^host",
        "host AND",
        "(host",
        "*",
        "**a**",
        "a\"b\"c",
        "%_%",
        "\u{202e}abc",
        "host + example",
        "-",
        "--host",
        "\u{feff}\u{200b}\u{301}\u{301}\u{301}",
        "words_docsize;DROP TABLE documents",
    ] {
        answers(&db, text);
    }
    assert_eq!(keys(&reader(&db), "{marks}:wdefault").len(), 0);
    let long = "ab".repeat(250);
    answers(&db, &long);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_query_is_an_error_of_the_store(texts in prop::collection::vec("(\\PC|[\"*:()-]|host|kind:ip){0,12}", 8)) {
        let db = given::<Search>(&made_up(71, 1, 20));
        for text in texts {
            answers(&db, &text);
        }
    }
}
