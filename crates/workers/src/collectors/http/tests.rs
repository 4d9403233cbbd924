//! Root pages, redirects and services against recorded answers.

use super::*;
use crate::collectors::testing::{Tape, given, replay};

const HTML: (&str, &str) = ("Content-Type", "text/html");

fn resolved() -> Tape {
    Tape::new()
        .dns("example.com", "A", &["192.0.2.1", "192.0.2.2"])
        .dns("example.com", "AAAA", &[])
}

#[tokio::test]
async fn a_root_page_gives_its_title_its_software_and_its_icon() {
    let tape = resolved()
        .http(
            "https://example.com/",
            200,
            &[
                HTML,
                ("Server", "nginx/1.25.3"),
                ("X-Frame-Options", "DENY"),
            ],
            "<title>Hi\n there</title>",
        )
        .http(
            "https://example.com/favicon.ico",
            200,
            &[("Content-Type", "image/png")],
            "png",
        );
    let url = "url:https://example.com/";
    replay(&Http, &["example.com"], tape)
        .await
        .claims(&[
            "domain:example.com serves url:https://example.com/",
            "url:https://example.com/ uses software:nginx/1.25.3",
        ])
        .attribute(url, "status", 200)
        .attribute(url, "title", "Hi there")
        .attribute(url, "server", "nginx/1.25.3")
        .attribute(url, "x_frame_options", "DENY")
        .attribute(url, "favicon_sha256", Digest::of(b"png").to_string());
}

#[tokio::test]
async fn redirects_are_followed_on_their_host_and_reported_beyond() {
    let tape = resolved()
        .http(
            "http://example.com/",
            301,
            &[("Location", "https://example.com/en")],
            "",
        )
        .http(
            "https://example.com/en",
            302,
            &[("Location", "//www.example.org/#x")],
            "",
        )
        .http("https://www.example.org/", 200, &[HTML], "not asked");
    replay(&Http, &["example.com"], tape).await.claims(&[
        "domain:example.com serves url:http://example.com/",
        "url:http://example.com/ redirects-to url:https://example.com/en",
        "domain:example.com serves url:https://example.com/en",
        "url:https://example.com/en redirects-to url:https://www.example.org/",
        "url:https://example.com/en links-to domain:www.example.org",
    ]);
}

#[tokio::test]
async fn every_address_is_asked_on_every_port() {
    let tape = resolved()
        .http_at(
            "192.0.2.1:8080",
            "http://example.com:8080/",
            200,
            &[],
            "one",
        )
        .http_at(
            "192.0.2.2:8080",
            "http://example.com:8080/",
            200,
            &[],
            "another",
        );
    let given = given()
        .setting("plain-ports", "8080")
        .setting("tls-ports", "");
    let outcome = given.replay(&Http, &["example.com"], tape).await;
    assert_eq!(outcome.findings().len(), 2);
    let url = "url:http://example.com:8080/";
    outcome
        .attribute(url, "length", 3)
        .attribute(url, "length", 7)
        .finds(&[url]);
}

#[tokio::test]
async fn a_service_is_asked_by_the_other_scheme_if_the_first_is_not_answered() {
    let tape = Tape::new()
        .http("https://192.0.2.1:8443/", 200, &[], "")
        .http(
            "http://192.0.2.1:8444/",
            400,
            &[],
            "plain HTTP to HTTPS port",
        )
        .http("https://192.0.2.1:8444/", 200, &[], "")
        .http("http://[2001:db8::1]:8080/", 200, &[], "");
    let services = [
        "service:192.0.2.1:8443/tcp",
        "service:192.0.2.1:8444/tcp",
        "service:[2001:db8::1]:8080/tcp",
        "service:192.0.2.1:53/udp",
    ];
    replay(&Http, &services, tape).await.claims(&[
        "service:192.0.2.1:8443/tcp serves url:https://192.0.2.1:8443/",
        "service:192.0.2.1:8444/tcp serves url:http://192.0.2.1:8444/",
        "service:192.0.2.1:8444/tcp serves url:https://192.0.2.1:8444/",
        "service:[2001:db8::1]:8080/tcp serves url:http://[2001:db8::1]:8080/",
    ]);
}

#[tokio::test]
async fn loops_end_and_hostile_values_stay_bounded() {
    let hostile = format!("<title>\u{1b}]0;owned\u{7}{}</title>", "x".repeat(100_000));
    let long = "z".repeat(60_000);
    let headers = [HTML, ("Server", long.as_str()), ("Via", "\u{1b}[2J")];
    let tape = resolved()
        .http("https://example.com/", 200, &headers, hostile)
        .http("http://example.com/", 307, &[("Location", "/")], "");
    let outcome = replay(&Http, &["example.com"], tape).await;
    let url = "url:https://example.com/";
    let title = format!("\u{1b}]0;owned\u{7}{}", "x".repeat(300 - 10));
    outcome
        .finds(&[url, "url:http://example.com/"])
        .attribute(url, "title", title)
        .attribute(url, "server", "z".repeat(512))
        .attribute(url, "via", "\u{1b}[2J");
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_or_a_wrong_port_is_a_failure_and_a_silent_one_is_not() {
    let outcome = replay(&Http, &["example.com"], Tape::new()).await;
    outcome.fails("unavailable").finds(&[]);
    let bad = given().setting("tls-ports", "443,x");
    let outcome = bad.replay(&Http, &["example.com"], resolved()).await;
    outcome.fails("malformed").finds(&[]);
    replay(&Http, &["example.com"], resolved()).await.finds(&[]);
}
