//! Who may call what: every method and role, with own and foreign ids, and forged credentials.

use std::collections::BTreeSet;

use mirage_api::auth::operations;
use mirage_api::grpc::v1::change_scan_request::{Change, Precondition};
use mirage_api::grpc::v1::{
    ChangeScanRequest, GetFindingRequest, GetScanRequest, ListFindingsRequest, ListScansRequest,
    StartScanRequest, WatchEventsRequest, WhyEntityRequest, WhyFindingRequest,
};
use mirage_api::grpc::{DESCRIPTORS, methods};
use mirage_domain::role::Role;
use prost::Message;
use prost_types::FileDescriptorSet;
use serde_json::json;
use tonic::Code;

use super::bytes::first;
use super::{Wired, code};
use crate::matrix::{Ids, forged, ids};
use crate::rig::request;

/// A sound request of a method, about these ids; whether it names one.
fn asked(method: &methods::Method, ids: &Ids) -> (Vec<u8>, bool) {
    let (scan, finding, entity) = (ids.scan.clone(), ids.finding.clone(), ids.entity.clone());
    match method.operation {
        "list_scans" => (ListScansRequest::default().encode_to_vec(), false),
        "get_scan" => (GetScanRequest { scan, moment: None }.encode_to_vec(), true),
        "start_scan" => {
            let seeds = vec!["example.com".to_owned()];
            let asked = StartScanRequest {
                seeds,
                ..StartScanRequest::default()
            };
            (asked.encode_to_vec(), false)
        }
        "change_scan" => {
            let asked = ChangeScanRequest {
                scan,
                precondition: Some(Precondition::AnyVersion(true)),
                change: Some(Change::IsArchived(true)),
                ..ChangeScanRequest::default()
            };
            (asked.encode_to_vec(), true)
        }
        "list_findings" => {
            let asked = ListFindingsRequest {
                scan,
                ..ListFindingsRequest::default()
            };
            (asked.encode_to_vec(), true)
        }
        "get_finding" => {
            let moment = None;
            (GetFindingRequest { finding, moment }.encode_to_vec(), true)
        }
        "why_finding" => {
            let moment = None;
            (WhyFindingRequest { finding, moment }.encode_to_vec(), true)
        }
        "why_entity" => {
            let asked = WhyEntityRequest {
                entity,
                ..WhyEntityRequest::default()
            };
            (asked.encode_to_vec(), true)
        }
        "stream_events" => (WatchEventsRequest::default().encode_to_vec(), false),
        other => panic!("say here how {other} is called"),
    }
}

#[test]
fn every_method_of_the_descriptions_has_its_row() {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let own = set.file.iter().filter(|file| file.package() == "mirage.v1");
    let mut described = BTreeSet::new();
    for file in own {
        for service in &file.service {
            let name = |method: &str| format!("mirage.v1.{}/{method}", service.name());
            described.extend(service.method.iter().map(|method| name(method.name())));
        }
    }
    let rows = methods::ALL.iter().map(|method| method.name.to_owned());
    assert_eq!(described, rows.collect());
    assert!(methods::ALL.is_sorted_by(|a, b| a.name < b.name));
    for method in methods::ALL {
        assert!(method.row().is_some(), "{}", method.name);
    }
}

#[test]
fn a_method_is_the_operation_of_its_name() {
    for method in methods::ALL {
        let name = method.name.rsplit('/').next().unwrap();
        let mut snake = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        }
        // A stream of events by another way.
        let id = match snake.as_str() {
            "watch_events" => "stream_events",
            id => id,
        };
        assert_eq!(method.operation, id);
    }
}

#[tokio::test]
async fn each_role_may_call_what_the_table_says_and_nothing_else() {
    let wired = Wired::new().await;
    let own = ids(&wired.rig, 0).await;
    let mut refusals = 0;
    for method in methods::ALL {
        let row = operations::ALL
            .iter()
            .find(|row| row.id == method.operation);
        for role in Role::ALL {
            let before = wired.rig.head().await;
            let key = wired.rig.key(0, role);
            let (message, _) = asked(method, &own);
            let answered = first(&wired.channel, Some(&key), method.name, message).await;
            let is_let_in = row.unwrap().roles.contains(&role);
            match answered {
                Ok(_) => assert!(is_let_in, "{} {role}", method.name),
                Err(status) if status.code() == Code::PermissionDenied => {
                    assert!(!is_let_in, "{} {role}", method.name);
                    assert_eq!(code(&status), "forbidden");
                    let changes = wired.rig.changes(before).await;
                    assert!(changes.is_empty(), "{} {role}: {changes:?}", method.name);
                    refusals += 1;
                }
                Err(status) => {
                    let is_of_state = status.code() == Code::FailedPrecondition;
                    assert!(
                        is_let_in && is_of_state,
                        "{} {role}: {status:?}",
                        method.name
                    );
                }
            }
        }
    }
    assert!(refusals >= 4, "{refusals}");
}

