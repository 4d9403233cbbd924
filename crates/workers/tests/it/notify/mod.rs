//! Webhooks from the log to a receiver: signed, in order, retried, fenced, within the policy.

mod rig;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mirage_domain::delivery::State;
use mirage_domain::id::{Cursor, Position};
use mirage_domain::subscription::{Command, Reason, Rotate};
use mirage_workers::leases::LeaseFile;
use mirage_workers::node::{Caller, Node};
use mirage_workers::notify::signature::fresh_secret;
use mirage_world::receiver::{Answer, Received, Receiver};
use rig::Rig;

use crate::lifecycle::LONG;
use crate::scans::node;

/// Of one commit, in their order.
const KINDS: [&str; 2] = ["scan.requested", "scan.started"];

fn verify(secret: &str, received: &Received, body: &[u8]) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, received.header(name).parse().unwrap());
    }
    let webhook = standardwebhooks::Webhook::new(secret).unwrap();
    webhook.verify(body, &headers).is_ok()
}

async fn receiver(script: &[Answer]) -> Receiver {
    Receiver::start(script).await.unwrap()
}

/// What came, once it is so much.
async fn came(receiver: &Receiver, count: usize) -> Vec<Received> {
    let all = receiver.until(LONG, |all| all.len() >= count).await;
    all.unwrap()
}

fn cursors(received: &[Received]) -> Vec<String> {
    received.iter().map(Received::sequence).collect()
}

