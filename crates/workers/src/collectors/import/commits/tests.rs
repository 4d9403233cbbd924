//! Archives whose findings were erased, go round in circles, or claim what may not be.

use std::collections::BTreeMap;
use std::io::Cursor;

use mirage_domain::entity::Kind;
use mirage_domain::finding::Parent;
use mirage_domain::id::{
    Digest, FindingId, IdKey, ModuleName, Position, StreamId, TaskId, WorkspaceId,
};
use mirage_domain::relation::{Direction, Relation};
use mirage_domain::scope::Decision;
use mirage_domain::sealed::Sealable;
use mirage_log::archive::{FORMAT, Header, Writer};
use mirage_log::commit::{Context, decode, encode};
use mirage_log::contract::{commit_of, noon, scan, workspace};
use proptest::prelude::*;

use super::*;
use crate::collectors::testing::{Outcome, Tape, given};

/// A finding of number `id` under number `parent`, under the source's own key.
fn finding(id: u8, text: &str, edge: Option<(u8, Edge)>) -> Finding {
    let (kind, key) = text.split_once(':').unwrap();
    let entity = Entity::recorded(kind.parse().unwrap(), key);
    let (relation, direction) =
        edge.map_or((None, Direction::Out), |(_, edge)| (Some(edge.0), edge.1));
    let of = entity.id(&IdKey::new([7; 32]));
    Finding {
        id: FindingId([id; 16]),
        entity: of,
        kind: entity.kind(),
        key: Sealable::Open(key.to_owned()),
        parent: edge.map(|(parent, _)| Parent {
            entity: of,
            finding: FindingId([parent; 16]),
        }),
        relation,
        direction,
        scope: Decision {
            is_in: true,
            rule: "company.example".into(),
        },
        confidence: 70,
        attributes: Sealable::default(),
        evidence: vec![Digest::of(b"seen")],
    }
}

type Edge = (Relation, Direction);

const BELOW: Edge = (Relation::SubdomainOf, Direction::In);

/// An archive with a commit of each finding, of one task each, the workspaces in turn.
fn archive_of(workspaces: &[WorkspaceId], findings: &[Finding]) -> Vec<u8> {
    let scan = &scan();
    let (format, log_id, after) = (FORMAT, None, Position(1));
    let header = Header {
        format,
        log_id,
        after,
        log_hash: Digest::EMPTY,
        keys: BTreeMap::new(),
    };
    let mut writer = Writer::begin(Vec::new(), header).unwrap();
    let (mut at, mut log_hash) = (after, Digest::EMPTY);
    for (n, (finding, workspace)) in findings.iter().zip(workspaces.iter().cycle()).enumerate() {
        let task = TaskId::derive(scan, n as u64);
        let stream = StreamId::task(workspace, scan, &task);
        let event = task::Event::Found(finding.clone()).into();
        let mut commit = commit_of(stream, None, vec![event]);
        commit.context = Some(Context {
            task,
            attempt: 1,
            module: ModuleName::new("dns").unwrap(),
            settings: Digest::EMPTY,
        });
        let encoded = encode(&commit).unwrap();
        at = Position(at.0 + 1);
        log_hash = Digest::chain(log_hash, at, encoded.hash);
        let recorded = Recorded {
            position: at,
            hash: encoded.hash,
            log_hash,
            commit: decode(&encoded.bytes).unwrap(),
            bytes: encoded.bytes,
        };
        writer.push(&recorded).unwrap();
    }
    writer.end().unwrap().0
}

async fn imported(findings: &[Finding], claims: &[&str]) -> Outcome {
    let bytes = archive_of(&[workspace()], findings);
    let root = format!("file:{}", Digest::of(&bytes));
    let tape = Tape::new().file(&bytes);
    let outcome = given().replay(&IMPORTER, &[&root], tape).await;
    let claims: Vec<String> = claims
        .iter()
        .map(|claim| claim.replace("ROOT", &root))
        .collect();
    outcome.claims(&claims.iter().map(String::as_str).collect::<Vec<_>>())
}

