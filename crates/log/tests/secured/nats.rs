//! NATS: password, token, nkey, `.creds` of an operator, TLS, certificates of both sides.

use std::path::Path;

use mirage_log::jetstream::{Credentials, JetStream, Options, Tls};
use mirage_log::{EventLog, OpenError};
use mirage_servers::{
    Authority, Identity, Nats, NatsOptions, Operator, nats_with, overhear, whole,
};

const SECRET: &str = "correct-horse-9";
const WRONG: &str = "wrong-battery-9";

fn options(nats: &Nats) -> Options {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Options {
        servers: vec![nats.url()],
        bytes_max: 64 << 20,
        monitors: vec![nats.monitor(0)],
        ..Options::default()
    }
}

fn by(nats: &Nats, credentials: Credentials) -> Options {
    Options {
        credentials,
        ..options(nats)
    }
}

fn password(text: &str) -> Credentials {
    Credentials::Password {
        user: "mirage".into(),
        password: text.into(),
    }
}

async fn opens(options: Options) -> JetStream {
    let log = match JetStream::open(options.clone()).await {
        Ok(log) => log,
        Err(error) => panic!("{options:?}: {}", whole(&error)),
    };
    log.head().await.unwrap();
    log
}

/// Refused with all of these words, and without any of the secrets.
async fn refused(options: Options, words: &[&str]) -> OpenError {
    let Err(error) = JetStream::open(options.clone()).await else {
        panic!("it was opened: {options:?}");
    };
    let said = error.to_string();
    for word in words {
        assert!(
            said.contains(word),
            "`{word}` is missing: {}",
            whole(&error)
        );
    }
    let shown = format!("{} {options:?}", whole(&error));
    assert!(!shown.contains(SECRET) && !shown.contains(WRONG), "{shown}");
    error
}

#[tokio::test]
async fn a_password_opens_and_a_wrong_one_says_what_to_correct() {
    let heard = overhear();
    let locked = NatsOptions::default().with_password("mirage", SECRET);
    let Some(nats) = nats_with(1, &locked) else {
        return;
    };
    let log = opens(by(&nats, password(SECRET))).await;
    refused(options(&nats), &["say who this is", "`log.user`"]).await;
    refused(by(&nats, password(WRONG)), &["`log.password`"]).await;
    // It shows them again to a server that was started anew.
    nats.node(0).restart();
    log.head().await.unwrap();
    heard.holds_no(SECRET);
    heard.holds_no(WRONG);
}

#[tokio::test]
async fn a_token_opens_and_a_wrong_one_says_what_to_correct() {
    let heard = overhear();
    let Some(nats) = nats_with(1, &NatsOptions::default().with_token(SECRET)) else {
        return;
    };
    opens(by(&nats, Credentials::Token(SECRET.into()))).await;
    refused(options(&nats), &["`log.token`"]).await;
    let wrong = by(&nats, Credentials::Token(WRONG.into()));
    refused(wrong, &["correct `log.token`"]).await;
    heard.holds_no(SECRET);
    heard.holds_no(WRONG);
}

#[tokio::test]
async fn an_nkey_opens_and_another_or_none_at_all_says_what_to_correct() {
    let heard = overhear();
    let (own, other) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    let locked = NatsOptions::default().with_nkey(&own.public_key());
    let Some(nats) = nats_with(1, &locked) else {
        return;
    };
    let (own, other) = (own.seed().unwrap(), other.seed().unwrap());
    opens(by(&nats, Credentials::Nkey(own.clone()))).await;
    refused(options(&nats), &["`log.nkey`"]).await;
    for wrong in [other.as_str(), WRONG] {
        let wrong = by(&nats, Credentials::Nkey(wrong.into()));
        let error = refused(wrong, &["correct `log.nkey`"]).await;
        assert!(!whole(&error).contains(&other));
    }
    for secret in [&own, &other, WRONG] {
        heard.holds_no(secret);
    }
}

