//! Who may do what: every operation, with every role.
//!
//! With ids of the own and of a foreign workspace, and with credentials that are none.

use axum::http::{Method, StatusCode};
use mirage_api::auth::operations::{self, Operation};
use mirage_domain::role::Role;
use serde_json::{Value, json};

use crate::rig::{Rig, request};

/// What the parameters of a path stand for, and parameters that a query must have.
pub(crate) struct Ids {
    pub(crate) scan: String,
    pub(crate) finding: String,
    pub(crate) entity: String,
    pub(crate) subscription: String,
    pub(crate) team: String,
}

impl Ids {
    /// Ids as they might be, of what nobody has.
    pub(crate) fn nobodys() -> Self {
        Self {
            scan: format!("scn_{}", "a".repeat(26)),
            finding: "0".repeat(32),
            entity: "0".repeat(32),
            subscription: format!("sub_{}", "a".repeat(26)),
            team: format!("tea_{}", "a".repeat(26)),
        }
    }
}

pub(crate) async fn ids(rig: &Rig, n: usize) -> Ids {
    let key = rig.key(n, Role::Owner);
    let first = |listed: Value, field: &str| listed["items"][0][field].as_str().unwrap().to_owned();
    let get = async |path: &str| {
        rig.send(request(&key, Method::GET, path, None))
            .await
            .good()
    };
    Ids {
        scan: first(get("/scans").await, "scan_id"),
        finding: first(get("/findings?limit=1").await, "finding_id"),
        entity: first(get("/entities?limit=1").await, "entity_id"),
        subscription: subscription(rig, &key).await,
        team: team(rig, &key).await,
    }
}

async fn subscription(rig: &Rig, key: &str) -> String {
    let body = json!({"name": "x", "url": "https://example.com/"});
    let made = request(key, Method::POST, "/subscriptions", Some(body));
    let made = rig.send(made).await.good();
    made["subscription_id"].as_str().unwrap().to_owned()
}

async fn team(rig: &Rig, key: &str) -> String {
    let body = json!({"name": "x", "role": "viewer"});
    let made = request(key, Method::POST, "/teams", Some(body));
    let made = rig.send(made).await.good();
    made["team_id"].as_str().unwrap().to_owned()
}

/// A request of an operation that is sound, about these ids.
fn call(operation: &Operation, ids: &Ids) -> (String, Option<Value>) {
    let path = operation
        .path
        .replace("{scan}", &ids.scan)
        .replace("{finding}", &ids.finding)
        .replace("{entity}", &ids.entity)
        .replace("{key}", "key_unknown")
        .replace("{subscription}", &ids.subscription)
        .replace("{team}", &ids.team)
        .replace("{user}", "usr_unknown")
        .replace("{identity}", "idn_unknown")
        .replace("{cursor}", "3.1")
        .replace("{module}", "dns")
        .replace("{view}", "nothing")
        .replace("{position}", "3")
        .replace("{sha256}", &"0".repeat(64));
    let query = match operation.id {
        "diff" => format!("?before={}", ids.scan),
        "export_scan" => "?format=csv".to_owned(),
        "list_paths" => format!("?from={0}&to={0}", ids.entity),
        "search" | "count_search" => "?q=host".to_owned(),
        _ => String::new(),
    };
    let body = match operation.id {
        "issue_api_key" => Some(json!({"name": "x", "role": "viewer"})),
        "rederive_scan" => Some(json!({})),
        "start_scan" => Some(json!({"seeds": ["example.com"]})),
        "change_scan" => Some(json!({"is_archived": true})),
        "create_subscription" => Some(json!({"name": "x", "url": "https://example.com/"})),
        "change_subscription" => Some(json!({"is_paused": true})),
        "create_team" => Some(json!({"name": "x", "role": "viewer"})),
        "set_team" => Some(json!({"role": "viewer"})),
        "mark_finding" => Some(json!({"verdict": "confirmed"})),
        _ => None,
    };
    (path + &query, body)
}

#[tokio::test]
async fn each_role_may_do_what_the_table_says_and_nothing_else() {
    let rig = Rig::new().await;
    let own = ids(&rig, 0).await;
    for operation in operations::ALL {
        for role in Role::ALL {
            let before = rig.head().await;
            let (path, body) = call(operation, &own);
            let key = rig.key(0, role);
            let answered = rig
                .send(request(&key, operation.method.clone(), &path, body))
                .await;
            let is_refused = answered.status == StatusCode::FORBIDDEN;
            assert_eq!(
                !is_refused,
                operation.roles.contains(&role),
                "{} {role}",
                operation.id
            );
            if is_refused {
                assert_eq!(answered.code(), "forbidden");
                let changes = rig.changes(before).await;
                assert!(changes.is_empty(), "{} {role}: {changes:?}", operation.id);
            }
            assert!(
                !answered.status.is_server_error(),
                "{} {role}",
                operation.id
            );
        }
    }
}

