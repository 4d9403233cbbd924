//! Kept connections, and servers that keep silent.

use std::net::Ipv4Addr;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::web::{self, listen, nowhere, page};
use super::*;

/// Answers `answers` requests on each connection, then closes it without a word.
async fn keeping(answers: usize) -> web::Listener {
    listen(move |mut stream: TcpStream| async move {
        for _ in 0..answers {
            if web::head(&mut stream).await.is_empty() {
                return;
            }
            let _ = stream.write_all(&page("200 OK", &[], b"kept")).await;
        }
    })
    .await
}

#[tokio::test]
async fn one_connection_serves_the_requests_of_a_scan_and_of_no_other() {
    let server = keeping(100).await;
    let live = Live::new(LiveConfig::default()).await.unwrap();
    for scan in 1..=2 {
        let scan_probe = live.scan(policy(nowhere()), Arc::new(Kept::default()));
        for n in 0..5 {
            let task = scan_probe.task(&MANIFEST);
            let url = server.url(&format!("/{n}"));
            let found = task.http(HttpRequest::get(url)).await.unwrap();
            assert_eq!((found.status, task.cost().0), (200, 1));
            assert_eq!(found.remote, Some(server.at));
        }
        assert_eq!(server.accepted(), scan);
    }
}

#[tokio::test]
async fn a_stale_connection_is_replaced_and_charged_once() {
    let server = keeping(1).await;
    let world = world(policy(nowhere())).await;
    for n in 0..20 {
        let url = server.url(&format!("/{n}"));
        let found = world.probe.http(HttpRequest::get(url)).await.unwrap();
        assert_eq!(&found.body[..], b"kept");
    }
    assert_eq!((server.accepted(), world.probe.cost().0), (20, 20));
}

#[tokio::test]
async fn another_name_at_the_same_address_gets_a_connection_of_its_own() {
    let server = keeping(100).await;
    let world = world(policy(nowhere())).await;
    for name in ["a.example", "b.example"] {
        for path in ["x", "y"] {
            let url = format!("http://{name}:{}/{path}", server.at.port());
            let mut request = HttpRequest::get(url);
            request.connect = Some(server.at.ip());
            world.probe.http(request).await.unwrap();
        }
    }
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_cut_answer_s_connection_is_not_used_again() {
    let server = keeping(100).await;
    let world = world(policy(nowhere())).await;
    for path in ["/x", "/y"] {
        let mut request = HttpRequest::get(server.url(path));
        request.body_bytes_max = 2;
        assert!(world.probe.http(request).await.unwrap().is_cut);
    }
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn two_hundred_silent_targets_do_not_delay_a_good_one() {
    // The kernel accepts for them; nobody answers.
    let silent = (0..200).map(|n| TcpListener::bind((Ipv4Addr::new(127, 1, n, 1), 0)));
    let silent = futures::future::try_join_all(silent).await.unwrap();
    let good = keeping(100).await;
    let config = LiveConfig {
        concurrency: 64,
        waiting: 256,
    };
    let live = Live::new(config).await.unwrap();
    let scan = live.scan(policy(nowhere()), Arc::new(Kept::default()));
    let ask = |url: String| {
        let task = scan.task(&MANIFEST);
        tokio::spawn(async move { task.http(HttpRequest::get(url)).await })
    };
    let targets = silent
        .iter()
        .map(|silent| ask(format!("http://{}/", silent.local_addr().unwrap())));
    let targets: Vec<_> = targets.collect();
    let started = std::time::Instant::now();
    let found = ask(good.url("/")).await.unwrap().unwrap();
    let taken = started.elapsed();
    assert_eq!(found.status, 200);
    assert!(taken < Timeouts::default().first_byte / 2, "{taken:?}");
    assert!(targets.iter().all(|target| !target.is_finished()));
    targets.iter().for_each(tokio::task::JoinHandle::abort);
}
