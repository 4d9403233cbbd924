//! What answers of registries lead to, and what hostile ones do not.

use serde_json::{Value, json};

use super::contacts::Contacts;
use super::report::SERVERS_MAX;
use super::*;
use crate::collectors::testing::{Outcome, Tape, given, replay};

const SERVER: &str = "https://rdap.example.test/v1";

/// The bootstrap files with one server, and its answer at a path.
fn tape(path: &str, status: u16, body: &str) -> Tape {
    bootstrap().http(&format!("{SERVER}{path}"), status, &[], body)
}

fn bootstrap() -> Tape {
    let file = |entries: &[&str]| {
        json!({"version": "1.0", "services": [[entries, [format!("{SERVER}/")]]]}).to_string()
    };
    Tape::new()
        .http(
            "https://data.iana.org/rdap/dns.json",
            200,
            &[],
            file(&["com"]),
        )
        .http(
            "https://data.iana.org/rdap/ipv4.json",
            200,
            &[],
            file(&["192.0.2.0/24"]),
        )
        .http(
            "https://data.iana.org/rdap/ipv6.json",
            200,
            &[],
            file(&["2001:db8::/32"]),
        )
        .http(
            "https://data.iana.org/rdap/asn.json",
            200,
            &[],
            file(&["64496-64511"]),
        )
}

async fn of_domain(body: Value) -> Outcome {
    let tape = tape("/domain/example.com", 200, &body.to_string());
    replay(&Rdap, &["example.com"], tape).await
}

fn contact(roles: &[&str], properties: &[(&str, &str)], nested: Value) -> Value {
    let properties = properties
        .iter()
        .map(|(name, value)| json!([name, {}, "text", value]));
    json!({"objectClassName": "entity", "roles": roles, "vcardArray": ["vcard", Vec::from_iter(properties)],
        "publicIds": [{"type": "IANA Registrar ID", "identifier": "292"}], "entities": nested})
}

fn domain() -> Value {
    json!({"objectClassName": "domain", "ldhName": "EXAMPLE.COM", "handle": "7_DOMAIN", "status": ["active", 7],
        "events": [{"eventAction": "registration", "eventDate": "1995-08-14T04:00:00Z"},
            {"eventAction": "expiration", "eventDate": "2031-08-13T06:00:00+02:00"},
            {"eventAction": "last changed", "eventDate": "yesterday"}, 7],
        "secureDNS": {"delegationSigned": true},
        "nameservers": [{"ldhName": "NS1.Example.NET."}, {"ldhName": "*"}, {}, 7]})
}

#[tokio::test]
async fn a_domain_has_holders_dates_and_name_servers() {
    let mut body = domain();
    body["entities"] = json!([
        contact(
            &["registrant"],
            &[
                ("kind", "individual"),
                ("fn", "Ada Lovelace"),
                ("org", "Example Ltd"),
                ("email", "ada@example.com")
            ],
            json!([])
        ),
        contact(
            &["technical", "administrative"],
            &[
                ("kind", "group"),
                ("fn", "NOC"),
                ("org", "Ops AG"),
                ("email", "noc@example.com")
            ],
            json!([])
        ),
        contact(
            &["registrar"],
            &[("fn", "Registrar, Inc.")],
            json!([contact(
                &["abuse"],
                &[
                    ("fn", "Abuse"),
                    ("kind", "group"),
                    ("email", "abuse@registrar.example")
                ],
                json!([])
            )])
        ),
        contact(
            &["curious"],
            &[("fn", "Nobody")],
            json!([contact(&["registrant"], &[("fn", "No One")], json!([]))])
        ),
    ]);
    let outcome = of_domain(body).await;
    outcome
        .attribute("example.com", "registered", "1995-08-14T04:00:00Z")
        .attribute("example.com", "expires", "2031-08-13T04:00:00Z")
        .attribute("example.com", "status", json!(["active"]))
        .attribute("example.com", "dnssec", true)
        .attribute("example.com", "handle", "7_DOMAIN")
        .attribute("organization:registrar, inc.", "iana_id", "292")
        .attribute(
            "organization:ops ag",
            "roles",
            json!(["administrative", "technical"]),
        )
        .attribute(
            "email:abuse@registrar.example",
            "roles",
            json!(["registrar abuse"]),
        )
        .claims(&[
            "domain:example.com about domain:example.com",
            "domain:example.com served-by domain:ns1.example.net",
            "domain:example.com registered-to organization:example ltd",
            "domain:example.com registered-to person:ada lovelace",
            "domain:example.com registered-to email:ada@example.com",
            "domain:example.com registered-through organization:registrar, inc.",
            "domain:example.com mentions organization:ops ag",
            "domain:example.com mentions email:noc@example.com",
            "domain:example.com mentions email:abuse@registrar.example",
        ]);
}

