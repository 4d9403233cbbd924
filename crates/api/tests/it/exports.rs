//! Exports: each format as of one moment, and what is refused.

use mirage_log::archive::Reader;
use serde_json::Value;

use crate::matrix::ids;
use crate::rig::Rig;

async fn scan(rig: &Rig) -> String {
    ids(rig, 0).await.scan
}

#[tokio::test]
async fn each_format_holds_the_scan_as_of_a_moment() {
    let rig = Rig::new().await;
    let scan = scan(&rig).await;
    let path = format!("/findings?scan={scan}&limit=1000");
    let listed = rig.get(&path).await.good();
    let findings = listed["items"].as_array().unwrap().len();
    let get = async |query: &str| {
        let path = format!("/scans/{scan}/export?at={}&format={query}", listed["as_of"]);
        let answered = rig.get(&path).await;
        assert!(answered.status.is_success(), "{query}");
        let as_of = answered.headers["mirage-as-of"].to_str().unwrap();
        assert_eq!(as_of, listed["as_of"].to_string(), "{query}");
        assert!(answered.headers.contains_key("content-disposition"));
        answered
    };
    let csv = String::from_utf8(get("csv").await.body).unwrap();
    assert_eq!(csv.lines().count(), findings + 1, "{csv}");
    let narrow = String::from_utf8(get("csv&fields=key,kind").await.body).unwrap();
    assert!(narrow.starts_with("key,kind\r\n"), "{narrow}");
    let events = get("cloudevents").await.body;
    for line in events
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let event: Value = serde_json::from_slice(line).unwrap();
        assert_eq!(event["specversion"], "1.0");
    }
    assert_eq!(events, get("jsonl").await.body);
    let archive = get("commits").await.body;
    let mut archive = Reader::open(&archive[..]).unwrap();
    // The key of the other workspace is none of theirs.
    assert_eq!(
        archive.header().keys.keys().collect::<Vec<_>>(),
        ["default"]
    );
    let commits: Vec<_> = archive.by_ref().map(Result::unwrap).collect();
    assert!(commits.len() > 1);
    for (format, begins) in [
        ("graphml", "<?xml"),
        ("gexf", "<?xml"),
        ("dot", "digraph"),
        ("json", "{"),
    ] {
        let graph = String::from_utf8(get(format).await.body).unwrap();
        assert!(graph.starts_with(begins), "{format}: {graph}");
    }
}

#[tokio::test]
async fn an_export_of_the_past_ends_there() {
    let rig = Rig::new().await;
    let scan = scan(&rig).await;
    let get = async |at: &str| {
        let path = format!("/scans/{scan}/export?format=cloudevents{at}");
        rig.get(&path).await.body
    };
    let (early, late) = (get("&at=100").await, get("").await);
    assert!(early.len() < late.len() && late.starts_with(&early));
}

#[tokio::test]
async fn what_is_no_format_no_field_and_no_scan_is_refused() {
    let rig = Rig::new().await;
    let scan = scan(&rig).await;
    for (path, code) in [
        (format!("/scans/{scan}/export"), "bad_query"),
        (format!("/scans/{scan}/export?format=xlsx"), "bad_query"),
        (
            format!("/scans/{scan}/export?format=csv&fields=x"),
            "bad_query",
        ),
        (format!("/scans/{scan}/export?format=csv&x=1"), "bad_query"),
        (
            "/scans/scn_nothing/export?format=csv".into(),
            "no_such_scan",
        ),
        (
            format!("/scans/{scan}/export?format=csv&at=99999999"),
            "no_such_position",
        ),
    ] {
        assert_eq!(rig.get(&path).await.code(), code, "{path}");
    }
}
