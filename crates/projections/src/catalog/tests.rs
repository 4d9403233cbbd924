//! The catalog through its public door: what a reader is told, now and as of then.

use mirage_domain::entity::Kind;
use mirage_domain::id::{Cursor, Position, ScanId, WorkspaceId};
use mirage_domain::scan;
use mirage_domain::task;
use mirage_log::contract::noon;

use super::*;
use crate::Db;
use crate::testing::history::{Dice, History, made_up};
use crate::testing::made_scan::{MadeScan, workspace};
use crate::testing::{given, given_commits, given_in_memory, obeys_projection_law};

#[test]
fn obeys_the_projection_law() {
    obeys_projection_law::<Catalog>();
}

fn reader(db: &Db) -> Reader<'_> {
    Reader::new(db, &workspace(0), None).unwrap()
}

/// Every row of a list, by small pages.
fn every<T>(page: Page, mut ask: impl FnMut(&Page) -> Listed<T>) -> Vec<T> {
    let (mut rows, mut page) = (Vec::new(), page);
    loop {
        let listed = ask(&page);
        rows.extend(listed.rows);
        match listed.next {
            Some(after) => page = page.after(after),
            None => return rows,
        }
    }
}

fn all_findings(reader: &Reader<'_>, filter: &FindingFilter) -> Vec<FindingRow> {
    every(Page::first(3), |page| {
        reader.findings(filter, page).unwrap()
    })
}

fn keys(findings: &[FindingRow]) -> Vec<&str> {
    findings
        .iter()
        .filter_map(|finding| finding.key.as_deref())
        .collect()
}

/// One scan of two seeds and a module that claims the same finding twice.
fn simple() -> (History, MadeScan) {
    let mut history = History::default();
    let mut scan = MadeScan::start(&mut history, 0, &[1, 2]);
    let at = scan.schedule(&mut history, "dns");
    let seed = scan.finding("seed", None, 1, 0);
    history.clock_ms = 5_000;
    let first = scan.finding("dns", Some(&seed), 5, 1);
    scan.report(&mut history, at, vec![first]);
    history.clock_ms = 9_000;
    let again = scan.finding("dns", Some(&seed), 5, 2);
    scan.report(&mut history, at, vec![again]);
    (history, scan)
}

