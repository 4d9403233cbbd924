//! Posts: what leads to a refused address is not connected; who proves nothing is told nothing.

use super::super::{Courier, Posted};
use super::spellings;
use super::tls::secured;
use super::web::{canary, nowhere};
use super::*;

async fn courier(allowed: &[&str]) -> Courier {
    let live = Live::new(LiveConfig::default()).await.unwrap();
    let workspace = WorkspaceId::new("default").unwrap();
    let allowed = allowed.iter().map(|net| net.parse().unwrap());
    Courier::new(live, workspace, vec![nowhere()], allowed.collect())
}

async fn post(courier: &Courier, url: &str) -> Result<u16, CollectError> {
    let posted = Posted {
        url,
        media: "application/json",
        headers: &[],
        body: b"{}".to_vec(),
    };
    courier.post(posted).await
}

#[tokio::test]
async fn no_spelling_of_a_refused_address_is_posted_to() {
    let (canary, courier) = (canary().await, courier(&[]).await);
    let hosts = spellings::all();
    assert!(hosts.len() >= 1000, "{}", hosts.len());
    for host in hosts {
        let url = format!("http://{host}:{}/", canary.at.port());
        let failed = post(&courier, &url).await.unwrap_err();
        assert_eq!(failed.reason(), "forbidden", "{url}: {failed}");
    }
    for host in spellings::NO_HOSTS {
        let url = format!("http://{host}:{}/", canary.at.port());
        let failed = post(&courier, &url).await.unwrap_err();
        assert_eq!(failed.reason(), "malformed", "{url}: {failed}");
    }
    assert_eq!(canary.accepted(), 0);
}

#[tokio::test]
async fn a_receiver_that_does_not_prove_its_name_is_told_nothing() {
    let server = secured(&["http/1.1"], false).await;
    let courier = courier(&["127.0.0.0/8"]).await;
    let url = format!("https://{}/", server.listener.at);
    let failed = post(&courier, &url).await.unwrap_err();
    assert!(failed.to_string().contains("TLS"), "{failed}");
}
