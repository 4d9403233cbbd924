//! Policies against recorded answers.

use super::*;
use crate::collectors::testing::{Given, Outcome, Tape, given, replay};

/// A domain with mail that publishes only what `texts` says: name before the domain, and its texts.
fn domain(texts: &[(&str, &[&str])]) -> Tape {
    let names = ["", "_dmarc.", "_mta-sts.", "_smtp._tls.", "default._bimi."];
    let tape = Tape::new().dns("example.com", "MX", &["10 mail.example.com."]);
    let tape = names.iter().fold(tape, |tape, name| {
        let own = texts.iter().find(|(own, _)| own == name);
        let quoted: Vec<String> = own
            .map_or(&[][..], |(_, texts)| texts)
            .iter()
            .map(|text| format!("\"{text}\""))
            .collect();
        let quoted: Vec<&str> = quoted.iter().map(String::as_str).collect();
        tape.dns(&format!("{name}example.com"), "TXT", &quoted)
    });
    tape.nxdomain("k1._domainkey.example.com", "TXT")
}

/// Asks for one DKIM key only.
fn short() -> Given {
    given().setting("selectors", "k1")
}

const DMARC: (&str, &[&str]) = ("_dmarc.", &["v=DMARC1; p=reject"]);

/// What becomes of an SPF record beside a sound DMARC one; `tape` has what it leads to.
async fn spf(record: &str, tape: impl FnOnce(Tape) -> Tape) -> Outcome {
    let tape = tape(domain(&[("", &[record]), DMARC]));
    short().replay(&MailPolicy, &["example.com"], tape).await
}

fn text(tape: Tape, name: &str, text: &str) -> Tape {
    tape.dns(name, "TXT", &[&format!("\"{text}\"")])
}

const ABOUT: &str = "domain:example.com about domain:example.com";

fn shows(rule: &str) -> String {
    format!("domain:example.com shows exposure:{rule} domain example.com")
}

#[tokio::test]
async fn a_record_authorises_along_its_includes() {
    let record = "v=spf1 ip4:192.0.2.1 ip4:192.0.2.128/25 include:_spf.mail.example ~all";
    let outcome = spf(record, |tape| {
        text(
            tape,
            "_spf.mail.example",
            "v=spf1 ip6:2001:db8::/32 -ip4:192.0.2.9 -all",
        )
    })
    .await;
    outcome
        .attribute("example.com", "spf", record)
        .attribute("example.com", "spf_lookups", 1)
        .claims(&[
            "domain:example.com authorises ip:192.0.2.1",
            "domain:example.com authorises netblock:192.0.2.128/25",
            "domain:example.com authorises domain:_spf.mail.example",
            "domain:_spf.mail.example authorises netblock:2001:db8::/32",
            ABOUT,
        ]);
}

#[tokio::test]
async fn hosts_and_mail_servers_authorise_their_addresses() {
    let outcome = spf(
        "v=spf1 a mx/24 a:b.example.com//64 ?a:c.example.com -all",
        |tape| {
            tape.dns("example.com", "A", &["192.0.2.1"])
                .dns("example.com", "AAAA", &[])
                .dns("mail.example.com", "A", &["198.51.100.7"])
                .dns("mail.example.com", "AAAA", &[])
                .dns("b.example.com", "A", &[])
                .dns("b.example.com", "AAAA", &["2001:db8::7"])
                .dns("c.example.com", "A", &["192.0.2.3"])
                .dns("c.example.com", "AAAA", &[])
        },
    )
    .await;
    outcome.claims(&[
        "domain:example.com authorises ip:192.0.2.1",
        "domain:example.com authorises domain:mail.example.com",
        "domain:example.com authorises netblock:198.51.100.0/24",
        "domain:example.com authorises domain:b.example.com",
        "domain:example.com authorises netblock:2001:db8::/64",
        ABOUT,
    ]);
}

