//! How often somebody may ask, and what the one who is refused is told.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::http::{Method, StatusCode};
use mirage_api::listener::Peer;
use mirage_api::{admit, rates};
use mirage_domain::role::Role;

use crate::rig::{Answered, Rig, request};

/// A gateway at which everybody may ask five times, and then once a second.
async fn strict(rates: rates::Settings) -> Rig {
    let settings = admit::Settings {
        rates,
        proxies: vec!["10.0.0.0/8".parse().unwrap()],
    };
    Rig::built(|gateway| gateway.with_admission(settings)).await
}

const MANY: u32 = 1_000;

async fn ask(rig: &Rig, key: &str, peer: &str, forwarded: &str) -> Answered {
    let mut request = request(key, Method::GET, "/whoami", None);
    let peer = SocketAddr::new(peer.parse().unwrap(), 4711);
    request.extensions_mut().insert(ConnectInfo(Peer(peer)));
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", forwarded.parse().unwrap());
    rig.send(request).await
}

#[tokio::test]
async fn a_caller_beyond_its_rate_is_told_when_to_come_again_and_others_go_on() {
    let rates = rates::Settings {
        address: MANY,
        caller: 1,
        workspace: MANY,
    };
    let rig = strict(rates).await;
    let (one, other) = (rig.key(0, Role::Viewer), rig.key(0, Role::Analyst));
    for left in (0..5).rev() {
        let answered = ask(&rig, &one, "192.0.2.1", "").await;
        answered.good();
        assert_eq!(
            answered.headers["ratelimit"],
            format!("\"caller\";r={left}")
        );
        assert_eq!(answered.headers["ratelimit-policy"], "\"caller\";q=5;w=5");
    }
    let refused = ask(&rig, &one, "192.0.2.2", "").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.code(), "too_many_requests");
    assert_eq!(refused.headers["retry-after"], "1");
    ask(&rig, &other, "192.0.2.1", "").await.good();
}

#[tokio::test]
async fn a_workspace_has_a_rate_for_all_its_callers_together() {
    let rates = rates::Settings {
        address: MANY,
        caller: MANY,
        workspace: 1,
    };
    let rig = strict(rates).await;
    for role in Role::ALL {
        ask(&rig, &rig.key(0, role), "192.0.2.1", "").await.good();
    }
    let refused = ask(&rig, &rig.key(0, Role::Owner), "192.0.2.1", "").await;
    assert_eq!(refused.code(), "too_many_requests");
    ask(&rig, &rig.key(1, Role::Owner), "192.0.2.1", "")
        .await
        .good();
}

#[tokio::test]
async fn wrong_credentials_cost_an_address_as_much_as_good_ones_and_headers_are_no_way_around() {
    let rates = rates::Settings {
        address: 1,
        caller: MANY,
        workspace: MANY,
    };
    let rig = strict(rates).await;
    let good = rig.key(0, Role::Viewer);
    let mut passed = 0;
    for source in 0..100 {
        let answered = ask(
            &rig,
            "mirage.x.y.z",
            "192.0.2.1",
            &format!("198.51.100.{source}"),
        )
        .await;
        passed += usize::from(answered.code() == "bad_credential");
    }
    assert!((5..10).contains(&passed), "five and one a second: {passed}");
    assert_eq!(
        ask(&rig, &good, "192.0.2.1", "").await.code(),
        "too_many_requests"
    );
    // A proxy that is named says who asks.
    ask(&rig, &good, "10.0.0.1", "198.51.100.1").await.good();
}
