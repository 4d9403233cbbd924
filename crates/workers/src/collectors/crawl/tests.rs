//! Pages, redirects, robots.txt and bounds against recorded answers.

use super::*;
use crate::collectors::testing::{Tape, given, replay};

const SEED: &str = "https://example.com/";
const HTML: (&str, &str) = ("Content-Type", "text/html");

/// A site without robots.txt.
fn open() -> Tape {
    Tape::new().http("https://example.com/robots.txt", 404, &[], "")
}

#[tokio::test]
async fn a_page_is_reported_with_its_links_and_their_hosts() {
    let html = "<title>Home</title><a href=/a>a</a><a href=https://shop.example.net/>b</a><a href=/>self</a>";
    let tape = open().http(SEED, 200, &[HTML], html);
    replay(&Crawl, &[SEED], tape)
        .await
        .claims(&[
            "url:https://example.com/ about url:https://example.com/",
            "url:https://example.com/ links-to url:https://example.com/a",
            "url:https://example.com/ links-to url:https://shop.example.net/",
            "url:https://example.com/ links-to domain:shop.example.net",
        ])
        .attribute(&format!("url:{SEED}"), "title", "Home");
}

#[tokio::test]
async fn a_redirect_is_reported_and_not_followed() {
    let tape = open().http(SEED, 301, &[("Location", "https://www.example.com/")], "");
    replay(&Crawl, &[SEED], tape).await.claims(&[
        "url:https://example.com/ about url:https://example.com/",
        "url:https://example.com/ redirects-to url:https://www.example.com/",
        "url:https://example.com/ links-to domain:www.example.com",
    ]);
}

#[tokio::test]
async fn what_robots_txt_disallows_is_not_fetched() {
    let url = "https://example.com/private/x";
    for (status, is_fetched) in [(200, false), (404, true), (500, false)] {
        let tape = Tape::new()
            .http(
                "https://example.com/robots.txt",
                status,
                &[],
                "User-agent: *\nDisallow: /private",
            )
            .http(url, 200, &[], "");
        let outcome = replay(&Crawl, &[url], tape).await;
        let count = outcome.findings().len();
        assert_eq!(count, usize::from(is_fetched), "{status}");
        if !is_fetched {
            outcome.remarks("robots");
        }
    }
    let silent = Tape::new().http(url, 200, &[], "");
    replay(&Crawl, &[url], silent)
        .await
        .remarks("robots")
        .finds(&[]);
}

#[tokio::test]
async fn a_page_that_does_not_answer_and_a_wrong_setting_are_failures() {
    let outcome = replay(&Crawl, &[SEED], open()).await;
    outcome.fails("unavailable").finds(&[]);
    let given = given().setting("links-max", "many");
    let outcome = given.replay(&Crawl, &[SEED], open()).await;
    outcome.fails("malformed").finds(&[]);
}

#[tokio::test]
async fn every_bound_is_remarked_where_it_cut() {
    let urls: Vec<String> = (0..3).map(|n| format!("{SEED}?{n}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let tape = || {
        urls.iter().fold(open(), |tape, url| {
            tape.http(url, 200, &[HTML], "<a href=x><a href=y>")
        })
    };
    let fetched = |outcome: &crate::collectors::testing::Outcome| {
        let own = |f: &&mirage_domain::finding::Finding| f.relation == Some(Relation::About);
        outcome.findings().iter().filter(own).count()
    };
    for (key, count) in [("pages-max", 2), ("queries-max", 2), ("links-max", 3)] {
        let max = if key == "links-max" { "1" } else { "2" };
        let outcome = given()
            .setting(key, max)
            .replay(&Crawl, &urls, tape())
            .await;
        assert_eq!(fetched(&outcome), count, "{key}");
        outcome.remarks("cap-reached");
    }
    let deep = format!("{SEED}{}", "a/".repeat(20));
    replay(&Crawl, &[&deep], open())
        .await
        .remarks("cap-reached")
        .finds(&[]);
    let image = format!("{SEED}logo.PNG");
    replay(&Crawl, &[&image], open()).await.finds(&[]);
}