#[tokio::test]
async fn anyone_may_send_if_all_pass_here_or_in_an_include() {
    for record in ["v=spf1 +all", "v=spf1 all", "v=spf1 ip4:0.0.0.0/0 -all"] {
        let outcome = spf(record, |tape| tape).await;
        outcome.claims(&[ABOUT, &shows("spf-pass-all")]);
    }
    let outcome = spf("v=spf1 -include:a.example redirect=b.example", |tape| {
        let tape = text(tape, "a.example", "v=spf1 +all");
        text(tape, "b.example", "v=spf1 +all")
    })
    .await;
    let through = "domain:example.com authorises domain:b.example";
    outcome.claims(&[ABOUT, through, &shows("spf-pass-all")]);
}

#[tokio::test]
async fn a_circle_and_what_leads_nowhere_make_a_record_void() {
    let circle = spf("v=spf1 include:a.example -all", |tape| {
        let tape = text(tape, "a.example", "v=spf1 include:b.example -all");
        text(tape, "b.example", "v=spf1 include:a.example -all")
    })
    .await;
    circle.claims(&[
        ABOUT,
        "domain:example.com authorises domain:a.example",
        "domain:a.example authorises domain:b.example",
        &shows("spf-invalid"),
    ]);
    let nowhere = spf("v=spf1 include:a.example -all", |tape| {
        tape.nxdomain("a.example", "TXT")
    });
    nowhere.await.claims(&[ABOUT, &shows("spf-invalid")]);
    let broken = spf("v=spf1 ipv4:192.0.2.1 -all", |tape| tape).await;
    broken.claims(&[ABOUT, &shows("spf-invalid")]);
    let tape = domain(&[("", &["v=spf1 -all", "v=spf1 ~all"]), DMARC]);
    let twice = short().replay(&MailPolicy, &["example.com"], tape).await;
    twice.claims(&[ABOUT, &shows("spf-invalid")]);
}

#[tokio::test]
async fn the_eleventh_look_up_is_not_made_and_makes_a_record_void() {
    let names: Vec<String> = (0..11).map(|n| format!("i{n:02}.example")).collect();
    let terms: Vec<String> = names.iter().map(|name| format!("include:{name}")).collect();
    let record = format!("v=spf1 {} ip4:192.0.2.1 -all", terms.join(" "));
    let outcome = spf(&record, |tape| {
        names[..10]
            .iter()
            .fold(tape, |tape, name| text(tape, name, "v=spf1 -all"))
    })
    .await;
    let mut claims: Vec<String> = names[..10]
        .iter()
        .map(|name| format!("domain:example.com authorises domain:{name}"))
        .collect();
    claims.extend([ABOUT.to_owned(), shows("spf-too-many-lookups")]);
    let claims: Vec<&str> = claims.iter().map(String::as_str).collect();
    outcome
        .attribute("example.com", "spf_lookups", 11)
        .claims(&claims);
}

#[tokio::test]
async fn macros_are_remarked_and_names_without_records_counted() {
    let outcome = spf(
        "v=spf1 exists:%{i}._spf.example.com ptr a:x.example a:y.example exists:z.example -all",
        |tape| {
            let tape = tape
                .nxdomain("x.example", "A")
                .nxdomain("x.example", "AAAA");
            let tape = tape
                .nxdomain("y.example", "A")
                .nxdomain("y.example", "AAAA");
            tape.nxdomain("z.example", "A")
        },
    )
    .await;
    outcome
        .remarks("not-expanded")
        .claims(&[ABOUT, &shows("spf-too-many-void-lookups")]);
}

#[tokio::test]
async fn a_record_of_thousands_of_terms_is_cut() {
    let terms: Vec<String> = (0..3000)
        .map(|n| format!("ip4:10.0.{}.{}", n / 250, n % 250))
        .collect();
    let strings: Vec<String> = format!("v=spf1 {} -all", terms.join(" "))
        .as_bytes()
        .chunks(250)
        .map(|piece| format!("\"{}\"", std::str::from_utf8(piece).unwrap()))
        .collect();
    let tape =
        Tape::new()
            .dns("example.com", "MX", &[])
            .dns("example.com", "TXT", &[&strings.join(" ")]);
    let outcome = short().replay(&MailPolicy, &["example.com"], tape).await;
    let outcome = outcome.remarks("cap-reached").fails("unavailable");
    assert_eq!(outcome.findings().len(), 1000 + 1);
}

