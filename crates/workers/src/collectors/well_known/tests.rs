//! Files in known places against recorded answers.

use super::*;
use crate::collectors::testing::{Tape, given, replay};

fn resolved() -> Tape {
    Tape::new()
        .dns("example.com", "A", &["192.0.2.1"])
        .dns("example.com", "AAAA", &[])
}

#[tokio::test]
async fn each_file_is_reported_with_what_it_mentions() {
    let tape = resolved()
        .http(
            "https://example.com/.well-known/security.txt",
            200,
            &[],
            "Contact: mailto:a@example.com\n",
        )
        .http(
            "https://example.com/robots.txt",
            301,
            &[("Location", "/robots")],
            "",
        )
        .http(
            "https://example.com/robots",
            200,
            &[],
            "User-agent: *\nDisallow: /admin\n",
        )
        .http(
            "https://example.com/.well-known/openid-configuration",
            200,
            &[],
            r#"{"issuer":"https://sso.example.com"}"#,
        )
        .http(
            "https://example.com/.well-known/change-password",
            302,
            &[("Location", "https://id.example.com/pw")],
            "",
        );
    replay(&WellKnown, &["example.com"], tape).await.claims(&[
        "domain:example.com serves url:https://example.com/.well-known/security.txt",
        "url:https://example.com/.well-known/security.txt mentions email:a@example.com",
        "domain:example.com serves url:https://example.com/robots",
        "url:https://example.com/robots mentions url:https://example.com/admin",
        "domain:example.com serves url:https://example.com/.well-known/openid-configuration",
        "url:https://example.com/.well-known/openid-configuration mentions url:https://sso.example.com/",
        "url:https://example.com/.well-known/openid-configuration mentions domain:sso.example.com",
        "domain:example.com serves url:https://example.com/.well-known/change-password",
        "url:https://example.com/.well-known/change-password redirects-to url:https://id.example.com/pw",
    ]);
}

#[tokio::test]
async fn an_index_of_site_maps_is_followed_one_level() {
    let set = |url: &str| format!("<urlset><url><loc>{url}</loc></url></urlset>");
    let index = "<sitemapindex><loc>https://example.com/1.xml</loc></sitemapindex>";
    let tape = resolved()
        .http("https://example.com/.well-known/security.txt", 404, &[], "")
        .http("https://example.com/sitemap.xml", 200, &[], index)
        .http(
            "https://example.com/1.xml",
            200,
            &[],
            set("https://docs.example.com/a"),
        );
    replay(&WellKnown, &["example.com"], tape).await.finds(&[
        "url:https://example.com/sitemap.xml",
        "url:https://example.com/1.xml",
        "url:https://docs.example.com/a",
        "domain:docs.example.com",
    ]);
}

#[tokio::test]
async fn a_site_that_answers_everything_has_no_file() {
    let page = "<html>Contact: mailto:a@example.com\nDisallow: /x";
    replay(&WellKnown, &["example.com"], resolved().any_http(page))
        .await
        .finds(&[]);
}

#[tokio::test]
async fn http_is_asked_only_where_https_is_not_answered() {
    let text = "Contact: mailto:a@example.com";
    let plain = resolved().http(
        "http://example.com/.well-known/security.txt",
        200,
        &[],
        text,
    );
    let both = plain
        .clone()
        .http("https://example.com/.well-known/security.txt", 404, &[], "");
    let found = [
        "url:http://example.com/.well-known/security.txt",
        "email:a@example.com",
    ];
    replay(&WellKnown, &["example.com"], plain)
        .await
        .finds(&found);
    replay(&WellKnown, &["example.com"], both).await.finds(&[]);
}

#[tokio::test]
async fn a_name_that_cannot_be_resolved_or_a_wrong_port_is_a_failure() {
    let outcome = replay(&WellKnown, &["example.com"], Tape::new()).await;
    outcome.fails("unavailable").finds(&[]);
    let given = given().setting("tls-ports", "-1");
    let outcome = given.replay(&WellKnown, &["example.com"], resolved()).await;
    outcome.fails("malformed").finds(&[]);
    let nobody = Tape::new()
        .nxdomain("example.com", "A")
        .nxdomain("example.com", "AAAA");
    replay(&WellKnown, &["example.com"], nobody)
        .await
        .finds(&[]);
}

#[tokio::test]
async fn a_huge_file_is_cut_and_remarked() {
    let text: String = (0..5000).map(|n| format!("Disallow: /{n}\n")).collect();
    let tape = resolved()
        .http("https://example.com/.well-known/security.txt", 404, &[], "")
        .http(
            "https://example.com/robots.txt",
            200,
            &[],
            format!("User-agent: *\n{text}"),
        );
    let outcome = replay(&WellKnown, &["example.com"], tape).await;
    assert_eq!(outcome.findings().len(), files::MENTIONS_MAX + 1);
    outcome.remarks("cap-reached");
}