#[tokio::test]
async fn a_foreign_id_is_answered_as_one_that_there_is_not() {
    let wired = Wired::new().await;
    let (foreign, nobodys) = (ids(&wired.rig, 1).await, Ids::nobodys());
    let mut tried = 0;
    for method in methods::ALL {
        for role in Role::ALL {
            let (message, names_one) = asked(method, &foreign);
            let row = method.row().unwrap();
            if !names_one || !row.roles.contains(&role) {
                continue;
            }
            let key = wired.rig.key(0, role);
            let before = wired.rig.head().await;
            let one = first(&wired.channel, Some(&key), method.name, message).await;
            let one = one.unwrap_err();
            let (message, _) = asked(method, &nobodys);
            let other = first(&wired.channel, Some(&key), method.name, message).await;
            let other = other.unwrap_err();
            assert_eq!(one.code(), Code::NotFound, "{} {role}", method.name);
            assert_eq!((one.code(), code(&one)), (other.code(), code(&other)));
            let hidden = |text: &str, ids: &Ids| {
                let text = text.replace(&ids.scan, "").replace(&ids.finding, "");
                text.replace(&ids.entity, "")
            };
            assert_eq!(
                hidden(one.message(), &foreign),
                hidden(other.message(), &nobodys)
            );
            assert!(wired.rig.changes(before).await.is_empty());
            tried += 1;
        }
    }
    assert!(tried >= 20, "{tried}");
}

#[tokio::test]
async fn nobody_is_let_in_without_a_credential_or_with_a_forged_one() {
    let wired = Wired::new().await;
    let own = ids(&wired.rig, 0).await;
    let head = wired.rig.head().await;
    for method in methods::ALL {
        let (message, _) = asked(method, &own);
        let refused = first(&wired.channel, None, method.name, message).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{}", method.name);
        assert_eq!(code(&refused), "sign_in_needed");
    }
    for token in forged(&wired.rig) {
        let asked = ListScansRequest::default().encode_to_vec();
        let method = "mirage.v1.ScanService/ListScans";
        let refused = first(&wired.channel, Some(&token), method, asked).await;
        assert_eq!(
            refused.unwrap_err().code(),
            Code::Unauthenticated,
            "{token}"
        );
    }
    assert!(wired.rig.changes(head).await.is_empty());
    // Each kind of refusal is on record once; the rest is counted.
    assert!(wired.rig.head().await > head);
}

#[tokio::test]
async fn an_access_token_calls_and_a_changed_one_does_not() {
    let wired = Wired::new().await;
    let rig = &wired.rig;
    let password = "correct horse battery";
    let new = json!({"name": "ada", "role": "viewer", "password": password});
    let made = rig.owner(axum::http::Method::POST, "/members", Some(new));
    made.await.good();
    let asked = json!({"name": "ada", "password": password, "workspace": "default"});
    let asked = request("", axum::http::Method::POST, "/sign-in", Some(asked));
    let granted = rig.send(asked).await.good();
    let access = granted["access_token"].as_str().unwrap();
    let list = async |token: &str| {
        let asked = ListScansRequest::default().encode_to_vec();
        let method = "mirage.v1.ScanService/ListScans";
        first(&wired.channel, Some(token), method, asked).await
    };
    list(access).await.unwrap();
    let parts: Vec<&str> = access.split('.').collect();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    let mut changed = vec![
        format!("{none}.{}.", parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{access}."),
        format!("{access}a"),
    ];
    changed.extend((0..access.len()).step_by(5).map(|at| {
        let mut bytes = access.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        String::from_utf8(bytes).unwrap()
    }));
    assert!(changed.len() > 50, "{}", changed.len());
    for token in changed {
        let refused = list(&token).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{token}");
    }
}

#[tokio::test]
async fn what_is_revoked_calls_nothing_from_the_next_call_on() {
    let wired = Wired::new().await;
    let workspace = mirage_projections::testing::made_scan::workspace(0);
    let secret = wired.rig.issue(&workspace, Role::Viewer, None).await;
    let list = async || {
        let asked = ListScansRequest::default();
        let asked = super::call(&secret.reveal(), asked);
        wired.scans().list_scans(asked).await
    };
    list().await.unwrap();
    wired.rig.revoke(&secret).await;
    assert_eq!(code(&list().await.unwrap_err()), "bad_credential");
}
