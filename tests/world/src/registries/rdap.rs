//! The RDAP server with the bootstrap files beside it (RFC 9083, RFC 9224).
//!
//! It writes raw HTTP, because a well-behaved library refuses to misbehave.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::accept;
use crate::names::DOMAIN;
use crate::tally::{Tally, bump};
use crate::traps;
use crate::web::Wire;

/// What RDAP alone tells of the company.
pub(crate) const EXPECTED: &[(&str, &str)] = &[
    ("email", "abuse@hosting.example"),
    ("email", "abuse@registrar.example"),
    ("email", "domains@mirage-corp.example"),
    ("netblock", "127.20.0.0/25"),
    ("organization", "hosting example se"),
    ("organization", "loopback registrar, inc."),
    ("organization", "mirage holding ag"),
    ("person", "clara castellan"),
];
/// Stands where the answer says that something is redacted.
pub(crate) const REDACTED: &str = "x7f3@privacy.example";

/// The company's addresses but 127.20.0.192/26, as blocks.
const LISTED: [&str; 10] = [
    "127.20.0.0/25",
    "127.20.0.128/26",
    "127.20.1.0/24",
    "127.20.2.0/23",
    "127.20.4.0/22",
    "127.20.8.0/21",
    "127.20.16.0/20",
    "127.20.32.0/19",
    "127.20.64.0/18",
    "127.20.128.0/17",
];
/// How deep entities are nested in the answer that does so; a parser that recurses must bear it.
const DEPTH: usize = 40;

/// How an answer goes out.
enum Answer {
    Body(Value),
    Nothing,
    /// Zeros for ever.
    Endless,
}

pub(crate) async fn serve(listener: TcpListener, at: SocketAddr, tally: Arc<Tally>) {
    accept::each(listener, |stream, _| {
        bump(&tally.tcp);
        bump(&tally.http);
        // A client that goes away mid-answer is no error of the world's.
        async move { drop(converse(stream, at).await) }
    })
    .await;
}