#[tokio::test]
async fn what_is_redacted_is_named_and_never_a_value() {
    let mut body = domain();
    body["nameservers"] = json!(null);
    body["entities"] = json!([contact(
        &["registrant"],
        &[
            ("fn", "REDACTED FOR PRIVACY"),
            ("org", "Example Ltd"),
            ("email", "3fa9@proxy.example")
        ],
        json!([])
    )]);
    body["redacted"] = json!([
        {"name": {"description": "Registrant Email"}, "method": "replacementValue",
         "postPath": "$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]=='email')]"},
        {"name": {"type": "Registrant Name"}, "method": "emptyValue",
         "postPath": "$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]=='fn')][3]"}]);
    let outcome = of_domain(body).await;
    outcome
        .attribute(
            "example.com",
            "redacted",
            json!(["Registrant Email", "Registrant Name"]),
        )
        .finds(&["example.com", "organization:example ltd"]);
}

#[tokio::test]
async fn a_registry_without_contacts_refers_to_the_registrar() {
    let link = |href: &str| json!([{"rel": "self", "href": "x"}, {"rel": "related", "type": "application/rdap+json", "href": href}]);
    let mut thin = domain();
    thin["links"] = link("https://rdap.registrar.test/domain/EXAMPLE.COM");
    thin["nameservers"] = json!([]);
    let full = json!({"objectClassName": "domain", "ldhName": "example.com", "links": link("https://a.test/third"),
        "entities": [contact(&["registrant"], &[("org", "Example Ltd")], json!([]))]});
    let path = "/domain/example.com";
    let known = tape(path, 200, &thin.to_string()).http(
        "https://rdap.registrar.test/domain/EXAMPLE.COM",
        200,
        &[],
        full.to_string(),
    );
    replay(&Rdap, &["example.com"], known)
        .await
        .finds(&["example.com", "organization:example ltd"]);
    let silent = tape(path, 200, &thin.to_string());
    let outcome = replay(&Rdap, &["example.com"], silent).await;
    outcome
        .remarks("server-unavailable")
        .finds(&["example.com"]);
    for href in ["file:///etc/passwd", "gopher://a.test/", "", "//"] {
        thin["links"] = link(href);
        of_domain(thin.clone()).await.finds(&["example.com"]);
    }
}

#[tokio::test]
async fn an_address_is_part_of_a_block_that_is_registered() {
    let body = json!({"objectClassName": "ip network", "startAddress": "192.0.2.0", "endAddress": "192.0.2.130",
        "name": "EXAMPLE-NET", "country": "DE", "handle": "192.0.2.0 - 192.0.2.130", "status": ["active"],
        "entities": [contact(&["registrant"], &[("kind", "org"), ("fn", "Example Ltd")],
            json!([contact(&["abuse"], &[("kind", "group"), ("email", "abuse@example.com")], json!([]))]))]});
    let tape = tape("/ip/192.0.2.129", 200, &body.to_string());
    let (ip, block) = ("ip:192.0.2.129", "netblock:192.0.2.128/31");
    let outcome = replay(&Rdap, &[ip], tape).await;
    outcome
        .attribute(block, "name", "EXAMPLE-NET")
        .attribute(block, "range", "192.0.2.0 - 192.0.2.130")
        .attribute(
            "email:abuse@example.com",
            "roles",
            json!(["registrant abuse"]),
        )
        .claims(&[
            &format!("{ip} part-of {block}"),
            &format!("{block} registered-to organization:example ltd"),
            &format!("{block} registered-to email:abuse@example.com"),
        ]);
}

#[tokio::test]
async fn a_system_is_registered_too() {
    let body = json!({"objectClassName": "autnum", "startAutnum": 64500, "endAutnum": 64501, "name": "EXAMPLE-AS",
        "entities": [contact(&["registrant"], &[("kind", "org"), ("fn", "Example Ltd")], json!([]))]});
    let tape = tape("/autnum/64500", 200, &body.to_string());
    let outcome = replay(&Rdap, &["autonomous-system:AS64500"], tape).await;
    outcome
        .attribute("autonomous-system:AS64500", "name", "EXAMPLE-AS")
        .claims(&[
            "autonomous-system:AS64500 about autonomous-system:AS64500",
            "autonomous-system:AS64500 registered-to organization:example ltd",
        ]);
}

