//! One key of each kind, for tests of everything that handles entities.

use super::Kind;

/// A key of `kind` in its normalised form.
pub fn example(kind: Kind) -> &'static str {
    match kind {
        Kind::Domain => "www.example.com",
        Kind::Ip => "192.0.2.1",
        Kind::Netblock => "192.0.2.0/24",
        Kind::AutonomousSystem => "AS64500",
        Kind::Service => "192.0.2.1:443/tcp",
        Kind::DnsRecord => r#"example.com TXT "v=spf1  -all""#,
        Kind::Url => "https://www.example.com/login?next=%2F",
        Kind::Certificate => "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        Kind::Software => "nginx/1.27.0",
        Kind::TrackerId => "google-analytics:g-abc123",
        Kind::Organization => "example gmbh & co. kg",
        Kind::Person => "ada lovelace",
        Kind::Email => "alice@example.com",
        Kind::Phone => "+442079460958",
        Kind::Handle => "Alice_1",
        Kind::Account => "github:alice",
        Kind::Credential => "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
        Kind::Breach => "hibp:adobe",
        Kind::Wallet => "bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        Kind::BankAccount => "GB82WEST12345698765432",
        Kind::PaymentCard => "fcde2b2edba56bf408601fb721fe9b5c",
        Kind::Location => "us/ca/san francisco",
        Kind::File => "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
        Kind::Text => "7d865e959b2466918c9863afca942d0fb89d7c9ac0c99bafc3749504ded97730",
        Kind::StorageBucket => "s3:example-assets",
        Kind::CodeRepository => "github.com/example/site",
        Kind::MobileApp => "google-play:com.example.App",
        Kind::Device => "00:00:5e:00:53:01",
        Kind::PublicKey => "pgp:D1A66E1A23B182C9980F788CFBFCC82A015E7330",
        Kind::Vulnerability => "CVE-2021-44228",
        Kind::Exposure => "takeover domain www.example.com",
        Kind::Verdict => "zen.spamhaus.org ip 192.0.2.1",
    }
}

/// Every kind with its example.
pub fn examples() -> impl Iterator<Item = (Kind, &'static str)> {
    Kind::ALL.iter().map(|&kind| (kind, example(kind)))
}
