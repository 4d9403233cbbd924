//! What is refused at the start, and what the refusal says.

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use mirage_servers::{Nats, NatsOptions, nats_with, whole};

use super::world::{options, shared};
use crate::error::Damage;
use crate::jetstream::{Credentials, JetStream, Options};
use crate::{EventLog, OpenError, ReadError};

async fn refused(options: &Options) -> OpenError {
    match JetStream::open(options.clone()).await {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

async fn context(nats: &Nats) -> async_nats::jetstream::Context {
    async_nats::jetstream::new(async_nats::connect(nats.url()).await.unwrap())
}

#[tokio::test]
async fn a_server_that_does_not_sync_always_is_refused_or_called_volatile() {
    let unsynced = NatsOptions {
        sync_always: false,
        ..NatsOptions::default()
    };
    let Some(nats) = nats_with(1, &unsynced) else {
        return;
    };
    let mut options = options(&nats, 1);
    let error = refused(&options).await;
    assert!(matches!(error, OpenError::NotSynced { .. }), "{error}");
    assert!(error.to_string().contains("`sync_interval: always`"));
    options.allow_volatile = true;
    let log = JetStream::open(options).await.unwrap();
    assert!(!log.capabilities().is_durable);
}

#[tokio::test]
async fn a_node_that_does_not_say_whether_it_syncs_is_refused_by_its_name() {
    let Some(nats) = shared(1) else { return };
    let mut options = options(nats, 1);
    let said = options.monitors.clone();
    for monitors in [vec![], vec![nats.node(0).url().replace("nats", "http")]] {
        options.monitors = monitors;
        let error = refused(&options).await;
        assert!(matches!(error, OpenError::Unproven { .. }), "{error}");
        assert!(error.to_string().contains("monitors"), "{error}");
    }
    options.monitors = said;
    let capabilities = JetStream::open(options).await.unwrap().capabilities();
    assert!(capabilities.is_durable);
    let server = format!("nats-server {}", nats.version());
    assert_eq!((capabilities.replicas, capabilities.server), (1, server));
}

#[tokio::test]
async fn one_unproven_node_of_three_is_enough_to_refuse() {
    let Some(nats) = shared(3) else { return };
    let mut options = options(nats, 3);
    options.monitors.pop();
    let error = refused(&options).await;
    assert!(matches!(error, OpenError::Unproven { .. }), "{error}");
}

#[tokio::test]
async fn servers_without_room_for_the_log_say_which_of_two_numbers_to_change() {
    let Some(nats) = shared(1) else { return };
    let refused = refused(&Options {
        bytes_max: 1 << 50,
        ..options(nats, 1)
    })
    .await;
    let said = refused.to_string();
    assert!(
        said.contains("max_file_store") && said.contains("log.max_bytes"),
        "{said}"
    );
}

#[tokio::test]
async fn a_stream_that_forgets_is_refused_by_the_field_that_says_so() {
    let Some(nats) = shared(1) else { return };
    let options = options(nats, 1);
    let forgetful = Config {
        max_age: Duration::from_secs(3600),
        ..crate::jetstream::configure::wanted(&options)
    };
    context(nats).await.create_stream(forgetful).await.unwrap();
    let error = refused(&options).await;
    let text = error.to_string();
    assert!(
        matches!(error, OpenError::Configuration { field, .. } if field == "max_age"),
        "{text}"
    );
    assert!(
        text.contains("3600s") && text.contains("nats stream edit"),
        "{text}"
    );
}

#[tokio::test]
async fn a_server_without_jetstream_is_refused() {
    let bare = NatsOptions {
        jetstream: false,
        ..NatsOptions::default()
    };
    let Some(nats) = nats_with(1, &bare) else {
        return;
    };
    let error = refused(&options(&nats, 1)).await;
    assert!(matches!(error, OpenError::NoJetStream { .. }), "{error}");
}

#[tokio::test]
async fn names_that_would_be_routing_are_refused_before_anything_is_sent() {
    for name in ["a.b", "*", ">", "", "a b"] {
        let of = |name: &str, prefix: &str| Options {
            name: name.into(),
            prefix: prefix.into(),
            ..Options::default()
        };
        for options in [of(name, "mirage"), of("mirage", name)] {
            let error = refused(&options).await;
            assert!(matches!(error, OpenError::Option { .. }), "{error}");
        }
    }
}

#[tokio::test]
async fn credentials_are_used_and_told_nowhere() {
    let locked = NatsOptions {
        extra: "authorization { user: mirage, password: correct-horse }\n".into(),
        ..NatsOptions::default()
    };
    let Some(nats) = nats_with(1, &locked) else {
        return;
    };
    let mut options = options(&nats, 1);
    let none = refused(&options).await;
    assert!(matches!(none, OpenError::Refused { .. }), "{none}");
    assert!(none.to_string().contains("`log.user`"), "{none}");
    options.credentials = Credentials::Password {
        user: "mirage".into(),
        password: "wrong-battery".into(),
    };
    let wrong = refused(&options).await;
    assert!(!whole(&wrong).contains("battery"), "{}", whole(&wrong));
    options.credentials = Credentials::Password {
        user: "mirage".into(),
        password: "correct-horse".into(),
    };
    JetStream::open(options.clone()).await.unwrap();
    assert!(!format!("{options:?}").contains("horse"));
}

#[tokio::test]
async fn an_address_with_a_user_is_refused_without_being_shown() {
    for url in [
        "nats://mirage:hunter2@localhost",
        "tls://hunter2@localhost",
        "ws://localhost",
    ] {
        let options = Options {
            servers: vec![url.to_owned()],
            credentials: Credentials::Nkey("SUAhunter2".into()),
            ..Options::default()
        };
        let error = refused(&options).await;
        let text = format!("{} {options:?}", whole(&error));
        assert!(
            text.contains("`log.servers` must be nats://HOST:PORT"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
    for credentials in [
        Credentials::Token("hunter2".into()),
        Credentials::Nkey("hunter2".into()),
    ] {
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn a_log_that_ends_before_its_newest_mark_is_refused() {
    let Some(nats) = shared(1) else { return };
    let options = options(nats, 1);
    JetStream::open(options.clone()).await.unwrap();
    let mark = serde_json::json!({
        "position": 512, "log_hash": "00".repeat(32), "commit": "00".repeat(32),
    });
    let subject = format!("{}-marks.512", options.prefix);
    let context = context(nats).await;
    let sent = context.publish(subject, mark.to_string().into()).await;
    sent.unwrap().await.unwrap();
    match refused(&options).await {
        OpenError::Damaged(cause) => assert!(
            matches!(
                *cause,
                ReadError::Damaged {
                    what: Damage::BehindAnchor { .. },
                    ..
                }
            ),
            "{cause}"
        ),
        other => panic!("{other}"),
    }
}