#[tokio::test]
async fn only_what_is_registered_and_has_a_server_is_asked_about() {
    for name in ["www.example.com", "com", "a.b.example.com"] {
        replay(&Rdap, &[name], Tape::new()).await.finds(&[]);
    }
    for input in [
        "example.org",
        "ip:198.51.100.1",
        "ip:2001:db9::1",
        "autonomous-system:AS1",
    ] {
        replay(&Rdap, &[input], bootstrap()).await.finds(&[]);
    }
    let tape = Tape::new().http("http://boot.test/dns.json", 200, &[], r#"{"services":[]}"#);
    let given = given().setting("bootstrap", "http://boot.test");
    given.replay(&Rdap, &["example.com"], tape).await.finds(&[]);
}

#[tokio::test]
async fn a_name_that_nobody_registered_is_remarked() {
    let tape = tape("/domain/example.com", 404, "<html>");
    let outcome = replay(&Rdap, &["example.com"], tape).await;
    outcome.remarks("not-registered").finds(&[]);
}

#[tokio::test]
async fn a_server_in_trouble_never_found_nothing() {
    let path = "/domain/example.com";
    let other = json!({"objectClassName": "domain", "ldhName": "example.net"}).to_string();
    let deep = format!(
        r#"{{"objectClassName":"domain","entities":{}"#,
        "[".repeat(100_000)
    );
    let large = format!(r#"{{"x":"{}"}}"#, "x".repeat(BODY_BYTES_MAX));
    for (status, body, reason) in [
        (429, "", "limited"),
        (500, "", "unavailable"),
        (403, "", "unavailable"),
        (200, "", "malformed"),
        (200, "<html>", "malformed"),
        (200, "[]", "malformed"),
        (
            200,
            r#"{"objectClassName":"entity","ldhName":"example.com"}"#,
            "malformed",
        ),
        (200, &*other, "malformed"),
        (200, &*deep, "malformed"),
        (200, &*large, "malformed"),
    ] {
        let outcome = replay(&Rdap, &["example.com"], tape(path, status, body)).await;
        outcome.fails(reason).finds(&[]);
    }
    replay(&Rdap, &["example.com"], bootstrap())
        .await
        .fails("unavailable")
        .finds(&[]);
    let elsewhere = r#"{"objectClassName":"ip network","startAddress":"198.51.100.0","endAddress":"198.51.100.255"}"#;
    let outcome = replay(
        &Rdap,
        &["ip:192.0.2.1"],
        tape("/ip/192.0.2.1", 200, elsewhere),
    )
    .await;
    outcome.fails("malformed").finds(&[]);
}

#[tokio::test]
async fn a_bootstrap_file_that_cannot_be_read_is_no_answer() {
    for (status, body, reason) in [
        (503, "", "unavailable"),
        (200, "{", "malformed"),
        (200, "{\"services\":7}", "malformed"),
    ] {
        let tape = Tape::new().http("https://data.iana.org/rdap/dns.json", status, &[], body);
        let outcome = replay(&Rdap, &["example.com"], tape).await;
        outcome.fails(reason).finds(&[]);
    }
}

#[tokio::test]
async fn caps_are_reached_and_told() {
    let mut nested = json!([]);
    for level in 0..20 {
        let email = format!("level{level}@example.com");
        nested = json!([contact(
            &["abuse"],
            &[("kind", "group"), ("email", &email)],
            nested
        )]);
    }
    let mut body = domain();
    body["entities"] = nested;
    let emails = [
        "email:level19@example.com",
        "email:level18@example.com",
        "email:level17@example.com",
    ];
    let outcome = of_domain(body).await.remarks("cap-reached");
    outcome.finds(&[&["example.com", "ns1.example.net"][..], &emails].concat());
    let many = (0..1000).map(|i| {
        contact(
            &["abuse"],
            &[("email", &format!("a{i}@example.com"))],
            json!([]),
        )
    });
    let servers = (0..1000).map(|i| json!({"ldhName": format!("ns{i}.example.com")}));
    let mut body = domain();
    body["entities"] = Vec::from_iter(many).into();
    body["nameservers"] = Vec::from_iter(servers).into();
    let outcome = of_domain(body).await.remarks("cap-reached");
    assert_eq!(outcome.findings().len(), 1 + 64 + SERVERS_MAX);
}

#[tokio::test]
async fn members_of_the_wrong_type_are_not_there() {
    for wrong in [
        json!(null),
        json!(7),
        json!("x"),
        json!([[[]]]),
        json!({"a": [1]}),
        json!([7, "x", null, {}]),
    ] {
        let mut body = json!({"objectClassName": "domain", "ldhName": "example.com"});
        for member in [
            "entities",
            "nameservers",
            "events",
            "status",
            "secureDNS",
            "redacted",
            "links",
            "handle",
            "name",
        ] {
            body[member] = wrong.clone();
        }
        body["entities"] = json!([{"roles": wrong, "vcardArray": wrong}, {"roles": ["registrant"], "vcardArray": wrong,
            "entities": wrong}]);
        of_domain(body).await.finds(&["example.com"]);
    }
}

fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    let words = prop::sample::select(vec![
        "vcard",
        "fn",
        "email",
        "registrant",
        "registrar",
        "a@b.example",
        "'",
        "entities",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        words.prop_map(Value::from)
    ];
    let names = prop::sample::select(vec![
        "entities",
        "roles",
        "vcardArray",
        "redacted",
        "prePath",
        "name",
        "events",
        "links",
    ]);
    leaf.prop_recursive(6, 64, 6, move |inner| {
        let object = prop::collection::vec((names.clone(), inner.clone()), 0..6);
        let object =
            object.prop_map(|all| all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect());
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            object.prop_map(Value::Object)
        ]
    })
}

proptest::proptest! {
    #[test]
    fn no_answer_makes_it_panic(body in any_json()) {
        let mut contacts = Contacts::of(Kind::Domain);
        contacts.read(&body, Digest::EMPTY);
        let _ = (contacts.claims().count(), referral(&body, ""), range(&body), redacted::names(&body).count());
    }
}
