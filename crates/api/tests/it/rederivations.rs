//! What cannot be derived anew is refused before anything is written.

use axum::http::Method;
use serde_json::json;

use crate::matrix::ids;
use crate::rig::Rig;

#[tokio::test]
async fn a_scan_that_is_not_over_or_whose_evidence_is_gone_is_not_derived_anew() {
    let rig = Rig::new().await;
    let body = json!({"seeds": ["example.com"]});
    let started = rig.owner(Method::POST, "/scans", Some(body)).await.good();
    let path = format!(
        "/scans/{}?min_position={}",
        started["scan_id"].as_str().unwrap(),
        started["position"]
    );
    rig.get(&path).await.good();
    let (running, over) = (&started["scan_id"], ids(&rig, 0).await.scan);
    let state = rig.get(&format!("/scans/{over}")).await.good();
    assert_eq!(state["state"], "finished");
    let before = rig.head().await;
    for (scan, body, code) in [
        (running.as_str().unwrap(), json!({}), "scan_not_over"),
        (&over, json!({}), "evidence_incomplete"),
        (&over, json!({"modules": ["nothing"]}), "unknown_module"),
        (&over, json!({"module": []}), "bad_body"),
        ("scn_nothing", json!({}), "no_such_scan"),
    ] {
        let path = format!("/scans/{scan}/rederive");
        let refused = rig.owner(Method::POST, &path, Some(body)).await;
        assert_eq!(refused.code(), code, "{scan}");
    }
    assert!(rig.changes(before).await.is_empty());
}
