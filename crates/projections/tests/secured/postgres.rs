//! PostgreSQL with `ssl=on`, a password, and certificates of its clients.

use std::path::PathBuf;

use mirage_projections::{Home, Postgres, PostgresOptions};
use mirage_servers::{
    Authority, Identity, Postgres as Server, PostgresLock, overhear, postgres_locked,
};

use super::{SECRET, WRONG, refused, says, view};

fn options(server: &Server, query: &str, ca_file: Option<PathBuf>) -> PostgresOptions {
    PostgresOptions {
        url: server.url().replace("//postgres@", "//mirage@") + query,
        password: Some(SECRET.to_owned()),
        ca_file,
        ..PostgresOptions::default()
    }
}

fn home(options: &PostgresOptions) -> Postgres {
    Postgres::new(options).unwrap()
}

#[test]
fn a_server_behind_tls_is_trusted_by_its_authority_and_its_name() {
    let heard = overhear();
    let (authority, other) = (Authority::new(), Authority::new());
    let lock = PostgresLock {
        authority: &authority,
        password: SECRET,
        wants_certificate: false,
    };
    let Some(server) = postgres_locked(&lock) else {
        return;
    };
    let right = options(&server, "?sslmode=require", Some(authority.file()));
    let opened = home(&right);
    drop(opened.open(view("catalog")).unwrap());
    opened.ask(view("catalog")).unwrap();

    let with = |password: Option<&str>| PostgresOptions {
        password: password.map(str::to_owned),
        ..right.clone()
    };
    let refuses = |options: PostgresOptions, words: &[&str]| {
        assert!(!format!("{options:?}").contains(WRONG));
        refused(&home(&options), "catalog", words);
    };
    refuses(with(Some(WRONG)), &["`catalog.password`"]);
    refuses(with(None), &["set `catalog.password`"]);
    for ca in [None, Some(other.file())] {
        refuses(options(&server, "", ca), &["no TLS", "`catalog.ca`"]);
    }
    let in_the_clear = options(&server, "?sslmode=disable", None);
    refuses(in_the_clear, &["wants TLS", "sslmode=require"]);
    let mut elsewhere = right.clone();
    let port = server.url().replace("postgres://postgres@127.0.0.1:", "");
    let (port, database) = port.split_once('/').unwrap();
    elsewhere.url = format!(
        "host=elsewhere.example hostaddr=127.0.0.1 port={port} user=mirage dbname={database}"
    );
    refuses(elsewhere, &["another name", "`catalog.url`"]);
    let mut absent = right.clone();
    absent.ca_file = Some("absent.pem".into());
    let error = Postgres::new(&absent).err().unwrap();
    says(&error, &["`catalog.ca` names absent.pem"]);
    heard.holds_no(SECRET);
    heard.holds_no(WRONG);
}

#[test]
fn a_server_without_tls_gets_no_password() {
    overhear();
    let Some(server) = mirage_servers::postgres() else {
        return;
    };
    let required = options(&server, "?sslmode=require", None);
    let words = ["does not speak TLS", "`catalog.url`"];
    refused(&home(&required), "catalog", &words);
    let authority = Authority::new();
    let trusting = options(&server, "", Some(authority.file()));
    refused(&home(&trusting), "catalog", &words);
}

#[test]
fn a_server_that_wants_certificates_takes_those_of_its_authority_alone() {
    let heard = overhear();
    let (authority, other) = (Authority::new(), Authority::new());
    let lock = PostgresLock {
        authority: &authority,
        password: SECRET,
        wants_certificate: true,
    };
    let Some(server) = postgres_locked(&lock) else {
        return;
    };
    let showing = |identity: Option<&Identity>| PostgresOptions {
        certificate: identity.map(|own| (own.certificate.clone(), own.key.clone())),
        ..options(&server, "", Some(authority.file()))
    };
    let own = authority.signed("mirage", &["mirage"]);
    drop(home(&showing(Some(&own))).open(view("catalog")).unwrap());
    let stranger = other.signed("stranger", &["mirage"]);
    for identity in [None, Some(&stranger)] {
        let words = ["`catalog.certificate`", "`catalog.key`"];
        refused(&home(&showing(identity)), "catalog", &words);
    }
    let no_key = Identity {
        key: "absent.key".into(),
        ..own
    };
    let error = Postgres::new(&showing(Some(&no_key))).err().unwrap();
    says(&error, &["`catalog.key` names absent.key"]);
    heard.holds_no(SECRET);
}
