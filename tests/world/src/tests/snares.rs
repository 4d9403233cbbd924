//! The traps do what they are there for.

use std::collections::HashMap;

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use super::lookups::{ask, datagram, question};
use super::*;

/// A visit to a trap over plain HTTP, with the request sent.
async fn visit(world: &World, trap: &str) -> TcpStream {
    let name = format!("{trap}.trap.mirage-corp.example");
    let trap = world
        .expected()
        .traps
        .iter()
        .find(|trap| trap.name == name)
        .unwrap();
    let mut stream = TcpStream::connect((trap.address, world.ports().http))
        .await
        .unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {name}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// The first `length` bytes of the answer.
async fn first(world: &World, trap: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(PATIENCE, visit(world, trap).await.read_exact(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    bytes
}

async fn all(world: &World, trap: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    timeout(PATIENCE, visit(world, trap).await.read_to_end(&mut bytes))
        .await
        .unwrap()
        .unwrap();
    bytes
}

#[tokio::test]
async fn endless_answers_go_on_for_as_long_as_anyone_reads() {
    let world = hostile().await;
    assert!(
        first(&world, "endless-body", 4 << 20)
            .await
            .ends_with(&[0; 1024])
    );
    let headers = first(&world, "endless-headers", 1 << 20).await;
    assert!(!headers.windows(4).any(|bytes| bytes == b"\r\n\r\n"));
}

#[tokio::test]
async fn the_bomb_is_a_thousand_times_larger_than_it_looks() {
    let world = hostile().await;
    let answer = first(&world, "gzip-bomb", 64 * 1024).await;
    let start = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap()
        + 4;
    let mut decoder = flate2::read::GzDecoder::new(&answer[start..]);
    let mut zeros = Vec::new();
    // The piece that was read ends in the middle of the stream.
    std::io::Read::read_to_end(&mut decoder, &mut zeros).unwrap_err();
    assert!(zeros.len() > 500 * answer.len(), "{}", zeros.len());
}

#[tokio::test]
async fn redirects_lead_where_they_say() {
    let world = hostile().await;
    let (canary, port) = (world.canary_address(), world.canary_address().port());
    let cases = HashMap::from([
        ("redirect-canary", format!("http://{canary}/")),
        ("redirect-loopback", format!("http://127.0.0.1:{port}/")),
        ("redirect-decimal", format!("http://2130706433:{port}/")),
        (
            "redirect-mapped",
            format!("http://[::ffff:127.0.0.1]:{port}/"),
        ),
        ("redirect-schemeless", format!("//127.0.0.1:{port}/")),
        (
            "redirect-metadata",
            "http://169.254.169.254/latest/meta-data/".to_owned(),
        ),
        ("redirect-file", "file:///etc/passwd".to_owned()),
        ("redirect-spiral", "/1".to_owned()),
    ]);
    for (trap, target) in cases {
        let answer = String::from_utf8(all(&world, trap).await).unwrap();
        assert!(
            answer.contains(&format!("\r\nlocation: {target}\r\n")),
            "{trap}: {answer}"
        );
    }
    assert_eq!(world.canary(), 0);
}

#[tokio::test]
async fn markup_is_as_deep_and_as_wide_as_promised() {
    let world = hostile().await;
    let deep = String::from_utf8(all(&world, "deep-html").await).unwrap();
    assert_eq!(deep.matches("<div>").count(), 200_000);
    let wide = String::from_utf8(all(&world, "attributes").await).unwrap();
    assert!(wide.contains(" a99999=1"));
    let title = String::from_utf8(all(&world, "hostile-title").await).unwrap();
    assert!(title.contains("\u{1b}]52;") && title.contains('\u{202e}'));
}

#[tokio::test]
async fn silent_and_slow_servers_hold_the_line() {
    let world = hostile().await;
    let mut byte = [0];
    for trap in ["silent-tcp", "slow-body", "slow-headers"] {
        let mut stream = visit(&world, trap).await;
        let end = async { while stream.read(&mut byte).await.unwrap() > 0 {} };
        assert!(
            timeout(Duration::from_millis(300), end).await.is_err(),
            "{trap}"
        );
    }
}

#[tokio::test]
async fn every_other_answer_is_the_canary() {
    let world = hostile().await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        let message = ask(&world, "rebind.trap.mirage-corp.example", RecordType::A).await;
        answers.push(message.answers[0].data.ip_addr().unwrap().to_string());
    }
    assert_eq!(answers[0], answers[2]);
    assert_eq!(
        [answers[1].as_str(), answers[3].as_str()],
        ["127.66.66.66"; 2]
    );
    assert_ne!(answers[0], answers[1]);
}

#[tokio::test]
async fn aliases_and_names_that_loop_end_in_a_bounded_answer() {
    let world = hostile().await;
    let message = ask(&world, "cname-loop.trap.mirage-corp.example", RecordType::A).await;
    assert!((2..=4).contains(&message.answers.len()), "{message}");
    let query = question("compression-loop.trap.mirage-corp.example", RecordType::A);
    let bytes = datagram(&world, &query.to_vec().unwrap()).await;
    assert!(Message::from_vec(&bytes).is_err());
}

#[tokio::test]
async fn every_trap_is_logged_as_a_name_and_a_peaceful_world_has_none() {
    let world = hostile().await;
    let names: Vec<&str> = world
        .expected()
        .traps
        .iter()
        .map(|trap| trap.name.as_str())
        .collect();
    assert!(names.is_sorted() && names.len() > 30);
    assert!(peaceful().await.expected().traps.is_empty());
}
