//! Files of other tools, whole, cut, hostile and made up, against what must come out.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use mirage_domain::id::Digest;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::collectors::testing::{Outcome, Tape, given};

const SCAN: &str = "SCAN:1";

fn importer(name: &str) -> &'static Importer {
    IMPORTERS.iter().find(|own| own.name() == name).unwrap()
}

/// An event in the form of 3.x.
fn event(uuid: &str, kind: &str, data: Value, parent: &str, module: &str) -> Value {
    let member = if data.is_object() {
        "data_json"
    } else {
        "data"
    };
    json!({
        "type": kind, "id": format!("{kind}:of-{uuid}"), "uuid": uuid, member: data,
        "parent": format!("of-{parent}"), "parent_uuid": parent, "module": module,
        "discovery_context": format!("{module} saw it"), "tags": ["in-scope"], "scope_distance": 0,
        "timestamp": 1_772_053_558.25,
    })
}

fn lines(events: &[Value]) -> Vec<u8> {
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    lines.join("\n").into_bytes()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

async fn imported(name: &str, bytes: &[u8]) -> Outcome {
    let root = format!("file:{}", Digest::of(bytes));
    let given = given().scope("company.example");
    let tape = Tape::new().file(bytes);
    given.replay(importer(name), &[&root], tape).await
}

fn checked(name: &str, bytes: &[u8]) -> Result<Checked, BadFile> {
    importer(name).check(&mut Cursor::new(bytes), Digest::of(bytes))
}

/// With `ROOT` for the file.
fn written(bytes: &[u8], claims: &[&str]) -> Vec<String> {
    let root = format!("file:{}", Digest::of(bytes));
    claims
        .iter()
        .map(|claim| claim.replace("ROOT", &root))
        .collect()
}

fn made(outcome: Outcome, bytes: &[u8], claims: &[&str]) -> Outcome {
    let claims = written(bytes, claims);
    let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
    outcome.claims(&claims)
}

fn small_scan() -> Vec<Value> {
    let scan = json!({"target": {"seeds": ["company.example"], "target": ["not a rule!"]}});
    let mut port = event(
        "p",
        "OPEN_TCP_PORT",
        json!("www.company.example:443"),
        "w",
        "portscan",
    );
    port["host"] = json!("www.company.example");
    port["port"] = json!(443);
    port["resolved_hosts"] = json!(["192.0.2.7", "edge.company.example"]);
    vec![
        event(SCAN, "SCAN", scan, SCAN, "SEED"),
        event("d", "DNS_NAME", json!("company.example"), SCAN, "SEED"),
        event("w", "DNS_NAME", json!("www.company.example"), "d", "crt"),
        event("a", "IP_ADDRESS", json!("192.0.2.7"), "w", "A"),
        port,
        event(
            "u",
            "URL",
            json!("https://www.company.example/"),
            "p",
            "httpx",
        ),
        event(
            "t",
            "TECHNOLOGY",
            json!({"technology": "cpe:/a:f5:nginx:1.27.0", "host": "x"}),
            "u",
            "nuclei",
        ),
        event(
            "f",
            "FINDING",
            json!({"name": "Old Thing", "url": "https://www.company.example/", "description": "=1"}),
            "u",
            "x",
        ),
    ]
}

const SMALL_SCAN: &[&str] = &[
    "ROOT about ROOT",
    "ROOT mentions domain:company.example",
    "domain:www.company.example subdomain-of domain:company.example",
    "domain:www.company.example resolves-to ip:192.0.2.7",
    "domain:www.company.example offers service:192.0.2.7:443/tcp",
    "service:192.0.2.7:443/tcp serves url:https://www.company.example/",
    "url:https://www.company.example/ uses software:nginx/1.27.0",
    "url:https://www.company.example/ shows exposure:bbot-old-thing url https://www.company.example/",
];

#[tokio::test]
async fn a_bbot_scan_hangs_together_whatever_the_order_and_packing() {
    let mut events = small_scan();
    for _ in 0..2 {
        let bytes = lines(&events);
        let outcome = made(imported("bbot", &bytes).await, &bytes, SMALL_SCAN);
        outcome
            .attribute("domain:www.company.example", "uuid", "w")
            .attribute("domain:www.company.example", "parent_uuid", "d")
            .attribute(
                "domain:www.company.example",
                "discovery_context",
                "crt saw it",
            );
        let bytes = packed(&bytes);
        made(imported("bbot", &bytes).await, &bytes, SMALL_SCAN);
        events.reverse();
    }
}

#[tokio::test]
async fn the_form_of_2_x_with_data_and_no_uuid_is_read_alike() {
    let events = [
        json!({"type": "SCAN", "id": "SCAN:1", "data": {"name": "x"}, "source": "SCAN:1"}),
        json!({"type": "DNS_NAME", "id": "DNS_NAME:1", "data": "company.example", "source": "SCAN:1"}),
        json!({"type": "VULNERABILITY", "id": "V:1", "parent": "DNS_NAME:1",
            "data": {"host": "company.example", "severity": "HIGH", "description": "Bad thing!"}}),
    ];
    let bytes = lines(&events);
    let claims = [
        "ROOT about ROOT",
        "ROOT mentions domain:company.example",
        "domain:company.example shows exposure:bbot-bad-thing domain company.example",
    ];
    made(imported("bbot", &bytes).await, &bytes, &claims);
}

#[tokio::test]
async fn a_parent_that_is_not_in_the_file_is_told_and_the_nearest_one_above_taken() {
    let mut below = event("b", "DNS_NAME", json!("b.company.example"), "gone", "x");
    below["parent_chain"] = json!(["d", "gone", "b"]);
    let alone = event("c", "DNS_NAME", json!("c.company.example"), "gone", "x");
    let bytes = lines(&[
        below,
        alone,
        event("d", "DNS_NAME", json!("company.example"), "nobody", "SEED"),
    ]);
    let claims = [
        "domain:b.company.example subdomain-of domain:company.example",
        "ROOT mentions domain:c.company.example",
        "ROOT mentions domain:company.example",
    ];
    let outcome = made(imported("bbot", &bytes).await, &bytes, &claims);
    outcome.remarks("parent-not-in-file");
}

#[tokio::test]
async fn parents_that_go_round_do_not_hang_the_import() {
    let bytes = lines(&[
        event("a", "DNS_NAME", json!("a.example"), "b", "x"),
        event("b", "DNS_NAME", json!("b.example"), "a", "x"),
        event("s", "DNS_NAME", json!("s.example"), "s", "x"),
    ]);
    let claims = [
        "ROOT mentions domain:a.example",
        "ROOT mentions domain:b.example",
        "ROOT mentions domain:s.example",
    ];
    let outcome = made(imported("bbot", &bytes).await, &bytes, &claims);
    outcome.remarks("parents-in-a-circle");
}

/// Every type of BBOT 2 and 3, with data of its form.
fn every_type() -> Vec<(&'static str, Value, &'static str)> {
    let url = "https://www.company.example/";
    vec![
        (
            "ASN",
            json!({"asn": 64500, "name": "X"}),
            "autonomous-system",
        ),
        (
            "AZURE_TENANT",
            json!({"tenant-names": ["x"], "domains": []}),
            "text",
        ),
        (
            "CODE_REPOSITORY",
            json!({"url": "https://git.example/a/b"}),
            "code-repository",
        ),
        ("DNS_NAME", json!("a.example"), "domain"),
        ("DNS_NAME_UNRESOLVED", json!("b.example"), "domain"),
        ("EMAIL_ADDRESS", json!("a@company.example"), "email"),
        ("FILESYSTEM", json!({"path": "/tmp/x"}), "text"),
        (
            "FINDING",
            json!({"host": "a.example", "description": "d"}),
            "exposure",
        ),
        (
            "GEOLOCATION",
            json!({"latitude": 1.5, "longitude": "2.5"}),
            "location",
        ),
        ("HASHED_PASSWORD", json!("5f4dcc3b"), "text"),
        ("HTTP_RESPONSE", json!({"url": url, "body": "long"}), "url"),
        ("IP_ADDRESS", json!("192.0.2.1"), "ip"),
        ("IP_RANGE", json!("192.0.2.0/24"), "netblock"),
        (
            "MOBILE_APP",
            json!({"id": "com.a.b", "url": "https://play.google.com/store/apps/details?id=com.a.b"}),
            "mobile-app",
        ),
        ("OPEN_TCP_PORT", json!("192.0.2.1:80"), "service"),
        ("OPEN_UDP_PORT", json!("[2001:db8::1]:53"), "service"),
        ("ORG_STUB", json!("company"), "organization"),
        ("PASSWORD", json!("hunter2"), "text"),
        (
            "PROTOCOL",
            json!({"host": "192.0.2.1", "port": 22, "protocol": "SSH"}),
            "service",
        ),
        (
            "RAW_DNS_RECORD",
            json!({"host": "a.example", "type": "TXT", "answer": "\"x\""}),
            "dns-record",
        ),
        ("RAW_TEXT", json!("some text"), "text"),
        ("SCAN", json!({"name": "x"}), "file"),
        (
            "SOCIAL",
            json!({"platform": "github", "profile_name": "Alice", "url": "x"}),
            "account",
        ),
        (
            "STORAGE_BUCKET",
            json!({"name": "assets", "url": "x"}),
            "text",
        ),
        (
            "TECHNOLOGY",
            json!({"technology": "nginx", "host": "a.example"}),
            "software",
        ),
        ("URL", json!(url), "url"),
        ("URL_HINT", json!("https://www.company.example/A~1"), "text"),
        ("URL_UNVERIFIED", json!(url), "url"),
        ("USERNAME", json!("alice"), "handle"),
        (
            "VHOST",
            json!({"vhost": "v.example", "host": "192.0.2.1"}),
            "domain",
        ),
        (
            "VULNERABILITY",
            json!({"host": "192.0.2.1", "description": "d", "severity": "HIGH"}),
            "exposure",
        ),
        (
            "WAF",
            json!({"waf": "A Wall", "host": "a.example", "url": url}),
            "software",
        ),
        ("WEBSCREENSHOT", json!({"url": url, "path": "x"}), "url"),
        ("WEB_PARAMETER", json!({"name": "q", "url": url}), "text"),
        ("NEW_IN_4", json!({"what": [1, null]}), "text"),
    ]
}

#[tokio::test]
async fn every_type_has_its_kind_and_none_is_dropped() {
    for (kind, data, wanted) in every_type() {
        let bytes = lines(&[event("e", kind, data, "SCAN:1", "x")]);
        let outcome = imported("bbot", &bytes).await;
        let kinds: Vec<_> = outcome.findings().iter().map(|f| f.kind.as_str()).collect();
        assert_eq!(kinds, [wanted], "{kind}");
        if wanted == "text" {
            outcome.remarks("kept-as-text");
        }
    }
}

#[tokio::test]
async fn a_secret_is_in_no_finding() {
    let mut bare = event("e", "PASSWORD", json!("hunter2"), "SCAN:1", "x");
    bare["discovery_context"] = json!("found password hunter2");
    let mut owned = bare.clone();
    owned["host"] = json!("a.example");
    for event in [bare, owned] {
        let outcome = imported("bbot", &lines(&[event])).await;
        let text = serde_json::to_string(outcome.findings()).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        assert!(
            !text.contains(&Digest::of(b"hunter2").to_string()),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_port_of_a_name_with_several_addresses_is_claimed_of_each_and_not_surely() {
    let mut port = event(
        "p",
        "OPEN_TCP_PORT",
        json!("a.example:80"),
        SCAN,
        "portscan",
    );
    port["resolved_hosts"] = json!(["192.0.2.2", "192.0.2.1", "b.example"]);
    let outcome = imported("bbot", &lines(std::slice::from_ref(&port))).await;
    let sure: Vec<_> = outcome.findings().iter().map(|f| f.confidence).collect();
    assert_eq!(sure, [50, 50]);
    port["discovery_context"] = json!("asked about \"a.example (192.0.2.2)\" and found it");
    let outcome = imported("bbot", &lines(&[port])).await;
    assert_eq!(outcome.findings()[0].confidence, 100);
    outcome.finds(&["service:192.0.2.2:80/tcp"]);
}

#[tokio::test]
async fn bad_records_are_counted_with_their_line_and_the_others_stay() {
    let good = event("d", "DNS_NAME", json!("company.example"), "", "SEED").to_string();
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let bad = [
        "{",
        "[]",
        "{\"type\":\"DNS_NAME\"}",
        "{\"data\":\"x\"}",
        r#"{"type":"DNS_NAME","data":"\ud800"}"#,
        r#"{"type":"DNS_NAME","data":NaN}"#,
        &deep,
    ];
    let bytes = format!("\u{feff}{}\n\n{good}", bad.join("\n")).into_bytes();
    let found = checked("bbot", &bytes).unwrap();
    assert_eq!((found.records, found.bad), (1, bad.len() as u64));
    let named: Vec<u64> = found.named.iter().map(|(line, _)| *line).collect();
    assert_eq!(named, (1..=bad.len() as u64).collect::<Vec<_>>());
    let outcome = imported("bbot", &bytes).await.remarks("bad-record");
    outcome.finds(&["domain:company.example"]);
}

#[test]
fn nul_is_replaced_where_it_stands() {
    let event = json!({"type": "DNS_NAME", "id": "x", "data": "a\0b", "module": "m\0n"});
    let bytes = lines(&[event]);
    assert!(checked("bbot", &bytes).is_ok());
}

#[test]
fn what_a_scan_was_aimed_at_is_its_scope() {
    let found = checked("bbot", &lines(&small_scan())).unwrap();
    assert_eq!(found.targets, ["company.example"]);
}

#[test]
fn a_file_that_is_none_says_what_to_do() {
    let bomb = packed(&vec![b' '; 64 * 1024 * 1024]);
    let whole = packed(&lines(&small_scan()));
    let long = format!("{{\"type\":\"{}", "a".repeat(source::RECORD_BYTES_MAX));
    for (name, bytes, why) in [
        ("bbot", &b""[..], "no record of bbot"),
        ("bbot", b"<xml/>", "no record of bbot"),
        ("bbot", b"\xff\xfe{\0}\0", "UTF-16"),
        ("bbot", &whole[..whole.len() / 2], "ends in the middle"),
        ("bbot", b"\x1f\x8b\x08garbage garbage", "gzip"),
        ("bbot", &bomb, "100 times"),
        ("bbot", long.as_bytes(), "longer than"),
        ("nmap", b"", "no element"),
        ("nmap", b"{}", "no element"),
        ("nmap", b"<html/>", "another kind"),
        ("nmap", b"<nmaprun><host>", "ends in the middle"),
        ("nmap", b"<nmaprun></host>", "not XML"),
        (
            "nmap",
            b"<?xml version='1.0' encoding='UTF-16'?><nmaprun/>",
            "UTF-16",
        ),
        (
            "nmap",
            br#"<!DOCTYPE n [<!ENTITY a SYSTEM "file:///etc/passwd">]><nmaprun args="&a;"/>"#,
            "declares entities",
        ),
        (
            "nmap",
            br#"<!DOCTYPE n [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><nmaprun>&b;</nmaprun>"#,
            "declares entities",
        ),
        ("nmap", br#"<nmaprun args="&unknown;"/>"#, "unknown"),
        ("nmap", "<a>".repeat(100).as_bytes(), "another kind"),
        (
            "nmap",
            format!("<nmaprun>{}", "<a>".repeat(100)).as_bytes(),
            "deeper than",
        ),
        (
            "nmap",
            format!(
                "<nmaprun args=\"{}\"/>",
                "a".repeat(2 * source::RECORD_BYTES_MAX)
            )
            .as_bytes(),
            "longer than",
        ),
    ] {
        let bad = checked(name, bytes);
        let bad = bad.expect_err(why);
        assert!(bad.what.contains(why), "{why}: {}", bad.what);
        assert!(!bad.hint.is_empty());
    }
}

const NMAP: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<nmaprun scanner="nmap" args="nmap -sV -O company.example" version="7.95">
<host><status state="up" reason="syn-ack"/>
<address addr="192.0.2.7" addrtype="ipv4"/><address addr="02:42:AC:1C:01:03" addrtype="mac" vendor="Maker"/>
<hostnames><hostname name="www.company.example" type="user"/><hostname name="r7.company.example" type="PTR"/><hostname name="*.x" type="user"/></hostnames>
<ports><extraports state="closed" count="998"/>
<port protocol="tcp" portid="80"><state state="open" reason="syn-ack"/><service name="http" product="nginx" version="1.27.0" conf="10"><cpe>cpe:/a:f5:nginx</cpe></service><script id="http-title" output="Hello&#xa;there"/></port>
<port protocol="udp" portid="53"><state state="open|filtered"/></port>
<port protocol="tcp" portid="0"><state state="open"/></port></ports>
<os><osmatch name="Linux 6.x" accuracy="96"/></os>
<hostscript><script id="clock-skew" output="0s"/></hostscript></host>
<host><status state="up"/><address addr="nowhere" addrtype="ipv4"/></host>
<runstats><finished time="1"/></runstats></nmaprun>
"#;

#[tokio::test]
async fn an_nmap_scan_gives_hosts_names_services_and_software() {
    let claims = [
        "ROOT about ROOT",
        "ROOT mentions ip:192.0.2.7",
        "ip:192.0.2.7 related-to device:02:42:ac:1c:01:03",
        "domain:www.company.example resolves-to ip:192.0.2.7",
        "ip:192.0.2.7 named-by domain:r7.company.example",
        "ip:192.0.2.7 offers service:192.0.2.7:80/tcp",
        "service:192.0.2.7:80/tcp uses software:nginx/1.27.0",
        "ip:192.0.2.7 about ip:192.0.2.7",
    ];
    let outcome = imported("nmap", NMAP.as_bytes()).await;
    made(outcome, NMAP.as_bytes(), &claims)
        .attribute(
            "service:192.0.2.7:80/tcp",
            "scripts",
            json!({"http-title": "Hello\nthere"}),
        )
        .attribute(
            "service:192.0.2.7:80/tcp",
            "cpe",
            json!(["cpe:/a:f5:nginx"]),
        )
        .attribute(
            "ip:192.0.2.7",
            "os",
            json!([{"name": "Linux 6.x", "accuracy": "96"}]),
        )
        .remarks("port-not-open")
        .remarks("not-a-key")
        .remarks("bad-record");
    let found = checked("nmap", NMAP.as_bytes()).unwrap();
    assert_eq!((found.records, found.bad), (2, 1));
    assert_eq!(found.named[0].0, 13);
}

#[tokio::test]
async fn a_file_that_is_gone_is_said() {
    let root = format!("file:{}", Digest::of(b"gone"));
    let outcome = given()
        .replay(importer("bbot"), &[&root], Tape::new())
        .await;
    outcome.fails("unavailable").finds(&[]);
}

#[test]
fn importers_are_sorted_consume_files_alone_and_run_in_no_scan_of_the_world() {
    let names: Vec<&str> = IMPORTERS.iter().map(|own| own.name()).collect();
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    for importer in IMPORTERS {
        assert_eq!(importer.manifest().consumes, [Kind::File]);
        let mut all = crate::collectors::ALL.iter();
        assert!(all.all(|own| own.manifest().name != importer.name()));
    }
}

proptest! {
    #[test]
    fn no_bytes_break_an_importer(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for importer in IMPORTERS {
            let _ = importer.check(&mut Cursor::new(&bytes), Digest::of(&bytes));
        }
    }

    #[test]
    fn no_event_breaks_bbot(kind in 0..35usize, text in "\\PC{0,40}", port in any::<u32>(), swap in any::<bool>()) {
        let (kind, mut data, _) = every_type().swap_remove(kind);
        match &mut data {
            Value::Object(members) if !swap => members.values_mut().for_each(|value| *value = json!(text)),
            data => *data = json!(text),
        }
        let mut event = event("e", kind, data, &text, &text);
        event["port"] = json!(port);
        event["resolved_hosts"] = json!([text, "192.0.2.1"]);
        event["parent_chain"] = json!([text, 1, null]);
        let bytes = lines(&[event]);
        prop_assert_eq!(checked("bbot", &bytes).map(|found| found.records), Ok(1));
    }

    #[test]
    fn no_cut_or_flip_breaks_nmap(at in 0..NMAP.len(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = NMAP.as_bytes().to_vec();
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] = byte,
        }
        let _ = checked("nmap", &bytes);
    }
}