fn at(position: Position, index: u32) -> Cursor {
    Cursor { position, index }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_is_posted_in_order_and_its_signature_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, receiver) = (Rig::at(dir.path()).await, receiver(&[]).await);
    rig.happen().await;
    let (id, secret) = rig.subscribe(&receiver.url(), &[]).await;
    let _serving = rig.serve();
    let (one, other) = (rig.happen().await, rig.happen().await);
    // The subscription itself is the first thing that happened after it was asked for.
    let received = came(&receiver, 5).await;
    let kinds: Vec<_> = received
        .iter()
        .map(|one| one.json()["type"].clone())
        .collect();
    let scan = KINDS.map(|kind| serde_json::json!(format!("mirage.{kind}")));
    assert_eq!(kinds[0], "mirage.subscription.created");
    assert_eq!(kinds[1..], [scan.clone(), scan].concat());
    let expected = [at(one, 1), at(one, 2), at(other, 1), at(other, 2)];
    assert_eq!(
        cursors(&received[1..]),
        expected.map(|cursor| cursor.to_string())
    );
    for one in &received {
        assert!(verify(&secret, one, &one.body));
        let changed = [&one.body[..], b" "].concat();
        assert!(!verify(&secret, one, &changed));
        assert_eq!(one.header("content-type"), "application/cloudevents+json");
    }
    let text = String::from_utf8_lossy(&received[0].body).into_owned();
    assert!(
        !text.contains(&secret) && !text.contains("token=t"),
        "{text}"
    );
    let all = rig
        .until(&id, |all| all.through == Some(at(other, 2)))
        .await;
    assert!(all.rows.values().all(|row| row.state == State::Delivered));
    assert_eq!(receiver.received().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_secrets_sign_after_a_rotation_and_the_earlier_one_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, receiver) = (Rig::at(dir.path()).await, receiver(&[]).await);
    let (id, earlier) = rig.subscribe(&receiver.url(), &["scan.started"]).await;
    let secret = fresh_secret().unwrap();
    let hour = jiff::SignedDuration::from_hours(1);
    let rotate = Rotate {
        subscription: id.clone(),
        secret: secret.clone(),
        earlier_until: mirage_workers::node::now() + hour,
    };
    rig.give(Command::Rotate(rotate)).await;
    let _serving = rig.serve();
    let position = rig.happen().await;
    let received = came(&receiver, 1).await;
    rig.until(&id, |all| all.through == Some(at(position, 2)))
        .await;
    for secret in [&secret, &earlier] {
        assert!(verify(secret, &received[0], &received[0].body));
    }
    rig.clock.step(2 * 3600);
    rig.happen().await;
    let signature = came(&receiver, 2).await[1]
        .header("webhook-signature")
        .to_owned();
    assert_eq!(signature.split(' ').count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_tried_again_under_the_same_id_and_the_next_event_waits() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::at(dir.path()).await;
    let receiver = receiver(&[Answer::Status(500), Answer::Status(503)]).await;
    let (id, secret) = rig.subscribe(&receiver.url(), &KINDS).await;
    let _serving = rig.serve();
    let position = rig.happen().await;
    let failed = rig
        .until(&id, |all| all.attempts(at(position, 1)) == 1)
        .await;
    let row = &failed.rows[&at(position, 1)];
    assert_eq!((row.state, row.status), (State::Retrying, Some(500)));
    rig.clock.step(5);
    rig.until(&id, |all| all.attempts(at(position, 1)) == 2)
        .await;
    rig.clock.step(29);
    assert_eq!(receiver.received().len(), 2);
    rig.clock.step(1);
    let all = rig
        .until(&id, |all| all.through == Some(at(position, 2)))
        .await;
    assert_eq!(all.rows[&at(position, 1)].attempts, 3);
    let received = came(&receiver, 4).await;
    let [first, second] = [1, 2].map(|index| at(position, index).to_string());
    assert_eq!(
        cursors(&received),
        [&first, &first, &first, &second].map(String::as_str)
    );
    let ids: Vec<_> = received
        .iter()
        .map(|one| one.header("webhook-id"))
        .collect();
    assert!(
        ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3],
        "{ids:?}"
    );
    assert!(!ids[0].contains('.'));
    let last = &received[2];
    assert!(last.header("webhook-timestamp") > received[0].header("webhook-timestamp"));
    assert!(verify(&secret, last, &last.body));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_pauses_its_subscription_and_misses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::at(dir.path()).await;
    let receiver = receiver(&[Answer::Status(410)]).await;
    let (id, _) = rig.subscribe(&receiver.url(), &KINDS).await;
    let _serving = rig.serve();
    let position = rig.happen().await;
    let paused = rig.paused(&id).await;
    assert_eq!(paused, Reason::Gone);
    rig.clock.step(3600);
    let later = rig.happen().await;
    assert_eq!(receiver.received().len(), 1);
    rig.change(&id, |change| change.is_paused = Some(false))
        .await;
    rig.until(&id, |all| all.through == Some(at(later, 2)))
        .await;
    let expected = [
        at(position, 1),
        at(position, 1),
        at(position, 2),
        at(later, 1),
        at(later, 2),
    ];
    assert_eq!(
        cursors(&receiver.received()),
        expected.map(|cursor| cursor.to_string())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_and_a_redirect_are_failures_and_lead_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let (rig, elsewhere) = (Rig::at(dir.path()).await, receiver(&[]).await);
    let script = [Answer::Hang, Answer::Redirect(elsewhere.url())];
    let receiver = receiver(&script).await;
    let (id, _) = rig.subscribe(&receiver.url(), &["scan.started"]).await;
    let _serving = rig.serve();
    let position = rig.happen().await;
    came(&receiver, 1).await;
    rig.clock.step(15);
    let silent = rig
        .until(&id, |all| all.attempts(at(position, 2)) == 1)
        .await;
    let row = &silent.rows[&at(position, 2)];
    assert_eq!(
        (row.status, row.reason.as_deref()),
        (None, Some("no answer in time"))
    );
    rig.clock.step(5);
    let sent = rig
        .until(&id, |all| all.attempts(at(position, 2)) == 2)
        .await;
    assert_eq!(sent.rows[&at(position, 2)].status, Some(307));
    rig.clock.step(30);
    rig.until(&id, |all| all.through == Some(at(position, 2)))
        .await;
    assert_eq!(elsewhere.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_day_it_is_given_up_and_can_be_sent_once_more() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::at(dir.path()).await;
    let receiver = receiver(&[Answer::Status(500), Answer::Status(500)]).await;
    let (id, _) = rig.subscribe(&receiver.url(), &KINDS).await;
    let serving = rig.serve();
    let position = rig.happen().await;
    rig.until(&id, |all| all.open.is_some()).await;
    rig.clock.step(24 * 3600);
    let all = rig
        .until(&id, |all| all.through == Some(at(position, 2)))
        .await;
    let row = &all.rows[&at(position, 1)];
    assert_eq!((row.state, row.attempts), (State::GivenUp, 2));
    let caller = Caller::user("tester");
    let resend = rig.node.commands.resend(&id, at(position, 1), &caller);
    resend.await.unwrap();
    let is_sent = |state: State| state == State::Delivered;
    rig.until(&id, |all| is_sent(all.rows[&at(position, 1)].state))
        .await;
    let received = came(&receiver, 4).await;
    assert_eq!(
        received[3].header("webhook-id"),
        received[0].header("webhook-id")
    );
    serving.stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_is_sent_at_once_when_somebody_asks() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::at(dir.path()).await;
    let receiver = receiver(&[Answer::Status(500)]).await;
    let (id, _) = rig.subscribe(&receiver.url(), &KINDS).await;
    let _serving = rig.serve();
    let position = rig.happen().await;
    rig.until(&id, |all| all.open.is_some()).await;
    let caller = Caller::user("tester");
    let resend = rig.node.commands.resend(&id, at(position, 1), &caller);
    resend.await.unwrap();
    rig.until(&id, |all| all.through == Some(at(position, 2)))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_killed_and_started_again_loses_nothing_and_repeats_ids_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::at(dir.path()).await;
    let receiver = receiver(&[]).await;
    let (id, _) = rig.subscribe(&receiver.url(), &KINDS).await;
    let mut expected = Vec::new();
    for round in 0..4 {
        let serving = rig.serve();
        for _ in 0..10 {
            let position = rig.happen().await;
            expected.extend([1, 2].map(|index| at(position, index).to_string()));
        }
        // In the midst of its deliveries, wherever it just is.
        came(&receiver, expected.len() - 12).await;
        serving.task.abort();
        drop(serving);
        if round == 3 {
            break;
        }
        // Another process, whose leases and caches are its own.
        rig.node = node(dir.path()).await;
    }
    let _serving = rig.serve();
    let last: Cursor = expected.last().unwrap().parse().unwrap();
    rig.until(&id, |all| all.through == Some(last)).await;
    let mut first_ids = BTreeMap::new();
    let mut once = Vec::new();
    for one in receiver.received() {
        let id = one.header("webhook-id").to_owned();
        let known = first_ids.entry(one.sequence()).or_insert_with(|| {
            once.push(one.sequence());
            id.clone()
        });
        assert_eq!(*known, id);
    }
    assert_eq!(once, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_not_allowed_is_not_connected_by_number_or_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (mut rig, receiver) = (Rig::at(dir.path()).await, receiver(&[]).await);
    rig.allowed = "";
    let port = receiver.at.port();
    let named = format!("http://{}:{port}/in?token=t", rig.world.host("vpn"));
    let _serving = rig.serve();
    let mut ids = Vec::new();
    for url in [
        receiver.url(),
        named,
        format!("http://127.1:{port}/in?token=t"),
    ] {
        ids.push(rig.subscribe(&url, &["scan.started"]).await.0);
    }
    let position = rig.happen().await;
    for id in ids {
        let refused = rig.until(&id, |all| all.open.is_some()).await;
        let row = &refused.rows[&at(position, 2)];
        let reason = row.reason.as_deref().unwrap();
        assert!(
            reason.contains("egress policy") && reason.contains("loopback"),
            "{reason}"
        );
    }
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_makes_no_other_one_wait() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::at(dir.path()).await;
    let (slow, quick) = (receiver(&[Answer::Hang]).await, receiver(&[]).await);
    let (stuck, _) = rig.subscribe(&slow.url(), &KINDS).await;
    let (id, _) = rig.subscribe(&quick.url(), &KINDS).await;
    let _serving = rig.serve();
    let mut last = Position(0);
    for _ in 0..20 {
        last = rig.happen().await;
    }
    rig.until(&id, |all| all.through == Some(at(last, 2))).await;
    came(&slow, 1).await;
    let stuck = rig.node.commands.deliveries(&stuck).await.unwrap();
    assert_eq!((stuck.through, slow.received().len()), (None, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_deliver_the_first_is_relieved_and_the_order_holds() {
    let (dir, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (rig, receiver) = (Rig::at(dir.path()).await, receiver(&[]).await);
    // Leases of its own: nothing but the stream stands between the two.
    let other = Arc::into_inner(node(dir.path()).await).unwrap();
    let other = Arc::new(Node {
        leases: Arc::new(LeaseFile::open(&aside.path().join("leases.db")).unwrap()),
        holder: "another".to_owned(),
        ..other
    });
    let (id, _) = rig.subscribe(&receiver.url(), &KINDS).await;
    let first = rig.serve();
    let position = rig.happen().await;
    rig.until(&id, |all| all.through == Some(at(position, 2)))
        .await;
    let _second = rig.serve_with(other);
    let is_taken = |holder: &str| holder.starts_with("another ");
    rig.until(&id, |all| all.holder.as_deref().is_some_and(is_taken))
        .await;
    let mut last = Position(0);
    for _ in 0..10 {
        last = rig.happen().await;
    }
    rig.until(&id, |all| all.through == Some(at(last, 2))).await;
    first.stop.cancel();
    let received = receiver.received();
    // What the first had begun when it was relieved may come twice; without a fence all of it would.
    assert!(received.len() < 32, "{}", received.len());
    let mut known = BTreeSet::new();
    let is_new = |one: &&Received| known.insert(one.header("webhook-id").to_owned());
    let once = received.iter().filter(is_new);
    let once: Vec<Cursor> = once.map(|one| one.sequence().parse().unwrap()).collect();
    assert_eq!(once.len(), 22);
    assert!(once.is_sorted(), "{once:?}");
}
