//! Guesses against recorded answers.

use std::io::Write;

use super::*;
use crate::collectors::testing::{Given, Tape, given, replay};

/// A list of these words, and settings that name it.
fn listed(words: &[&str]) -> (tempfile::NamedTempFile, Given) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(words.join("\n").as_bytes()).unwrap();
    let given = given().setting("words", file.path().to_str().unwrap());
    (file, given)
}

#[tokio::test]
async fn the_words_of_the_built_in_list_are_guessed_below_a_domain() {
    let words = words::read("").await.unwrap();
    let tape = words.iter().fold(Tape::new(), |tape, word| {
        let name = format!("{word}.example.com");
        match word {
            "vpn" => tape.dns(&name, "A", &["192.0.2.1"]),
            "git" => tape
                .dns(&name, "A", &[])
                .dns(&name, "AAAA", &["2001:db8::1"]),
            "mail" => tape.dns(&name, "A", &[]).dns(&name, "AAAA", &[]),
            "status" => tape.dns(&name, "A", &["CNAME gone.example.net."]),
            _ => tape.nxdomain(&name, "A"),
        }
    });
    let tape = tape.unregistered("example.com", &[], &[]);
    replay(&Bruteforce, &["example.com"], tape).await.claims(&[
        "domain:git.example.com subdomain-of domain:example.com",
        "domain:status.example.com subdomain-of domain:example.com",
        "domain:vpn.example.com subdomain-of domain:example.com",
    ]);
}

#[tokio::test]
async fn what_a_wildcard_answers_is_discarded() {
    let (_file, given) = listed(&["a", "b", "c", "d"]);
    let wild = ["CNAME all.example.net.", "192.0.2.7"];
    let tape = Tape::new()
        .dns("a.example.com", "A", &wild)
        .dns(
            "b.example.com",
            "A",
            &["CNAME all.example.net.", "192.0.2.8"],
        )
        .dns("c.example.com", "A", &["192.0.2.9"])
        .dns("d.example.com", "A", &["192.0.2.7"])
        .unregistered("example.com", &wild, &[]);
    let outcome = given.replay(&Bruteforce, &["example.com"], tape).await;
    let outcome = outcome.finds(&["c.example.com"]);
    assert_eq!(outcome.findings()[0].confidence, CONFIDENCE_IF_WILD);
    assert_eq!(outcome.findings()[0].evidence.len(), 2);
}

#[tokio::test]
async fn a_wildcard_of_ipv6_addresses_or_of_a_dead_alias_is_one_too() {
    for (four, six) in [
        (&[][..], &["2001:db8::1"][..]),
        (&["CNAME gone.example.net."], &[]),
    ] {
        let (_file, given) = listed(&["a"]);
        let tape = Tape::new()
            .dns("a.example.com", "A", four)
            .dns("a.example.com", "AAAA", six)
            .unregistered("example.com", four, six);
        let outcome = given.replay(&Bruteforce, &["example.com"], tape).await;
        outcome.finds(&[]);
    }
}

/// The mutations of a label are not there, but for one.
fn mutated(label: &str, zone: &str, there: &str) -> Tape {
    mutations::of(label)
        .iter()
        .fold(Tape::new(), |tape, guess| {
            let name = format!("{guess}.{zone}");
            match guess == there {
                true => tape.dns(&name, "A", &["192.0.2.1"]),
                false => tape.nxdomain(&name, "A"),
            }
        })
}

#[tokio::test]
async fn a_name_is_mutated_beside_itself() {
    let tape = mutated("web1", "eu.example.com", "web2").unregistered("eu.example.com", &[], &[]);
    let given = given().scope("example.com");
    let outcome = given
        .replay(&Bruteforce, &["web1.eu.example.com"], tape)
        .await;
    outcome.claims(&[
        "domain:web1.eu.example.com subdomain-of domain:eu.example.com",
        "domain:web2.eu.example.com subdomain-of domain:eu.example.com",
    ]);
}

#[tokio::test]
async fn where_any_name_is_answered_nothing_is_mutated() {
    let tape = Tape::new().unregistered("wild.example.com", &["192.0.2.7"], &[]);
    let given = given().scope("example.com");
    let outcome = given
        .replay(&Bruteforce, &["web1.wild.example.com"], tape)
        .await;
    outcome.finds(&[]);
}

#[tokio::test]
async fn words_are_guessed_deeper_only_if_the_setting_says_so() {
    let (_file, given) = listed(&["a"]);
    let tape = mutated("dev", "example.com", "")
        .dns("a.dev.example.com", "A", &["192.0.2.1"])
        .unregistered("example.com", &[], &[])
        .unregistered("dev.example.com", &[], &[]);
    let given = given.scope("example.com");
    let outcome = given.replay(&Bruteforce, &["dev.example.com"], tape.clone());
    outcome.await.finds(&[]);
    let deeper = given.setting("depth", "1");
    let outcome = deeper.replay(&Bruteforce, &["dev.example.com"], tape).await;
    outcome.finds(&["a.dev.example.com"]);
}

#[tokio::test]
async fn guesses_without_an_answer_are_remarked_and_many_of_them_fail() {
    let (_file, given) = listed(&["a", "b", "\u{1b}[2J", "*", "a b"]);
    let tape = || Tape::new().unregistered("example.com", &[], &[]);
    let one = tape().dns("a.example.com", "A", &["192.0.2.1"]);
    let outcome = given.replay(&Bruteforce, &["example.com"], one).await;
    outcome.remarks("unanswered").finds(&["a.example.com"]);
    let outcome = replay(&Bruteforce, &["example.com"], tape()).await;
    outcome.fails("unavailable").finds(&[]);
}

#[tokio::test]
async fn a_list_that_is_not_there_is_refused() {
    let given = given().setting("words", "no/such/list");
    let outcome = given.replay(&Bruteforce, &["example.com"], Tape::new());
    outcome.await.fails("refused").finds(&[]);
}