#[tokio::test]
async fn findings_keep_parents_relations_and_directions_and_name_their_source() {
    let out = |relation| (relation, Direction::Out);
    let findings = [
        finding(1, "domain:company.example", None),
        finding(2, "domain:www.company.example", Some((1, BELOW))),
        finding(3, "ip:192.0.2.1", Some((2, out(Relation::ResolvesTo)))),
        finding(4, "domain:host.example", Some((3, out(Relation::NamedBy)))),
    ];
    let claims = [
        "ROOT mentions domain:company.example",
        "domain:www.company.example subdomain-of domain:company.example",
        "domain:www.company.example resolves-to ip:192.0.2.1",
        "ip:192.0.2.1 named-by domain:host.example",
    ];
    let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut outcome = imported(&findings, &claims).await;
    for (name, value) in [
        of("source_scan", scan().as_str()),
        of("source_task", TaskId::derive(&scan(), 2).as_str()),
        of("source_finding", &FindingId([3; 16]).to_string()),
        of("source_module", "dns"),
        of("source_observed_at", &noon().to_string()),
    ] {
        outcome = outcome.attribute("ip:192.0.2.1", &name, value);
    }
    let seen = vec![Digest::of(b"seen").to_string()];
    let outcome = outcome.attribute("ip:192.0.2.1", "source_evidence", seen);
    assert!(
        outcome
            .findings()
            .iter()
            .all(|finding| finding.confidence == 70)
    );
}

#[tokio::test]
async fn what_was_erased_is_told_and_what_hangs_under_it_hangs_above() {
    let mut gone = finding(2, "domain:www.company.example", Some((1, BELOW)));
    gone.key = Sealable::Erased;
    let mut bare = finding(4, "domain:b.company.example", Some((1, BELOW)));
    bare.attributes = Sealable::Erased;
    let under_gone = Some((2, (Relation::ResolvesTo, Direction::Out)));
    let findings = [
        finding(1, "domain:company.example", None),
        gone,
        finding(3, "ip:192.0.2.1", under_gone),
        bare,
    ];
    let claims = [
        "ROOT mentions domain:company.example",
        "domain:company.example related-to ip:192.0.2.1",
        "domain:b.company.example subdomain-of domain:company.example",
    ];
    let outcome = imported(&findings, &claims).await;
    outcome.remarks("erased").remarks("parent-erased");
}

#[tokio::test]
async fn hostile_parents_and_relations_hang_under_the_file_or_as_related() {
    let out = |relation| (relation, Direction::Out);
    let findings = [
        finding(1, "domain:a.example", Some((2, BELOW))),
        finding(2, "domain:b.example", Some((1, BELOW))),
        finding(3, "ip:192.0.2.1", Some((9, out(Relation::ResolvesTo)))),
        finding(4, "domain:c.example", Some((3, out(Relation::ResolvesTo)))),
        finding(5, "ip:not an address", None),
    ];
    let claims = [
        "ROOT mentions domain:a.example",
        "ROOT mentions domain:b.example",
        "ROOT mentions ip:192.0.2.1",
        "ip:192.0.2.1 related-to domain:c.example",
    ];
    let outcome = imported(&findings, &claims).await;
    let outcome = outcome.remarks("parents-in-a-circle");
    outcome.remarks("parent-not-in-file").remarks("bad-record");
}

#[test]
fn a_scan_of_any_workspace_is_read_but_not_of_several_nor_any_other_file() {
    let check = |bytes: &[u8]| IMPORTER.check(&mut Cursor::new(bytes), Digest::of(bytes));
    let one = [finding(1, "domain:a.example", None)];
    let other = WorkspaceId::new("other").unwrap();
    assert_eq!(
        check(&archive_of(std::slice::from_ref(&other), &one))
            .unwrap()
            .records,
        1
    );
    let two = [
        finding(1, "domain:a.example", None),
        finding(2, "domain:b.example", None),
    ];
    let refused = check(&archive_of(&[workspace(), other], &two)).unwrap_err();
    assert!(
        refused.what.contains("workspaces default and other"),
        "{refused}"
    );
    for bad in [&b"{}"[..], b"", b"{\"archive\":{\"format\":9}}\n"] {
        assert!(check(bad).is_err());
    }
    let whole = archive_of(&[workspace()], &one);
    assert!(check(&whole[..whole.len() - 9]).is_err());
}

proptest! {
    #[test]
    fn no_honest_archive_of_made_up_findings_breaks_the_importer(
        made in prop::collection::vec((0..6u8, 0..8u8, any::<prop::sample::Index>(), "\\PC{0,20}", any::<prop::sample::Index>(), any::<bool>()), 1..20),
    ) {
        let kinds: Vec<Kind> = Kind::ALL.to_vec();
        let relations: Vec<Relation> = Relation::ALL.to_vec();
        let findings: Vec<Finding> = made.iter().map(|(id, parent, kind, key, relation, is_in)| {
            let direction = if *is_in { Direction::In } else { Direction::Out };
            let edge = (*parent < 7).then(|| (*parent, (*relation.get(&relations), direction)));
            finding(*id, &format!("{}:{key}", kind.get(&kinds)), edge)
        }).collect();
        let bytes = archive_of(&[workspace()], &findings);
        if let Ok(checked) = IMPORTER.check(&mut Cursor::new(&bytes), Digest::of(&bytes)) {
            prop_assert_eq!(checked.records, findings.len() as u64);
        }
    }
}