#[tokio::test]
async fn a_creds_file_opens_and_that_of_another_operator_says_what_to_correct() {
    let heard = overhear();
    let (own, other) = (Operator::new(), Operator::new());
    let Some(nats) = nats_with(1, &NatsOptions::default().with_operator(&own)) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        Credentials::File(path)
    };
    opens(by(&nats, file("own", own.creds()))).await;
    refused(options(&nats), &["`log.credentials`"]).await;
    let of_another = by(&nats, file("other", other.creds()));
    refused(of_another, &["another file in `log.credentials`"]).await;
    let half = own.creds().replace(own.seed(), SECRET);
    for unfit in [SECRET, "", &half] {
        let unfit = by(&nats, file("unfit", unfit));
        refused(unfit, &["`log.credentials`"]).await;
    }
    let absent = Credentials::File(dir.path().join("absent"));
    let error = refused(by(&nats, absent), &["`log.credentials` names", "absent"]).await;
    assert!(matches!(error, OpenError::File { .. }), "{error:?}");
    for secret in [own.seed(), other.seed(), SECRET] {
        heard.holds_no(secret);
    }
}

fn trusting(nats: &Nats, authority: &Path, identity: Option<&Identity>) -> Options {
    let tls = Tls {
        authority: Some(authority.to_owned()),
        identity: identity.map(|own| (own.certificate.clone(), own.key.clone())),
    };
    Options {
        tls,
        ..by(nats, password(SECRET))
    }
}

#[tokio::test]
async fn a_server_behind_tls_is_trusted_by_its_authority_and_its_name() {
    let heard = overhear();
    let (authority, other) = (Authority::new(), Authority::new());
    let locked = NatsOptions::default()
        .with_password("mirage", SECRET)
        .with_tls(&authority.server(), None)
        .with_tls_monitor(&authority.file());
    let Some(nats) = nats_with(1, &locked) else {
        return;
    };
    let log = opens(trusting(&nats, &authority.file(), None)).await;
    let by_name = format!("tls://localhost:{}", nats.node(0).port());
    opens(Options {
        servers: vec![by_name.clone()],
        ..trusting(&nats, &authority.file(), None)
    })
    .await;
    // In the clear, and without a file: the server asks for TLS, and nobody knows it.
    for options in [
        by(&nats, password(SECRET)),
        trusting(&nats, &other.file(), None),
        Options {
            servers: vec![by_name],
            ..by(&nats, password(SECRET))
        },
    ] {
        let error = refused(options, &["no TLS", "`log.ca`"]).await;
        assert!(matches!(error, OpenError::Tls { .. }), "{error:?}");
    }
    let absent = trusting(&nats, Path::new("absent.pem"), None);
    refused(absent, &["`log.ca` names absent.pem"]).await;
    nats.node(0).restart();
    log.head().await.unwrap();
    heard.holds_no(SECRET);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    overhear();
    let authority = Authority::new();
    let elsewhere = authority.signed("elsewhere", &["elsewhere.example"]);
    let locked = NatsOptions::default().with_tls(&elsewhere, None);
    let Some(nats) = nats_with(1, &locked) else {
        return;
    };
    let options = trusting(&nats, &authority.file(), None);
    refused(options, &["for another name", "`log.servers`"]).await;
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_to_a_server_that_lost_its_tls() {
    overhear();
    let plain = NatsOptions::default().with_password("mirage", SECRET);
    let Some(nats) = nats_with(1, &plain) else {
        return;
    };
    let authority = Authority::new();
    let trusting = trusting(&nats, &authority.file(), None);
    refused(trusting, &["does not speak TLS", "`log.servers`"]).await;
    let by_scheme = Options {
        servers: vec![nats.url().replace("nats://", "tls://")],
        ..by(&nats, password(SECRET))
    };
    refused(by_scheme, &["does not speak TLS"]).await;
}

#[tokio::test]
async fn a_server_that_wants_certificates_takes_those_of_its_authority_alone() {
    let heard = overhear();
    let (authority, other) = (Authority::new(), Authority::new());
    let locked = NatsOptions::default()
        .with_password("mirage", SECRET)
        .with_tls(&authority.server(), Some(&authority.file()));
    let Some(nats) = nats_with(1, &locked) else {
        return;
    };
    let own = authority.signed("mirage", &["mirage"]);
    let ca = authority.file();
    opens(trusting(&nats, &ca, Some(&own))).await;
    let stranger = other.signed("stranger", &["mirage"]);
    for identity in [None, Some(&stranger)] {
        let words = ["`log.certificate`", "`log.key`"];
        refused(trusting(&nats, &ca, identity), &words).await;
    }
    let no_key = Identity {
        key: "absent.key".into(),
        ..own.clone()
    };
    let no_key = trusting(&nats, &ca, Some(&no_key));
    refused(no_key, &["`log.key` names absent.key"]).await;
    let key = std::fs::read_to_string(&own.key).unwrap();
    heard.holds_no(SECRET);
    heard.holds_no(key.lines().nth(1).unwrap());
}
