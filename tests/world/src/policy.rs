//! Mail policies of the company, and who announces its addresses where.
//!
//! The policies are sound at the apex and careless at one machine.

use serde_json::json;

use crate::expected::{Claim, claim};
use crate::mmdb;
use crate::names::{Company, DOMAIN};
use crate::records::{Record, text};
use crate::wire::Data;

/// Where the stand-ins for Team Cymru's zones hang.
pub(crate) const ASN_ZONE: &str = "asn.mirage-corp.example";
/// An address of the mailer's, out of every scope: nobody ever speaks to it.
pub(crate) const MAILER: &str = "198.51.100.5";
const MAILER_BLOCK: &str = "198.51.100.0/28";
/// A single sender of the apex.
const SENDER: &str = "203.0.113.25";
/// An RSA key of 768 bits.
const WEAK_KEY: &str = "MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhANWwrEL8mrZ6I87nQKB0E5Plw8/M+bmCzxggmRFm55dj3+thOQMcaiwoz+\
    cV63M+tZNiBIxhbnSjO8IxHG+tTnH53NukEp7s47fiu8KLRNRV47ZQ3kIE56CgtCQqbyAD8QIDAQAB";

/// The route table: the whole company, and in it a block of its hosting branch.
const ROUTES: &str = "; PREFIX\tASN\tNAME\n127.20.0.0/16\t64500\tMirage Corp Networks\n\
    127.20.0.0/26\tAS64501\tMirage Corp Hosting\n192.0.2.0/24\t64502\n";

/// What the apex and its careless machine publish, and what the zones of origins have.
pub(crate) fn records(company: &Company) -> Vec<Record> {
    let at = |label: &str| format!("{label}.{DOMAIN}");
    let careless = careless(company);
    let of_careless = |label: &str| format!("{label}.{careless}");
    let reversed = "5.100.51.198.origin";
    vec![
        (
            at("_spf"),
            text(format!(
                "v=spf1 ip4:127.20.0.0/24 ip4:{MAILER_BLOCK} ip4:{SENDER} -all"
            )),
        ),
        (
            at("_dmarc"),
            text(format!("v=DMARC1; p=reject; rua=mailto:{}", dmarc())),
        ),
        (at("_mta-sts"), text("v=STSv1; id=20260101")),
        (
            at("_smtp._tls"),
            text(format!("v=TLSRPTv1; rua=mailto:{}", tls_reports())),
        ),
        (careless.clone(), Data::Mx(10, at("mail"))),
        (careless.clone(), text("v=spf1 a +all")),
        (of_careless("_dmarc"), text("v=DMARC1; p=none")),
        (
            of_careless("k1._domainkey"),
            text(format!("v=DKIM1; k=rsa; p={WEAK_KEY}")),
        ),
        (
            format!("{reversed}.{ASN_ZONE}"),
            text("64510 64511 | 198.51.100.0/24 | DE | ripencc | 2020-01-01"),
        ),
        (
            format!("AS64510.{ASN_ZONE}"),
            text("64510 | DE | ripencc | 2020-01-01 | MAILER - Outsourced Mail GmbH, DE"),
        ),
    ]
}

/// The policy file of the apex.
pub(crate) fn mta_sts() -> String {
    format!("version: STSv1\r\nmode: enforce\r\nmx: mail.{DOMAIN}\r\nmax_age: 86400\r\n")
}

pub(crate) fn routes() -> &'static [u8] {
    ROUTES.as_bytes()
}

/// Both halves of the company's first block, each in a city of its own.
pub(crate) fn places() -> Vec<u8> {
    let place = |country: &str, region: &str, city: &str, point: (f64, f64)| {
        json!({
            "country": { "iso_code": country },
            "subdivisions": [{ "iso_code": region }],
            "city": { "names": { "en": city } },
            "location": { "latitude": point.0, "longitude": point.1, "accuracy_radius": 20 },
        })
    };
    let blocks = [
        (
            "127.20.0.0/25",
            place("DE", "BE", "Berlin", (52.52, 13.405)),
        ),
        (
            "127.20.0.128/25",
            place("FR", "IDF", "Paris", (48.857, 2.351)),
        ),
    ];
    mmdb::write("World-City", &blocks)
}

/// What only a reader of these policies and files finds.
pub(crate) fn expected(company: &Company) -> Vec<Claim> {
    let careless = careless(company);
    let exposed = |rule: &str, name: &str| {
        let key = format!("{rule} domain {name}");
        claim("mail-policy", "exposure", key)
    };
    let of_policy = |kind, key: &str| claim("mail-policy", kind, key.to_owned());
    let of_asn = |kind, key: &str| claim("asn", kind, key.to_owned());
    let of_geoip = |key: &str| claim("geoip", "location", key.to_owned());
    vec![
        of_policy("netblock", MAILER_BLOCK),
        of_policy("ip", SENDER),
        of_policy("email", &dmarc()),
        of_policy("email", &tls_reports()),
        exposed("spf-pass-all", &careless),
        exposed("dmarc-policy-none", &careless),
        exposed("dkim-weak-key", &format!("k1._domainkey.{careless}")),
        of_asn("netblock", "127.20.0.0/16"),
        of_asn("netblock", "127.20.0.0/26"),
        of_asn("autonomous-system", "AS64500"),
        of_asn("autonomous-system", "AS64501"),
        of_asn("organization", "mirage corp networks"),
        of_asn("organization", "mirage corp hosting"),
        of_geoip("de/be/berlin"),
        of_geoip("fr/idf/paris"),
    ]
}

/// The machine whose owner let anyone send.
fn careless(company: &Company) -> String {
    company.name("forms")
}

fn dmarc() -> String {
    format!("dmarc@{DOMAIN}")
}

fn tls_reports() -> String {
    format!("tls-reports@{DOMAIN}")
}