#[test]
fn a_finding_that_is_claimed_twice_is_one_row_with_all_that_was_said() {
    let (history, scan) = simple();
    let db = given::<Catalog>(&history);
    let filter = FindingFilter {
        modules: vec!["dns".parse().unwrap()],
        ..FindingFilter::default()
    };
    let rows = all_findings(&reader(&db), &filter);
    assert_eq!(rows.len(), 1);
    let names: Vec<&str> = rows[0].attributes.keys().map(String::as_str).collect();
    assert_eq!(names, ["n", "salt-1", "salt-2"]);
    assert_eq!((rows[0].confidence, rows[0].evidence.len()), (62, 3));
    assert_eq!(rows[0].position, history.end());
    let earlier = reader(&db).as_of(Position(history.end().0 - 1));
    let before = all_findings(&earlier, &filter);
    assert_eq!((before[0].confidence, before[0].evidence.len()), (61, 2));
    assert_eq!(
        reader(&db)
            .claims(&scan.id, rows[0].finding_id, 10)
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_finding_is_printed_with_the_fields_of_the_contract_in_their_order() {
    let (history, _) = simple();
    let db = given::<Catalog>(&history);
    let rows = all_findings(&reader(&db), &FindingFilter::default());
    let seed = serde_json::to_string(&rows[0]).unwrap();
    let fields = [
        "finding_id",
        "scan_id",
        "task_id",
        "module",
        "kind",
        "key",
        "attributes",
        "relation",
        "direction",
        "parent_id",
        "in_scope",
        "confidence",
        "observed_at",
        "recorded_at",
        "position",
        "evidence",
    ];
    let places: Vec<usize> = fields
        .iter()
        .map(|name| seed.find(&format!("\"{name}\":")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{seed}");
    assert!(seed.contains("\"parent_id\":null,"), "{seed}");
    let value: serde_json::Value = serde_json::from_str(&seed).unwrap();
    assert_eq!(value.as_object().unwrap().len(), fields.len());
    let scans = reader(&db)
        .scans(&ScanFilter::default(), &Page::first(9))
        .unwrap();
    let scan = serde_json::to_value(&scans.rows[0]).unwrap();
    assert_eq!(scan.as_object().unwrap().len(), 12, "{scan}");
    assert_eq!(
        scan["seeds"],
        serde_json::json!(["host-1.example.com", "host-2.example.com"])
    );
}

#[test]
fn findings_are_filtered_by_kind_scope_confidence_and_time() {
    let (history, _) = simple();
    let db = given::<Catalog>(&history);
    let reader = reader(&db);
    let count = |filter: FindingFilter| all_findings(&reader, &filter).len();
    let none = FindingFilter::default;
    assert_eq!(count(none()), 3);
    assert_eq!(
        count(FindingFilter {
            kinds: vec![Kind::Ip],
            ..none()
        }),
        0
    );
    assert_eq!(
        count(FindingFilter {
            kinds: vec![Kind::Ip, Kind::Domain],
            ..none()
        }),
        3
    );
    assert_eq!(
        count(FindingFilter {
            in_scope: Some(false),
            ..none()
        }),
        0
    );
    assert_eq!(
        count(FindingFilter {
            min_confidence: Some(61),
            ..none()
        }),
        1
    );
    let nine = noon() + jiff::SignedDuration::from_secs(9);
    assert_eq!(
        count(FindingFilter {
            since: Some(Since::Time(nine)),
            ..none()
        }),
        1
    );
    let end = Since::Cursor(Cursor::after(history.end()));
    assert_eq!(
        count(FindingFilter {
            since: Some(end),
            ..none()
        }),
        0
    );
}

#[test]
fn a_workspace_sees_nothing_of_another() {
    let (mut history, scan) = simple();
    let other = MadeScan::start(&mut history, 1, &[1]);
    let db = given::<Catalog>(&history);
    let mine = reader(&db);
    let theirs = Reader::new(&db, &workspace(1), None).unwrap();
    assert_eq!(theirs.latest_scan().unwrap(), Some(other.id.clone()));
    assert_eq!(mine.latest_scan().unwrap(), Some(scan.id.clone()));
    assert_eq!(theirs.scan(&scan.id).unwrap(), None);
    assert_eq!(all_findings(&theirs, &FindingFilter::default()).len(), 1);
    let found = all_findings(&mine, &FindingFilter::default());
    let id = found[0].finding_id;
    assert_eq!(
        theirs.finding_by_id(&id.to_string()).unwrap(),
        Resolved::None
    );
    assert_eq!(theirs.entity(found[0].entity).unwrap(), None);
    assert_eq!(theirs.why(&scan.id, id).unwrap(), None);
    let stranger = WorkspaceId::new("stranger").unwrap();
    let totals = Reader::new(&db, &stranger, None).unwrap().totals().unwrap();
    assert!(totals.iter().all(|count| count.count == 0), "{totals:?}");
}

#[test]
fn what_is_new_since_the_last_scan_of_the_same_seeds_is_told() {
    let (mut history, first) = simple();
    MadeScan::start(&mut history, 2, &[1]);
    let mut second = MadeScan::start(&mut history, 4, &[2, 1]);
    let at = second.schedule(&mut history, "dns");
    let seed = second.finding("seed", None, 1, 0);
    let findings = [5, 7]
        .map(|n| second.finding("dns", Some(&seed), n, 9))
        .into();
    second.report(&mut history, at, findings);
    let db = given::<Catalog>(&history);
    let reader = reader(&db);
    let previous = reader.previous_scan_of_same_seeds(&second.id).unwrap();
    assert_eq!(previous, Some(first.id.clone()));
    assert_eq!(reader.previous_scan_of_same_seeds(&first.id).unwrap(), None);
    let filter = FindingFilter {
        scan: Some(second.id.clone()),
        new_since: previous.clone(),
        ..FindingFilter::default()
    };
    let new = all_findings(&reader, &filter);
    assert_eq!(keys(&new), ["host-7.example.com"]);
    let filter = EntityFilter {
        scan: Some(second.id),
        new_since: previous,
        ..EntityFilter::default()
    };
    let new = reader.entities(&filter, &Page::first(9)).unwrap().rows;
    assert_eq!(new.len(), 1);
}

#[test]
fn an_entity_has_its_claims_and_its_relations_both_ways() {
    let (history, scan) = simple();
    let db = given::<Catalog>(&history);
    let reader = reader(&db);
    let rows = every(Page::first(2), |page| {
        reader.entities(&EntityFilter::default(), page).unwrap()
    });
    assert_eq!(
        rows.iter().map(|row| row.findings).collect::<Vec<_>>(),
        [1, 1, 1]
    );
    assert_eq!(
        rows[2]
            .last_seen
            .duration_since(rows[2].first_seen)
            .as_secs(),
        4
    );
    let seed = reader.entity(rows[0].entity_id).unwrap().unwrap();
    let child = reader.entity(rows[2].entity_id).unwrap().unwrap();
    assert_eq!(seed.scans, std::slice::from_ref(&scan.id));
    let edges = |detail: &EntityDetail| {
        let edge = |edge: &Edge| (edge.direction.as_str(), edge.entity_id, edge.findings);
        detail.relations.iter().map(edge).collect::<Vec<_>>()
    };
    assert_eq!(edges(&seed), [("out", child.entity.entity_id, 1)]);
    assert_eq!(edges(&child), [("in", seed.entity.entity_id, 1)]);
    assert_eq!(
        child.relations[0].key.as_deref(),
        Some("host-1.example.com")
    );
}

#[test]
fn a_state_is_the_fold_of_the_changes_before_the_position() {
    let (mut history, mut scan) = simple();
    let running = history.end();
    let paused = scan.own(
        &mut history,
        vec![scan::Event::from(scan::Paused {}).into()],
    );
    let finished = scan.finish(&mut history);
    scan.own(
        &mut history,
        vec![scan::Event::from(scan::Archived {}).into()],
    );
    let db = given::<Catalog>(&history);
    let state = |at| {
        let reader = reader(&db).as_of(at);
        let row = reader.scan_row(&scan.id).unwrap().unwrap();
        (row.state, row.finished_at.is_some(), row.is_archived)
    };
    assert_eq!(state(running), (State::Running, false, false));
    assert_eq!(state(paused), (State::Paused, false, false));
    assert_eq!(state(finished), (State::Finished, true, false));
    assert_eq!(state(history.end()), (State::Finished, true, true));
    let listed = |with_archived, at| {
        let filter = ScanFilter { with_archived };
        reader(&db)
            .as_of(at)
            .scans(&filter, &Page::newest(9))
            .unwrap()
            .rows
            .len()
    };
    assert_eq!(listed(false, history.end()), 0);
    assert_eq!(listed(true, history.end()), 1);
    assert_eq!(listed(false, finished), 1);
}

#[test]
fn a_scan_that_nobody_holds_is_interrupted_unless_it_is_paused_or_over() {
    let (history, scan) = simple();
    let db = given::<Catalog>(&history);
    let row = reader(&db).scan_row(&scan.id).unwrap().unwrap();
    assert_eq!(row.clone().held(true).state, State::Running);
    assert_eq!(row.clone().held(false).state, State::Interrupted);
    let paused = ScanRow {
        state: State::Paused,
        ..row
    };
    assert_eq!(paused.held(false).state, State::Paused);
}

#[test]
fn why_it_is_still_running_names_the_open_tasks() {
    let (mut history, mut scan) = simple();
    let at = scan.schedule(&mut history, "http");
    scan.finish_task(&mut history, at, 2);
    let db = given::<Catalog>(&history);
    let detail = reader(&db).scan(&scan.id).unwrap().unwrap();
    assert_eq!(detail.open.len(), 1);
    assert_eq!(
        (detail.open[0].module.as_str(), detail.open[0].state),
        ("dns", TaskState::Scheduled)
    );
    let told: Vec<_> = detail
        .modules
        .iter()
        .map(|m| (m.module.as_str(), m.scheduled, m.done, m.open, m.findings))
        .collect();
    assert_eq!(
        told,
        [
            ("dns", 1, 0, 1, 1),
            ("http", 1, 1, 0, 0),
            ("seed", 1, 1, 0, 2)
        ]
    );
    let failures = Count {
        name: "unavailable".into(),
        count: 2,
    };
    assert_eq!(detail.failures_by_reason, [failures]);
    assert_eq!((detail.scan.failures, detail.scan.requests), (2, 6));
    let kinds = Count {
        name: "domain".into(),
        count: 3,
    };
    assert_eq!(detail.entities_by_kind, [kinds]);
}

#[test]
fn the_first_end_of_a_task_stands() {
    let (mut history, scan) = simple();
    let failed = task::Failed {
        attempt: 1,
        reason: "panicked".into(),
        detail: "index".to_owned().into(),
        cost: task::Cost::default(),
    };
    scan.task(&mut history, 0, vec![failed.into()]);
    let cost = task::Cost {
        requests: 9,
        ..task::Cost::default()
    };
    let late = task::Finished {
        cost,
        findings: 0,
        failures: Vec::new(),
    };
    scan.task(&mut history, 0, vec![late.into()]);
    let db = given::<Catalog>(&history);
    let filter = TaskFilter {
        modules: vec!["dns".parse().unwrap()],
        ..TaskFilter::default()
    };
    let tasks = reader(&db).tasks(&filter, &Page::first(9)).unwrap().rows;
    assert_eq!((tasks[0].state, tasks[0].requests), (TaskState::Failed, 0));
    assert_eq!(tasks[0].reason.as_deref(), Some("panicked"));
    assert_eq!(reader(&db).scan_row(&scan.id).unwrap().unwrap().failures, 1);
}

#[test]
fn an_id_may_be_shortened_and_an_ambiguous_one_lists_the_candidates() {
    let history = made_up(7, 3, 300);
    let db = given::<Catalog>(&history);
    let reader = reader(&db);
    let rows = all_findings(&reader, &FindingFilter::default());
    assert!(rows.len() > 20);
    let fallen = reader.fallen().unwrap().to_vec();
    for row in &rows {
        let id = row.finding_id.to_string();
        assert_eq!(
            reader.finding_by_id(&id[..16]).unwrap().one().as_ref(),
            Some(row)
        );
        // One that has fallen is in no list, and is found by its id.
        let ids = rows.iter().map(|row| row.finding_id).chain(fallen.clone());
        let fits = ids
            .filter(|other| other.to_string().starts_with(&id[..1]))
            .count();
        match reader.finding_by_id(&id[..1]).unwrap() {
            Resolved::One(_) => assert_eq!(fits, 1),
            Resolved::Ambiguous(candidates) => assert_eq!(candidates.len(), fits.min(10)),
            Resolved::None => panic!("{id} is there"),
        }
        let entity = reader.entity_by_id(&row.entity.to_string()[..16]).unwrap();
        assert_eq!(entity.one().unwrap().entity.entity_id, row.entity);
        assert_eq!(
            reader.scan_by_id(&row.scan_id.as_str()[4..]).unwrap(),
            Resolved::One(row.scan_id.clone())
        );
        assert_eq!(
            reader.task_by_id(row.task_id.as_str()).unwrap(),
            Resolved::One(row.task_id.clone())
        );
    }
    assert!(matches!(
        reader.scan_by_id("scn_").unwrap(),
        Resolved::Ambiguous(_)
    ));
    assert_eq!(
        reader.scan_by_id("@last").unwrap().one(),
        reader.latest_scan().unwrap()
    );
}

#[test]
fn every_finding_explains_itself_down_to_a_seed() {
    let history = made_up(3, 3, 400);
    let db = given::<Catalog>(&history);
    let reader = reader(&db);
    for row in all_findings(&reader, &FindingFilter::default()) {
        let why = reader.why(&row.scan_id, row.finding_id).unwrap().unwrap();
        assert!(why.reaches_seed, "{row:?}");
        assert_eq!(why.steps[0].finding, row);
        let last = why.first().last().unwrap();
        assert!(last.finding.parent_id.is_none());
        for step in &why.steps {
            let task = step.task.as_ref().unwrap();
            assert_eq!(
                (task.module.as_str(), task.module_version),
                (step.finding.module.as_str(), 1)
            );
            assert!(!step.finding.evidence.is_empty());
        }
        let entity = reader
            .why_entity(row.entity, Some(&row.scan_id))
            .unwrap()
            .unwrap();
        assert_eq!(entity.steps[0].entity_id, row.entity);
    }
}

#[test]
fn a_time_is_the_last_position_not_after_it_whatever_the_clocks_do() {
    let mut history = History::default();
    let scan = MadeScan::start(&mut history, 0, &[1]);
    let begun = history.end();
    let pause = |history: &mut History, at_ms| {
        history.clock_ms = at_ms;
        scan.own(history, vec![scan::Event::from(scan::Paused {}).into()])
    };
    let ten = pause(&mut history, 10_000);
    let back = pause(&mut history, 4_000);
    let eleven = pause(&mut history, 11_500);
    let db = given::<Catalog>(&history);
    let at = |ms| {
        reader(&db)
            .resolve_time(noon() + jiff::SignedDuration::from_millis(ms))
            .unwrap()
    };
    assert_eq!(at(-5_000), Position(0));
    assert_eq!(at(0), begun);
    assert_eq!(at(9_999), begun);
    assert_eq!(at(10_000), back);
    assert_eq!(at(11_000), back);
    assert_eq!(at(11_499), back);
    assert_eq!(at(11_500), eleven);
    assert_eq!(at(99_000), history.end());
    assert_eq!(
        reader(&db)
            .as_of(ten)
            .resolve_time(noon() + jiff::SignedDuration::from_secs(10))
            .unwrap(),
        ten
    );
}

#[test]
fn a_position_that_the_view_has_not_reached_is_an_error() {
    let (history, _) = simple();
    let db = given::<Catalog>(&history);
    let ahead = Position(history.end().0 + 1);
    let error = Reader::new(&db, &workspace(0), Some(ahead)).err().unwrap();
    assert!(matches!(error, crate::Error::Lagging { .. }), "{error}");
}

/// Everything that a reader can be asked, as one text.
fn answers(reader: &Reader<'_>) -> String {
    let mut told = Vec::new();
    let scans = every(Page::first(2), |page| {
        reader
            .scans(
                &ScanFilter {
                    with_archived: true,
                },
                page,
            )
            .unwrap()
    });
    let ids: Vec<ScanId> = scans.iter().map(|scan| scan.scan_id.clone()).collect();
    told.push(format!(
        "{scans:?} {:?} {:?}",
        reader.latest_scan().unwrap(),
        reader.totals().unwrap()
    ));
    for scan in ids.iter().map(Some).chain([None]) {
        let new_since = ids.first().filter(|first| Some(*first) != scan).cloned();
        for (new_since, in_scope) in [(None, None), (new_since, None), (None, Some(true))] {
            let filter = FindingFilter {
                scan: scan.cloned(),
                new_since: new_since.clone(),
                in_scope,
                ..FindingFilter::default()
            };
            let findings = every(Page::newest(7), |page| {
                reader.findings(&filter, page).unwrap()
            });
            let filter = EntityFilter {
                scan: scan.cloned(),
                new_since,
                in_scope,
                ..EntityFilter::default()
            };
            let entities = every(Page::first(5), |page| {
                reader.entities(&filter, page).unwrap()
            });
            told.push(format!("{findings:?} {entities:?}"));
            for entity in entities {
                told.push(format!("{:?}", reader.entity(entity.entity_id).unwrap()));
                told.push(format!(
                    "{:?}",
                    reader.why_entity(entity.entity_id, scan).unwrap()
                ));
            }
        }
        let filter = TaskFilter {
            scan: scan.cloned(),
            ..TaskFilter::default()
        };
        told.push(format!(
            "{:?}",
            every(Page::first(4), |page| reader.tasks(&filter, page).unwrap())
        ));
    }
    for scan in &ids {
        told.push(format!("{:?}", reader.scan(scan).unwrap()));
        told.push(format!(
            "{:?}",
            reader.previous_scan_of_same_seeds(scan).unwrap()
        ));
    }
    told.push(format!(
        "{:?} {:?}",
        reader.fallen().unwrap(),
        every(Page::first(3), |page| reader.marks(None, page).unwrap())
    ));
    for second in [0, 20, 60] {
        told.push(format!(
            "{}",
            reader
                .resolve_time(noon() + jiff::SignedDuration::from_secs(second))
                .unwrap()
        ));
    }
    told.join("\n")
}

#[test]
fn an_answer_as_of_a_position_is_that_of_a_catalog_folded_up_to_there() {
    for seed in 0..4 {
        let history = made_up(seed, 4, 140);
        // Hundreds of questions each: one log is enough for every store that is there.
        let given = match seed {
            0 => given_commits::<Catalog>,
            _ => given_in_memory::<Catalog>,
        };
        let whole = given(history.commits());
        let mut dice = Dice(seed);
        for _ in 0..3 {
            let at = 1 + dice.below(history.commits().len() - 1);
            let cut = given(&history.commits()[..at]);
            for n in 0..2 {
                let then = Reader::new(&whole, &workspace(n), Some(Position(at as u64))).unwrap();
                let alone = Reader::new(&cut, &workspace(n), None).unwrap();
                assert_eq!(
                    answers(&then),
                    answers(&alone),
                    "seed {seed}, position {at}"
                );
            }
        }
    }
}

#[test]
fn a_list_is_walked_along_an_index_and_never_sorted() {
    let (history, scan) = simple();
    let db = given::<Catalog>(&history);
    let reader = reader(&db);
    let plan = |text: String, order: &str| {
        let sql = format!("EXPLAIN QUERY PLAN {text} {order}");
        let mut statement = db.connection().prepare(&sql).unwrap();
        let values = vec![0; statement.parameter_count()];
        let steps = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(3));
        let steps: Vec<String> = steps.unwrap().map(Result::unwrap).collect();
        // Whether anything fell at all is one look at a table that is empty but for marks.
        let is_walked = steps.iter().all(|step| {
            step == "SCAN fallen" || !step.contains("TEMP B-TREE") && !step.starts_with("SCAN")
        });
        assert!(is_walked, "{text}\n{}", steps.join("\n"));
    };
    for scan in [None, Some(scan.id.clone())] {
        for new_since in [None, scan.clone()] {
            let filter = FindingFilter {
                scan: scan.clone(),
                new_since: new_since.clone(),
                ..FindingFilter::default()
            };
            let order = "AND f.cursor > ? AND f.cursor < ? ORDER BY f.cursor LIMIT ?";
            plan(reader.matching(&filter).text, order);
            let order = if scan.is_some() {
                order.replace("f.", "e.")
            } else {
                order.to_owned()
            };
            let filter = EntityFilter {
                scan: scan.clone(),
                new_since,
                ..EntityFilter::default()
            };
            plan(reader.first_claims(&filter).text, &order);
        }
    }
}