async fn converse(stream: TcpStream, at: SocketAddr) -> io::Result<()> {
    let mut wire: Box<dyn Wire> = Box::new(stream);
    let path = traps::read_path(&mut wire).await?;
    let head = "content-type: application/rdap+json\r\nconnection: close\r\n";
    match answer(&path, at) {
        Answer::Body(body) => {
            let (body, length) = (body.to_string(), body.to_string().len());
            let text = format!("HTTP/1.1 200 OK\r\n{head}content-length: {length}\r\n\r\n{body}");
            wire.write_all(text.as_bytes()).await?;
        }
        Answer::Nothing => {
            let text = format!("HTTP/1.1 404 Not Found\r\n{head}content-length: 0\r\n\r\n");
            wire.write_all(text.as_bytes()).await?;
        }
        Answer::Endless => {
            wire.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n[").as_bytes())
                .await?;
            loop {
                wire.write_all(&[b'0'; 16 * 1024]).await?;
            }
        }
    }
    wire.shutdown().await
}

fn answer(path: &str, at: SocketAddr) -> Answer {
    let services = |entries: &[&str]| {
        let server = format!("http://{at}/v1/");
        Answer::Body(json!({"version": "1.0", "services": [[entries, [server]]]}))
    };
    match path {
        "/dns.json" => return services(&["example"]),
        "/ipv4.json" => return services(&LISTED),
        "/ipv6.json" => return services(&[]),
        "/asn.json" => return services(&["64496-64511"]),
        _ => {}
    }
    match path.trim_start_matches("/v1/").split_once('/') {
        Some(("domain", name)) => of_domain(name),
        Some(("ip", address)) => address.parse().map_or(Answer::Nothing, of_address),
        Some(("autnum", number)) => number.parse().map_or(Answer::Nothing, of_system),
        _ => Answer::Nothing,
    }
}

fn of_domain(name: &str) -> Answer {
    let wrong = || json!([7, {"a": [null]}, "\u{1b}]52;c;AAAA\u{7}\u{202e}"]);
    match name {
        DOMAIN => Answer::Body(company()),
        "endless.example" => Answer::Endless,
        "deep.example" => Answer::Body(domain(name, deep())),
        "wrong.example" => {
            let mut body = domain(
                name,
                json!([{"roles": ["registrant"], "vcardArray": wrong()}]),
            );
            for member in [
                "events",
                "status",
                "nameservers",
                "secureDNS",
                "redacted",
                "links",
            ] {
                body[member] = wrong();
            }
            Answer::Body(body)
        }
        "other.example" => Answer::Body(company()),
        _ => Answer::Nothing,
    }
}

fn of_address(address: Ipv4Addr) -> Answer {
    let [_, _, net, host] = address.octets();
    match (net, host) {
        (0, 0..=127) => Answer::Body(network("127.20.0.0", "127.20.0.127", hosting())),
        (0, _) => Answer::Nothing,
        // Not one block, so that the range has to be split.
        (1..=249, _) => Answer::Body(network("127.20.1.0", "127.20.249.255", hosting())),
        // The traps.
        (_, host) => match host % 4 {
            0 => Answer::Endless,
            1 => Answer::Body(network("127.20.250.0", "127.20.250.255", deep())),
            2 => Answer::Body(network("255.255.255.255", "0.0.0.0", json!("x"))),
            _ => Answer::Nothing,
        },
    }
}

fn of_system(number: u32) -> Answer {
    let mut body = json!({"objectClassName": "autnum", "startAutnum": number, "endAutnum": number});
    body["entities"] = hosting();
    Answer::Body(body)
}

fn domain(name: &str, entities: Value) -> Value {
    json!({
        "objectClassName": "domain", "ldhName": name, "handle": "D7-EXAMPLE", "entities": entities,
        "status": ["active", "client transfer prohibited"],
        "events": [
            {"eventAction": "registration", "eventDate": "2001-02-03T04:05:06Z"},
            {"eventAction": "expiration", "eventDate": "2031-02-03T04:05:06Z"},
        ],
        "secureDNS": {"delegationSigned": false},
        "nameservers": [{"objectClassName": "nameserver", "ldhName": format!("NS1.{DOMAIN}")}],
    })
}

fn company() -> Value {
    let registrant = [
        ("kind", "individual"),
        ("fn", "Clara Castellan"),
        ("org", "Mirage Holding AG"),
        ("email", EXPECTED[2].1),
    ];
    let abuse = contact(
        "abuse",
        &[
            ("kind", "group"),
            ("fn", "Abuse Desk"),
            ("email", EXPECTED[1].1),
        ],
    );
    let mut registrar = contact("registrar", &[("fn", "Loopback Registrar, Inc.")]);
    registrar["publicIds"] = json!([{"type": "IANA Registrar ID", "identifier": "9999"}]);
    registrar["entities"] = json!([abuse]);
    let technical = contact(
        "technical",
        &[("fn", "REDACTED FOR PRIVACY"), ("email", REDACTED)],
    );
    let mut body = domain(
        DOMAIN,
        json!([contact("registrant", &registrant), registrar, technical]),
    );
    let path = "$.entities[?(@.roles[0]=='technical')].vcardArray[1][?(@[0]=='email')]";
    body["redacted"] = json!([{"name": {"description": "Tech Email"}, "method": "replacementValue",
        "pathLang": "jsonpath", "prePath": path, "replacementPath": path}]);
    body
}

fn network(first: &str, last: &str, entities: Value) -> Value {
    json!({"objectClassName": "ip network", "startAddress": first, "endAddress": last, "ipVersion": "v4",
        "name": "MIRAGE-NET", "country": "DE", "handle": format!("{first} - {last}"), "entities": entities})
}

fn hosting() -> Value {
    let mut holder = contact(
        "registrant",
        &[("kind", "org"), ("fn", "Hosting Example SE")],
    );
    holder["entities"] = json!([contact(
        "abuse",
        &[("kind", "group"), ("email", EXPECTED[0].1)]
    )]);
    json!([holder])
}

fn contact(role: &str, properties: &[(&str, &str)]) -> Value {
    let version = json!(["version", {}, "text", "4.0"]);
    let properties = properties
        .iter()
        .map(|(name, value)| json!([name, {}, "text", value]));
    let card: Vec<Value> = std::iter::once(version).chain(properties).collect();
    json!({"objectClassName": "entity", "roles": [role], "vcardArray": ["vcard", card]})
}

/// Contacts in contacts, more than anybody reads.
fn deep() -> Value {
    (0..DEPTH).fold(json!([]), |nested, level| {
        let email = format!("level{level}@deep.example");
        let mut entity = contact("abuse", &[("kind", "group"), ("email", &email)]);
        entity["entities"] = nested;
        json!([entity])
    })
}