#[tokio::test]
async fn a_domain_without_policies_shows_that() {
    let outcome = short()
        .replay(&MailPolicy, &["example.com"], domain(&[]))
        .await;
    outcome
        .attribute(
            "exposure:spf-missing domain example.com",
            "severity",
            "medium",
        )
        .claims(&[ABOUT, &shows("spf-missing"), &shows("dmarc-missing")]);
}

#[tokio::test]
async fn reports_name_mail_boxes_and_a_policy_of_none_is_an_exposure() {
    let tape = domain(&[
        ("", &["v=spf1 -all"]),
        (
            "_dmarc.",
            &[
                "v=DMARC1; p=none; rua=mailto:d@example.com!10m,mailto:x@agg.example; ruf=mailto:f@example.com",
            ],
        ),
        (
            "_smtp._tls.",
            &["v=TLSRPTv1; rua=https://r.example/,mailto:t@example.com"],
        ),
        (
            "default._bimi.",
            &["v=BIMI1; l=https://brand.example/logo.svg; a="],
        ),
    ]);
    let outcome = short().replay(&MailPolicy, &["example.com"], tape).await;
    outcome
        .attribute("email:t@example.com", "purpose", "tls-rpt")
        .claims(&[
            ABOUT,
            "domain:example.com mentions email:d@example.com",
            "domain:example.com mentions email:x@agg.example",
            "domain:example.com mentions email:f@example.com",
            "domain:example.com mentions email:t@example.com",
            "domain:example.com mentions domain:brand.example",
            &shows("dmarc-policy-none"),
        ]);
}

#[tokio::test]
async fn a_name_below_has_the_policy_of_the_registered_domain() {
    let tape = Tape::new()
        .dns("mail.example.com", "MX", &["10 mx.example.com."])
        .dns("mail.example.com", "TXT", &["\"v=spf1 -all\""])
        .nxdomain("_dmarc.mail.example.com", "TXT")
        .dns(
            "_dmarc.example.com",
            "TXT",
            &["\"v=DMARC1; p=reject; sp=none; rua=mailto:d@example.com\""],
        )
        .nxdomain("k1._domainkey.mail.example.com", "TXT")
        .nxdomain("_mta-sts.mail.example.com", "TXT")
        .nxdomain("_smtp._tls.mail.example.com", "TXT")
        .nxdomain("default._bimi.mail.example.com", "TXT");
    let outcome = short()
        .replay(&MailPolicy, &["mail.example.com"], tape)
        .await;
    outcome
        .attribute("mail.example.com", "dmarc_from", "example.com")
        .finds(&[
            "mail.example.com",
            "exposure:dmarc-policy-none domain mail.example.com",
        ]);
}

#[tokio::test]
async fn names_without_mail_and_names_that_do_not_exist_are_asked_nothing_more() {
    let tape = Tape::new()
        .dns(
            "www.example.com",
            "MX",
            &["CNAME example.net.", "10 mail.example.net."],
        )
        .nxdomain("example.com", "MX");
    let outcome = replay(&MailPolicy, &["www.example.com", "example.com"], tape).await;
    outcome.finds(&[]);
}

/// `SubjectPublicKeyInfo` of an RSA key with a modulus of so many bytes, which is no key that works.
fn rsa(bytes: usize) -> String {
    let sequence = |tag: u8, content: &[u8]| {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], content].concat()
    };
    let modulus = sequence(2, &[&[0][..], &vec![0xff; bytes]].concat());
    let key = sequence(0x30, &[&modulus[..], &[2, 3, 1, 0, 1]].concat());
    let bits = sequence(3, &[&[0][..], &key].concat());
    let algorithm = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    data_encoding::BASE64.encode(&sequence(0x30, &[&algorithm[..], &bits].concat()))
}

