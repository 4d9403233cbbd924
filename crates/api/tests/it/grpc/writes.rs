//! Writes: keys that make them happen once, expected versions, and requests that are refused.

use mirage_api::grpc::v1::change_scan_request::{Change, Precondition};
use mirage_api::grpc::v1::{
    ChangeScanRequest, ChangeScanResponse, GetScanRequest, ListScansRequest, Moment, Profile,
    ScanState, StartScanRequest, StartScanResponse, WantedState,
};
use mirage_domain::role::Role;
use tonic::{Code, Status};

use super::{Wired, call, code};

async fn start(wired: &Wired, asked: StartScanRequest) -> Result<StartScanResponse, Status> {
    let key = wired.rig.key(0, Role::Service);
    let started = wired.scans().start_scan(call(&key, asked)).await;
    started.map(tonic::Response::into_inner)
}

async fn change(wired: &Wired, asked: ChangeScanRequest) -> Result<ChangeScanResponse, Status> {
    let key = wired.rig.key(0, Role::Analyst);
    let changed = wired.scans().change_scan(call(&key, asked)).await;
    changed.map(tonic::Response::into_inner)
}

fn example() -> StartScanRequest {
    StartScanRequest {
        seeds: vec!["example.com".to_owned()],
        ..StartScanRequest::default()
    }
}

#[tokio::test]
async fn a_key_starts_a_scan_once_and_another_request_under_it_is_refused() {
    let wired = Wired::new().await;
    let asked = StartScanRequest {
        idempotency_key: "k1".to_owned(),
        profile: Profile::Passive.into(),
        name: "quiet".to_owned(),
        ..example()
    };
    let first = start(&wired, asked.clone()).await.unwrap();
    let head = wired.rig.head().await;
    assert_eq!(first.position, head.0);
    assert_eq!(start(&wired, asked.clone()).await.unwrap(), first);
    assert_eq!(wired.rig.head().await, head);
    let other = StartScanRequest {
        name: "loud".to_owned(),
        ..asked
    };
    let refused = start(&wired, other).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(code(&refused), "key_reused");
    assert_eq!(wired.rig.head().await, head);
    let asked = ListScansRequest {
        moment: Some(Moment {
            at: None,
            min_position: first.position,
        }),
        ..ListScansRequest::default()
    };
    let listed = wired.scans().list_scans(wired.owner(asked)).await.unwrap();
    let listed = listed.into_inner();
    assert!(listed.as_of >= first.position);
    let scan = listed.scans.last().unwrap();
    assert_eq!(
        (&scan.scan_id, scan.profile()),
        (&first.scan_id, Profile::Passive)
    );
    assert_eq!(scan.name.as_deref(), Some("quiet"));
}

#[tokio::test]
async fn a_request_that_asks_for_too_much_changes_nothing() {
    let wired = Wired::new().await;
    let head = wired.rig.head().await;
    let with = |change: &dyn Fn(&mut StartScanRequest)| {
        let mut asked = example();
        change(&mut asked);
        asked
    };
    let cases = [
        ("bad_seed", with(&|asked| asked.seeds.clear())),
        (
            "bad_seed",
            with(&|asked| asked.seeds = vec!["\u{1}".into()]),
        ),
        ("bad_value", with(&|asked| asked.profile = 9)),
        ("bad_value", with(&|asked| asked.name = "x".repeat(201))),
        (
            "bad_value",
            with(&|asked| asked.allow_private = vec!["all".into()]),
        ),
        (
            "bad_value",
            with(&|asked| asked.allow_private = vec!["127.0.0.0/8".into()]),
        ),
        (
            "bad_value",
            with(&|asked| asked.modules = vec!["ports".into()]),
        ),
        (
            "bad_value",
            with(&|asked| asked.idempotency_key = "x".repeat(201)),
        ),
        (
            "bad_value",
            with(&|asked| asked.idempotency_key = "a\u{7}".into()),
        ),
        (
            "unknown_module",
            with(&|asked| asked.modules = vec!["nmap".into()]),
        ),
        ("bad_scope", with(&|asked| asked.scope = vec!["!".into()])),
        (
            "bad_setting",
            with(&|asked| {
                asked.settings.insert("crtsh.nothing".into(), "1".into());
            }),
        ),
    ];
    for (expected, asked) in cases {
        let refused = start(&wired, asked).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(code(&refused), expected, "{refused:?}");
    }
    let active = with(&|asked| asked.profile = Profile::Active.into());
    let refused = start(&wired, active).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(code(&refused), "consent_missing");
    assert_eq!(wired.rig.head().await, head);
}

#[tokio::test]
async fn a_change_needs_the_version_that_was_read() {
    let wired = Wired::new().await;
    let started = start(&wired, example()).await.unwrap();
    let get = async |min_position| {
        let asked = GetScanRequest {
            scan: started.scan_id.clone(),
            moment: Some(Moment {
                at: None,
                min_position,
            }),
        };
        let got = wired.scans().get_scan(wired.owner(asked)).await.unwrap();
        got.into_inner()
    };
    let version = get(started.position).await.version;
    let pause = |precondition| ChangeScanRequest {
        scan: started.scan_id.clone(),
        precondition,
        change: Some(Change::State(WantedState::Paused.into())),
        ..ChangeScanRequest::default()
    };
    for missing in [None, Some(Precondition::AnyVersion(false))] {
        let refused = change(&wired, pause(missing)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(code(&refused), "precondition_missing");
    }
    let stale = pause(Some(Precondition::ExpectedVersion(version - 1)));
    let refused = change(&wired, stale).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert_eq!(code(&refused), "precondition_failed");
    let fresh = pause(Some(Precondition::ExpectedVersion(version)));
    let changed = change(&wired, fresh).await.unwrap();
    let got = get(changed.position).await;
    assert_eq!(got.scan.unwrap().state(), ScanState::Paused);
    assert!(got.version > version);
    let stop = ChangeScanRequest {
        change: Some(Change::State(WantedState::Stopped.into())),
        ..pause(Some(Precondition::AnyVersion(true)))
    };
    let changed = change(&wired, stop).await.unwrap();
    let got = get(changed.position).await;
    // Nobody runs it here.
    assert_eq!(got.scan.unwrap().state(), ScanState::Interrupted);
    assert_eq!(got.as_of, changed.position);
}

#[tokio::test]
async fn a_change_is_one_thing_and_its_key_makes_it_once() {
    let wired = Wired::new().await;
    let started = start(&wired, example()).await.unwrap();
    let read = ListScansRequest {
        moment: Some(Moment {
            at: None,
            min_position: started.position,
        }),
        ..ListScansRequest::default()
    };
    wired.scans().list_scans(wired.owner(read)).await.unwrap();
    let asked = |change| ChangeScanRequest {
        scan: started.scan_id.clone(),
        idempotency_key: "once".to_owned(),
        precondition: Some(Precondition::AnyVersion(true)),
        change,
        ..ChangeScanRequest::default()
    };
    for wrong in [0, 9] {
        let refused = change(&wired, asked(Some(Change::State(wrong)))).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(code(&refused), "bad_value");
    }
    let refused = change(&wired, asked(None)).await.unwrap_err();
    assert_eq!(code(&refused), "bad_body");
    let archive = asked(Some(Change::IsArchived(true)));
    // A scan that is not over is not archived.
    let refused = change(&wired, archive).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let pause = asked(Some(Change::State(WantedState::Paused.into())));
    let first = change(&wired, pause.clone()).await.unwrap();
    let head = wired.rig.head().await;
    assert_eq!(change(&wired, pause).await.unwrap(), first);
    assert_eq!(wired.rig.head().await, head);
}
