//! Reads: gRPC answers what REST answers, as of the same moments.

use mirage_api::grpc::v1::list_findings_request::Since;
use mirage_api::grpc::v1::{
    Finding, GetFindingRequest, GetScanRequest, ListFindingsRequest, ListFindingsResponse,
    ListScansRequest, Moment, Scan, ScanState, WhyEntityRequest, WhyFindingRequest, check, moment,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::{Wired, code};

/// A time of a message as REST tells it.
fn time(time: Option<prost_types::Timestamp>) -> Value {
    let time = time.map(|time| jiff::Timestamp::new(time.seconds, time.nanos).unwrap());
    json!(time)
}

/// A scan as REST tells it.
fn as_rest(scan: Scan) -> Value {
    let state = ScanState::try_from(scan.state).unwrap().as_str_name();
    let state = state.trim_start_matches("SCAN_STATE_").to_lowercase();
    let profile = scan.profile().as_str_name();
    let profile = profile.trim_start_matches("PROFILE_").to_lowercase();
    json!({
        "scan_id": scan.scan_id, "name": scan.name, "seeds": scan.seeds, "profile": profile,
        "state": state, "started_at": time(scan.started_at), "finished_at": time(scan.finished_at),
        "tasks": scan.tasks, "findings": scan.findings, "entities": scan.entities,
        "failures": scan.failures, "position": scan.position,
    })
}

fn plain(value: prost_types::Value) -> Value {
    use prost_types::value::Kind;
    match value.kind.unwrap() {
        Kind::NullValue(_) => Value::Null,
        // The numbers of the made-up scans are whole.
        Kind::NumberValue(number) => json!(number as i64),
        Kind::StringValue(text) => json!(text),
        Kind::BoolValue(value) => json!(value),
        Kind::StructValue(map) => object(map),
        Kind::ListValue(list) => list.values.into_iter().map(plain).collect(),
    }
}

fn object(map: prost_types::Struct) -> Value {
    let members = map.fields.into_iter();
    Value::Object(members.map(|(name, held)| (name, plain(held))).collect())
}

/// A finding as REST tells it.
fn finding_as_rest(finding: Finding) -> Value {
    json!({
        "finding_id": finding.finding_id, "scan_id": finding.scan_id, "task_id": finding.task_id,
        "module": finding.module, "kind": finding.kind, "key": finding.key,
        "attributes": object(finding.attributes.unwrap()), "relation": finding.relation,
        "direction": finding.direction, "parent_id": finding.parent_id,
        "in_scope": finding.in_scope, "confidence": finding.confidence,
        "observed_at": time(finding.observed_at), "recorded_at": time(finding.recorded_at),
        "position": finding.position, "evidence": finding.evidence,
    })
}

#[tokio::test]
async fn scans_are_those_of_rest() {
    let wired = Wired::new().await;
    let rest = wired.rig.get("/scans?archived=true").await.good();
    let asked = ListScansRequest {
        with_archived: true,
        ..ListScansRequest::default()
    };
    let answered = wired.scans().list_scans(wired.owner(asked)).await.unwrap();
    let trace = answered.metadata().get("trace-id").cloned().unwrap();
    assert_eq!(trace.to_str().unwrap().len(), 32);
    let answered = answered.into_inner();
    assert_eq!(json!(answered.as_of), rest["as_of"]);
    let scans: Vec<Value> = answered.scans.into_iter().map(as_rest).collect();
    assert!(scans.len() > 1);
    assert_eq!(json!(scans), rest["items"]);
    let scan = scans[0]["scan_id"].as_str().unwrap().to_owned();
    let rest = wired.rig.get(&format!("/scans/{scan}")).await;
    let asked = GetScanRequest { scan, moment: None };
    let answered = wired.scans().get_scan(wired.owner(asked)).await.unwrap();
    let answered = answered.into_inner();
    assert_eq!(
        format!("\"{}\"", answered.version),
        rest.headers["etag"].to_str().unwrap()
    );
    let mut told = as_rest(answered.scan.unwrap());
    told["as_of"] = answered.as_of.into();
    assert_eq!(told, rest.good());
}

async fn list(wired: &Wired, asked: ListFindingsRequest) -> Result<ListFindingsResponse, Status> {
    let listed = wired.findings().list_findings(wired.owner(asked)).await;
    listed.map(tonic::Response::into_inner)
}

/// All findings of a question, page by page.
async fn pages(wired: &Wired, mut asked: ListFindingsRequest) -> (Vec<Value>, Vec<u64>) {
    let (mut all, mut moments) = (Vec::new(), Vec::new());
    loop {
        let listed = list(wired, asked.clone()).await.unwrap();
        moments.push(listed.as_of);
        all.extend(listed.findings.into_iter().map(finding_as_rest));
        if listed.next_page_token.is_empty() {
            return (all, moments);
        }
        asked.page_token = listed.next_page_token;
    }
}

#[tokio::test]
async fn findings_are_those_of_rest_whatever_the_pages() {
    let wired = Wired::new().await;
    let rest = wired.rig.get("/findings?limit=1000").await.good();
    let rest = rest["items"].as_array().unwrap();
    assert!(rest.len() > 50, "{}", rest.len());
    for page_size in [7, 1000] {
        let asked = ListFindingsRequest {
            page_size,
            ..ListFindingsRequest::default()
        };
        let (all, moments) = pages(&wired, asked).await;
        assert_eq!(&all, rest);
        assert!(moments.iter().all(|moment| *moment == moments[0]));
    }
    let finding = rest[3]["finding_id"].as_str().unwrap().to_owned();
    let asked = GetFindingRequest {
        finding: finding[..16].to_owned(),
        moment: None,
    };
    let got = wired.findings().get_finding(wired.owner(asked)).await;
    let got = finding_as_rest(got.unwrap().into_inner().finding.unwrap());
    assert_eq!(got, rest[3]);
}

#[tokio::test]
async fn filters_and_moments_are_those_of_rest() {
    let wired = Wired::new().await;
    let all = wired.rig.get("/findings?limit=1000").await.good();
    let middle = all["items"][30]["position"].as_u64().unwrap();
    let scan = all["items"][0]["scan_id"].as_str().unwrap().to_owned();
    let kind = all["items"][0]["kind"].as_str().unwrap().to_owned();
    let module = all["items"][20]["module"].as_str().unwrap().to_owned();
    let at = Some(Moment {
        at: Some(moment::At::Position(middle)),
        min_position: 0,
    });
    let cases = [
        (
            format!("kind={kind}"),
            ListFindingsRequest {
                kinds: vec![kind],
                ..ListFindingsRequest::default()
            },
        ),
        (
            format!("module={module}&in_scope=true"),
            ListFindingsRequest {
                modules: vec![module],
                in_scope: Some(true),
                ..ListFindingsRequest::default()
            },
        ),
        (
            format!("at={middle}"),
            ListFindingsRequest {
                moment: at,
                ..ListFindingsRequest::default()
            },
        ),
        (
            format!("since={middle}"),
            ListFindingsRequest {
                since: Some(Since::SincePosition(middle)),
                ..ListFindingsRequest::default()
            },
        ),
        (
            format!("scan={}&min_confidence=50", &scan[..20]),
            ListFindingsRequest {
                scan: scan[..20].to_owned(),
                min_confidence: 50,
                ..ListFindingsRequest::default()
            },
        ),
    ];
    let total = all["items"].as_array().unwrap().len();
    for (query, asked) in cases {
        let rest = wired
            .rig
            .get(&format!("/findings?limit=1000&{query}"))
            .await;
        let (told, _) = pages(&wired, asked).await;
        assert!(
            !told.is_empty() && told.len() < total,
            "{query}: {}",
            told.len()
        );
        assert_eq!(json!(told), rest.good()["items"], "{query}");
    }
}

#[tokio::test]
async fn chains_are_those_of_rest_with_their_proofs() {
    let wired = Wired::new().await;
    let listed = wired.rig.get("/findings?limit=1000").await.good();
    let mut deep = listed["items"].as_array().unwrap().iter();
    let deep = deep
        .rfind(|finding| !finding["parent_id"].is_null())
        .unwrap();
    let finding = deep["finding_id"].as_str().unwrap().to_owned();
    let rest = wired
        .rig
        .get(&format!("/findings/{finding}/why"))
        .await
        .good();
    let asked = WhyFindingRequest {
        finding,
        moment: None,
    };
    let told = wired.why().why_finding(wired.owner(asked)).await.unwrap();
    let told = told.into_inner();
    assert_eq!(json!(told.as_of), rest["at"]);
    let why = told.why.unwrap();
    let chains: Vec<_> = why
        .chains
        .into_iter()
        .map(|chain| chain.finding_ids)
        .collect();
    assert_eq!(json!(chains), rest["chains"]);
    assert!(why.steps.len() > 1);
    assert_eq!(why.reaches_seed, rest["reaches_seed"]);
    for (n, step) in why.steps.into_iter().enumerate() {
        let (found, proof) = (&rest["steps"][n], &rest["proofs"][n]);
        assert_eq!(finding_as_rest(step.finding.unwrap()), found["finding"]);
        assert_eq!(step.entity_id, found["entity_id"]);
        assert_eq!(step.task.unwrap().task_id, found["task"]["task_id"]);
        let told = step.proof.unwrap();
        assert_eq!(json!(told.commit), proof["commit"]);
        assert_eq!(json!(told.log_hash), proof["log_hash"]);
        let result = |check: check::Result| {
            let name = check.as_str_name().trim_start_matches("RESULT_");
            name.to_lowercase()
        };
        assert_eq!(
            result(told.recorded.unwrap().result()),
            proof["recorded"]["result"]
        );
        assert_eq!(result(told.ids.unwrap().result()), proof["ids"]["result"]);
        assert_eq!(
            told.evidence.len(),
            proof["evidence"].as_array().unwrap().len()
        );
    }
}

#[tokio::test]
async fn an_entity_is_explained_by_its_kind_and_key() {
    let wired = Wired::new().await;
    let listed = wired.rig.get("/entities?limit=40").await.good();
    let mut all = listed["items"].as_array().unwrap().iter();
    let entity = all.rfind(|entity| !entity["key"].is_null()).unwrap();
    let id = entity["entity_id"].as_str().unwrap().to_owned();
    let rest = wired.rig.get(&format!("/entities/{id}/why")).await.good();
    let named = format!(
        "{}:{}",
        entity["kind"].as_str().unwrap(),
        entity["key"].as_str().unwrap()
    );
    for entity in [id, named] {
        let asked = WhyEntityRequest {
            entity,
            ..WhyEntityRequest::default()
        };
        let told = wired.why().why_entity(wired.owner(asked)).await.unwrap();
        let told = told.into_inner();
        assert_eq!(json!(told.as_of), rest["at"]);
        let why = told.why.unwrap();
        assert_eq!(json!(why.scan_id), rest["scan_id"]);
        assert_eq!(why.steps.len(), rest["steps"].as_array().unwrap().len());
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_an_invalid_argument() {
    let wired = Wired::new().await;
    let far = prost_types::Timestamp {
        seconds: i64::MAX,
        nanos: 0,
    };
    let asked = ListFindingsRequest {
        page_size: 3,
        ..ListFindingsRequest::default()
    };
    let page_token = list(&wired, asked).await.unwrap().next_page_token;
    let one = |change: fn(&mut ListFindingsRequest)| {
        let mut asked = ListFindingsRequest::default();
        change(&mut asked);
        asked
    };
    let cases = [
        ("bad_query", one(|asked| asked.page_size = 1001)),
        (
            "bad_query",
            one(|asked| asked.kinds = vec!["nothing".into()]),
        ),
        ("bad_query", one(|asked| asked.modules = vec!["A B".into()])),
        ("bad_query", one(|asked| asked.min_confidence = 101)),
        ("bad_cursor", one(|asked| asked.page_token = "x".into())),
        ("bad_cursor", {
            // Of another list.
            let mut asked = one(|asked| asked.in_scope = Some(true));
            asked.page_token = page_token;
            asked
        }),
        (
            "bad_time",
            ListFindingsRequest {
                since: Some(Since::SinceTime(far)),
                ..ListFindingsRequest::default()
            },
        ),
    ];
    for (expected, asked) in cases {
        let refused = list(&wired, asked).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(code(&refused), expected, "{refused:?}");
    }
}

#[tokio::test]
async fn a_moment_that_is_not_there_yet_is_refused() {
    let wired = Wired::new().await;
    let head = wired.rig.head().await;
    let asked = ListScansRequest {
        moment: Some(Moment {
            at: None,
            min_position: head.0 + 1,
        }),
        ..ListScansRequest::default()
    };
    let refused = wired.scans().list_scans(wired.owner(asked)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(code(&refused), "no_such_position");
}
