//! Neo4j with TLS required for Bolt, a password, and certificates of its clients.

use std::path::Path;

use mirage_projections::{Home, Neo4j, Neo4jOptions};
use mirage_servers::{Authority, Neo4jLock, neo4j_locked, overhear};

use super::meilisearch::serve;
use super::{SECRET, WRONG, refused, view};

fn home(options: &Neo4jOptions) -> Neo4j {
    assert!(!format!("{options:?}").contains(WRONG));
    Neo4j::at(options).unwrap()
}

fn at(bolt: &str, password: &str, authority: &Path) -> Neo4jOptions {
    Neo4jOptions::at(bolt)
        .with_user("neo4j", password)
        .with_authority(authority)
}

#[test]
fn a_server_behind_tls_is_trusted_by_its_authority_and_its_name() {
    let heard = overhear();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (authority, other) = (Authority::new(), Authority::new());
    let lock = Neo4jLock {
        authority: &authority,
        password: SECRET,
        wants_certificate: false,
    };
    let Some(server) = neo4j_locked(&lock) else {
        return;
    };
    let (bolt, ca) = (server.bolt(), authority.file());
    let opened = home(&at(bolt, SECRET, &ca));
    drop(opened.open(view("graph")).unwrap());
    opened.ask(view("graph")).unwrap();

    let wrong = at(bolt, WRONG, &ca);
    refused(&home(&wrong), "graph", &["`graph.password`"]);
    let nobody = Neo4jOptions::at(bolt).with_authority(&ca);
    refused(&home(&nobody), "graph", &["`graph.user`"]);
    let known_to_none = Neo4jOptions::at(bolt).with_user("neo4j", SECRET);
    let stranger = at(bolt, SECRET, &other.file());
    for options in [known_to_none, stranger] {
        refused(&home(&options), "graph", &["no TLS", "`graph.ca`"]);
    }
    // Which server it is does not matter: its certificate comes first.
    let named = authority.signed("elsewhere", &["elsewhere.example"]);
    let elsewhere = format!("bolt+s://localhost:{}", serve(Some(&named)));
    let elsewhere = at(&elsewhere, SECRET, &ca);
    refused(&home(&elsewhere), "graph", &["another name", "`graph.url`"]);
    let clear = bolt.replace("bolt+s://", "bolt://");
    let clear = Neo4jOptions::at(clear).with_user("neo4j", SECRET);
    refused(&home(&clear), "graph", &["begins with bolt+s://"]);
    heard.holds_no(SECRET);
    heard.holds_no(WRONG);
}

#[test]
fn a_server_that_wants_certificates_takes_those_of_its_authority_alone() {
    let heard = overhear();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (authority, other) = (Authority::new(), Authority::new());
    let lock = Neo4jLock {
        authority: &authority,
        password: SECRET,
        wants_certificate: true,
    };
    let Some(server) = neo4j_locked(&lock) else {
        return;
    };
    let right = at(server.bolt(), SECRET, &authority.file());
    let own = authority.signed("mirage", &["mirage"]);
    let showing = right.clone().with_identity(&own.certificate, &own.key);
    drop(home(&showing).open(view("graph")).unwrap());
    let stranger = other.signed("stranger", &["mirage"]);
    let stranger = right
        .clone()
        .with_identity(&stranger.certificate, &stranger.key);
    for options in [right, stranger] {
        refused(&home(&options), "graph", &["`graph.certificate`"]);
    }
    heard.holds_no(SECRET);
}