#[tokio::test]
async fn a_short_key_is_an_exposure_and_an_alias_says_who_signs() {
    let weak = format!("\"v=DKIM1; k=rsa; \" \"p={}\"", rsa(96));
    let sound = rsa(128);
    let sound = format!("\"v=DKIM1; p={}\" \"{}\"", &sound[..100], &sound[100..]);
    let tape = domain(&[("", &["v=spf1 -all"]), DMARC])
        .dns(
            "k2._domainkey.example.com",
            "TXT",
            &["CNAME k2.signer.example.", &sound],
        )
        .dns("k3._domainkey.example.com", "TXT", &[&weak])
        .dns("k4._domainkey.example.com", "TXT", &["\"v=DKIM1; p=\""])
        .dns(
            "k5._domainkey.example.com",
            "TXT",
            &["\"v=spf1 -all\"", "\"p=!\""],
        )
        .dns(
            "k6._domainkey.example.com",
            "TXT",
            &["\"k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\""],
        );
    let given = given().setting("selectors", "k1, k2,k3,k4,k5,k6,k2,");
    let outcome = given.replay(&MailPolicy, &["example.com"], tape).await;
    let selectors = serde_json::json!(["k2", "k3", "k6"]);
    outcome
        .attribute("example.com", "dkim_selectors", selectors)
        .claims(&[
            ABOUT,
            "domain:example.com authorises domain:k2.signer.example",
            "domain:example.com shows exposure:dkim-weak-key domain k3._domainkey.example.com",
        ]);
}

#[tokio::test]
async fn the_mta_sts_policy_is_fetched_from_the_standard_profile_on() {
    let url = "https://mta-sts.example.com/.well-known/mta-sts.txt";
    let texts: &[(&str, &[&str])] = &[
        ("", &["v=spf1 -all"]),
        DMARC,
        ("_mta-sts.", &["v=STSv1; id=1"]),
    ];
    let policy = "version: STSv1\nmode: enforce\nmx: mx.example.net\nmx: *.example.org\nmax_age: 1";
    let host = "domain:mta-sts.example.com subdomain-of domain:example.com";
    let tape = || domain(texts).dns("mta-sts.example.com", "A", &["192.0.2.1"]);
    let whole = tape().http(url, 200, &[], policy);
    let passive = short().profile(Profile::Passive);
    let outcome = passive
        .replay(&MailPolicy, &["example.com"], whole.clone())
        .await;
    outcome.claims(&[ABOUT, host]);
    let outcome = short().replay(&MailPolicy, &["example.com"], whole).await;
    outcome
        .attribute("example.com", "mta_sts_mode", "enforce")
        .claims(&[
            ABOUT,
            host,
            "domain:example.com mail-handled-by domain:mx.example.net",
        ]);
    let moved = tape().http(url, 301, &[("location", "https://a.example/")], "");
    let outcome = short().replay(&MailPolicy, &["example.com"], moved).await;
    outcome.claims(&[ABOUT, host, &shows("mta-sts-invalid")]);
    let outcome = short().replay(&MailPolicy, &["example.com"], tape()).await;
    outcome.remarks("server-unavailable").claims(&[ABOUT, host]);
    let nowhere = domain(texts)
        .nxdomain("mta-sts.example.com", "A")
        .nxdomain("mta-sts.example.com", "AAAA");
    let outcome = short().replay(&MailPolicy, &["example.com"], nowhere).await;
    outcome.claims(&[ABOUT, &shows("mta-sts-invalid")]);
}

#[tokio::test]
async fn silence_is_a_failure_and_never_an_exposure() {
    let outcome = replay(&MailPolicy, &["example.com"], Tape::new()).await;
    outcome.fails("unavailable").finds(&[]);
    let tape = Tape::new().dns("example.com", "MX", &[]);
    let outcome = short().replay(&MailPolicy, &["example.com"], tape).await;
    outcome.fails("unavailable").finds(&["example.com"]);
}