#[tokio::test]
async fn a_foreign_id_is_answered_as_one_that_there_is_not() {
    let rig = Rig::new().await;
    let foreign = ids(&rig, 1).await;
    let nobodys = Ids::nobodys();
    let key = rig.key(0, Role::Owner);
    let mut tried = 0;
    for operation in operations::ALL {
        let (path, body) = call(operation, &foreign);
        let is_of_id = [
            &foreign.scan,
            &foreign.finding,
            &foreign.entity,
            &foreign.subscription,
            &foreign.team,
        ];
        if !is_of_id.iter().any(|id| path.contains(id.as_str())) {
            continue;
        }
        // The two workspaces may have met the same entity: only one that the other has not met is foreign.
        let before = rig.head().await;
        let one = rig
            .send(request(&key, operation.method.clone(), &path, body))
            .await;
        let (path, body) = call(operation, &nobodys);
        let other = rig
            .send(request(&key, operation.method.clone(), &path, body))
            .await;
        let told = (one.status, one.code());
        assert_eq!(told, (other.status, other.code()), "{}", operation.id);
        assert!(
            matches!(one.status.as_u16(), 404 | 428),
            "{}: {told:?}",
            operation.id
        );
        assert!(rig.changes(before).await.is_empty(), "{}", operation.id);
        tried += 1;
    }
    assert!(tried >= 10, "{tried}");
}

/// Texts that resemble the key of the first owner, and are none.
pub(crate) fn forged(rig: &Rig) -> Vec<String> {
    let good = rig.key(0, Role::Owner);
    let parts: Vec<&str> = good.split('.').collect();
    let other = rig.key(1, Role::Owner);
    let other: Vec<&str> = other.split('.').collect();
    let flipped = |at: usize| {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
        String::from_utf8(bytes).unwrap()
    };
    let mut forged = vec![
        String::new(),
        "mirage".into(),
        "mirage...".into(),
        good.to_uppercase(),
        format!("{good}."),
        format!("{good} {good}"),
        format!("{good}a"),
        good[1..].to_owned(),
        [parts[0], other[1], parts[2], parts[3]].join("."),
        [parts[0], parts[1], other[2], parts[3]].join("."),
        [parts[0], parts[1], parts[2], other[3]].join("."),
        [parts[0], "system", parts[2], parts[3]].join("."),
        [parts[0], "*", parts[2], parts[3]].join("."),
        [parts[0], "..%2fdefault", parts[2], parts[3]].join("."),
    ];
    forged.extend((0..good.len()).map(flipped));
    forged.extend((0..good.len()).map(|end| good[..end].to_owned()));
    assert!(forged.len() > 200);
    forged
}

#[tokio::test]
async fn a_credential_that_is_none_opens_nothing() {
    let rig = Rig::new().await;
    let good = rig.key(0, Role::Owner);
    let forged = forged(&rig);
    for token in &forged {
        let answered = rig.send(request(token, Method::GET, "/whoami", None)).await;
        assert_eq!(answered.status, StatusCode::UNAUTHORIZED, "{token}");
        assert!(answered.headers.contains_key("www-authenticate"));
    }
    let answered = rig.send(request(&good, Method::GET, "/whoami", None)).await;
    assert_eq!(answered.good()["workspace"], "default");
}

#[tokio::test]
async fn what_is_revoked_or_has_expired_opens_nothing_from_the_next_request_on() {
    let rig = Rig::new().await;
    let workspace = mirage_projections::testing::made_scan::workspace(0);
    let get = async |secret: &str| {
        rig.send(request(secret, Method::GET, "/whoami", None))
            .await
    };
    let secret = rig.issue(&workspace, Role::Viewer, None).await;
    assert_eq!(get(&secret.reveal()).await.good()["role"], "viewer");
    rig.revoke(&secret).await;
    assert_eq!(get(&secret.reveal()).await.code(), "bad_credential");
    let past = jiff::Timestamp::from_second(1).unwrap();
    let expired = rig.issue(&workspace, Role::Viewer, Some(past)).await;
    assert_eq!(get(&expired.reveal()).await.code(), "bad_credential");
}
