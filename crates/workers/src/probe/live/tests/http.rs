//! HTTP against servers that behave, and servers that do not.

use std::io::Write;

use mirage_domain::module::{Profile, Setting};
use tokio::io::AsyncWriteExt;

use super::super::super::replay::Replay;
use super::web::{self, listen, nowhere, page, redirect};
use super::*;
use crate::probe::HOPS_MAX;

fn get(url: String) -> HttpRequest {
    HttpRequest::get(url)
}

#[tokio::test]
async fn a_page_comes_with_its_headers_in_order_and_its_evidence() {
    let server = web::serve(|_, _| {
        page(
            "404 Not Found",
            &["X-B: 1", "X-A: 2", "Set-Cookie: a=b"],
            b"gone",
        )
    })
    .await;
    let world = world(policy(nowhere())).await;
    let found = world.probe.http(get(server.url("/x?q=1#f"))).await.unwrap();
    assert_eq!((found.status, &found.body[..]), (404, &b"gone"[..]));
    assert_eq!(found.url, server.url("/x?q=1"));
    assert_eq!((found.version, found.is_cut), ("HTTP/1.1", false));
    assert_eq!(found.remote, Some(server.at));
    let names: Vec<_> = found
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["content-length", "x-b", "x-a", "set-cookie"]);
    let exchange = world.probe.evidence(found.evidence).await.unwrap();
    assert_eq!(exchange.payload, b"gone");
    assert_eq!(world.probe.cost().0, 1);
    let head = server.heads.lock().unwrap()[0].clone();
    assert!(
        head.starts_with("GET /x?q=1 HTTP/1.1\r\nhost: 127.0.0.1:"),
        "{head}"
    );
}

#[tokio::test]
async fn redirects_are_followed_each_with_its_own_evidence() {
    let server = web::serve(|path, _| match path {
        "/a" => redirect("/b"),
        "/b" => redirect("c?d"),
        "/c?d" => page("200 OK", &[], b"end"),
        _ => page("404 Not Found", &[], b""),
    })
    .await;
    let world = world(policy(nowhere())).await;
    let found = world.probe.http(get(server.url("/a"))).await.unwrap();
    assert_eq!((found.status, found.hops.len()), (200, 2));
    assert_eq!(found.hops[1].to, server.url("/c?d"));
    assert_eq!(world.kept.all().len(), 3);
    let mut request = get(server.url("/a"));
    request.follow = false;
    let first = world.probe.http(request).await.unwrap();
    assert_eq!((first.status, first.hops.len()), (302, 0));
}

#[tokio::test]
async fn a_redirect_loop_ends_at_the_cap() {
    let server = web::serve(|_, _| redirect("/")).await;
    let world = world(policy(nowhere())).await;
    let found = world.probe.http(get(server.url("/"))).await.unwrap();
    assert_eq!((found.status, found.hops.len()), (302, HOPS_MAX));
    assert_eq!(server.accepted(), HOPS_MAX + 1);
}

#[tokio::test]
async fn a_page_is_fetched_once_in_a_scan() {
    let server = web::serve(|_, _| page("200 OK", &[], b"x")).await;
    let world = world(policy(nowhere())).await;
    let ask = || world.probe.http(get(server.url("/")));
    let (first, second) = tokio::join!(ask(), ask());
    assert_eq!(first.unwrap().evidence, second.unwrap().evidence);
    assert_eq!(server.accepted(), 1);
    let mut request = get(server.url("/"));
    request.connect = Some(server.at.ip());
    world.probe.http(request).await.unwrap();
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn a_gzip_bomb_and_an_endless_body_are_cut_at_the_cap() {
    let bomb = {
        let level = flate2::Compression::best();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
        encoder.write_all(&vec![0; 32 * 1024 * 1024]).unwrap();
        encoder.finish().unwrap()
    };
    let server = web::serve(move |_, _| page("200 OK", &["content-encoding: gzip"], &bomb)).await;
    let endless = listen(|mut stream| async move {
        web::head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'0'; 65536]).await.is_ok() {}
    })
    .await;
    let world = world(policy(nowhere())).await;
    for server in [&server, &endless] {
        let mut request = get(server.url("/"));
        request.body_bytes_max = 100_000;
        let found = world.probe.http(request).await.unwrap();
        assert_eq!((found.body.len(), found.is_cut), (100_000, true));
    }
}

#[tokio::test]
async fn a_lying_length_and_a_broken_chunk_are_cut() {
    let server = web::serve(|path, _| match path {
        "/length" => b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nfffffffff\r\nx"
            .to_vec(),
    })
    .await;
    let world = world(policy(nowhere())).await;
    for path in ["/length", "/chunk"] {
        let found = world.probe.http(get(server.url(path))).await.unwrap();
        assert!(found.is_cut && found.body.starts_with(b"hello"), "{path}");
    }
}

/// Sends `first`, then one byte at a time, slowly, for ever.
async fn slow(first: &'static [u8]) -> web::Listener {
    listen(move |mut stream| async move {
        web::head(&mut stream).await;
        let _ = stream.write_all(first).await;
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_drips_is_left_at_the_deadline_of_the_phase() {
    let headers = slow(b"HTTP/1.1 200 OK\r\nx: ").await;
    let body = slow(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let silent = listen(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let world = world(impatient(nowhere())).await;
    let started = std::time::Instant::now();
    let (headers, body, silent) = tokio::join!(
        world.probe.http(get(headers.url("/"))),
        world.probe.http(get(body.url("/"))),
        world.probe.http(get(silent.url("/"))),
    );
    assert_eq!(headers.unwrap_err().reason(), "unavailable");
    assert!(body.unwrap().is_cut);
    assert_eq!(silent.unwrap_err().reason(), "unavailable");
    // Deadlines of 0.6 s at most; the rest is room for a busy machine.
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn endless_headers_and_garbage_are_malformed() {
    let endless = listen(|mut stream| async move {
        web::head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let line = format!("x: {}\r\n", "a".repeat(1000));
        while stream.write_all(line.as_bytes()).await.is_ok() {}
    })
    .await;
    let many = web::serve(|_, _| page("200 OK", &["a: b"; 1000], b"")).await;
    let garbage = web::serve(|_, _| b"SSH-2.0-OpenSSH\r\n\r\n".to_vec()).await;
    let world = world(policy(nowhere())).await;
    for server in [endless, many, garbage] {
        let failed = world.probe.http(get(server.url("/"))).await.unwrap_err();
        assert_eq!(failed.reason(), "malformed");
        assert_eq!(server.accepted(), 1, "garbage is not asked again");
    }
}

#[tokio::test]
async fn a_reset_is_tried_again_and_a_refusal_is_not() {
    let server = listen(|stream| async move { drop(stream) }).await;
    let world = world(policy(nowhere())).await;
    let failed = world.probe.http(get(server.url("/"))).await.unwrap_err();
    assert_eq!(failed.reason(), "unavailable");
    assert_eq!(server.accepted(), 3);
    let at = server.at;
    drop(server);
    let before = world.probe.cost().0;
    let failed = world
        .probe
        .http(get(format!("http://{at}/x")))
        .await
        .unwrap_err();
    assert_eq!(failed.reason(), "unavailable");
    assert_eq!(world.probe.cost().0 - before, 1);
}

static SOURCE: Manifest = Manifest {
    name: "source",
    profile: Profile::Passive,
    settings: &[Setting {
        key: "key",
        help: "",
        default: "",
        is_secret: true,
        is_operators: false,
    }],
    ..Manifest::DEFAULT
};

#[tokio::test]
async fn a_source_s_retry_after_is_waited_for_or_limits() {
    let counter = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let server = web::serve(move |path, _| {
        let is_first = counter.fetch_add(1, Ordering::SeqCst) == 0;
        match (path, is_first) {
            ("/soon", true) => page("429 Too Many Requests", &["retry-after: 0"], b""),
            ("/soon", false) => page("200 OK", &[], b"x"),
            _ => page("503 Service Unavailable", &["retry-after: 3600"], b""),
        }
    })
    .await;
    let live = Live::new(LiveConfig::default()).await.unwrap();
    let scan = live.scan(policy(nowhere()), Arc::new(Kept::default()));
    let source = scan.task(&SOURCE);
    let found = source.http(get(server.url("/soon"))).await.unwrap();
    assert_eq!(found.status, 200);
    let failed = source.http(get(server.url("/late"))).await.unwrap_err();
    assert_eq!(failed.reason(), "limited");
    let target = scan
        .task(&MANIFEST)
        .http(get(server.url("/late")))
        .await
        .unwrap();
    assert_eq!(target.status, 503, "a target's limit is an answer");
}

#[tokio::test]
async fn a_secret_is_on_the_wire_and_nowhere_else() {
    const CANARY: &str = "s3cr3t/canary";
    let other = web::serve(|_, _| page("200 OK", &[], b"away")).await;
    let away = other.url("/away?k={secret:source.key}");
    let server = web::serve(move |path, _| {
        let echo = format!("x-echo: {CANARY}");
        match path.split('?').next() {
            Some("/a") => page(
                "302 Found",
                &[&format!("location: /b?k={CANARY}"), &echo],
                CANARY.as_bytes(),
            ),
            _ => page("302 Found", &[&format!("location: {away}"), &echo], b""),
        }
    })
    .await;
    let mut policy = policy(nowhere());
    policy.secrets = [("source.key".to_owned(), CANARY.to_owned())].into();
    let live = Live::new(LiveConfig::default()).await.unwrap();
    let kept = Arc::new(Kept::default());
    let scan = live.scan(policy, kept.clone());
    let mut request = get(server.url("/a?k={secret:source.key}"));
    request.headers = vec![("x-api-key".into(), "{secret:source.key}".into())];
    let found = scan.task(&SOURCE).http(request.clone()).await.unwrap();
    assert_eq!(found.body, "away");
    let heads = server.heads.lock().unwrap().clone();
    assert!(heads[0].contains("/a?k=s3cr3t%2Fcanary "), "{}", heads[0]);
    assert!(heads[0].contains("x-api-key: s3cr3t/canary\r\n"));
    assert!(heads[1].contains("x-api-key: s3cr3t/canary\r\n"));
    let away = other.heads.lock().unwrap()[0].clone();
    assert!(
        !away.contains("s3cr3t") && !away.contains("x-api-key"),
        "{away}"
    );
    for bytes in kept.all() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    assert!(!format!("{found:?}").contains("s3cr3t"));
    // A module that does not declare the secret does not get it.
    request.follow = false;
    scan.task(&MANIFEST).http(request).await.unwrap();
    let head = server.heads.lock().unwrap().pop().unwrap();
    assert!(!head.contains("s3cr3t"), "{head}");
}

#[tokio::test]
async fn a_replay_of_the_evidence_answers_as_the_network_did() {
    let server = web::serve(|path, _| match path {
        "/a" => redirect("/b"),
        _ => page("200 OK", &["Server: x"], b"text"),
    })
    .await;
    let world = world(policy(nowhere())).await;
    let live = world.probe.http(get(server.url("/a"))).await.unwrap();
    let exchanges = world.kept.all();
    let exchanges = exchanges
        .iter()
        .map(|bytes| Exchange::decode(bytes).unwrap());
    let replay = Replay::new(exchanges.collect());
    let again = replay.http(get(server.url("/a"))).await.unwrap();
    assert_eq!(format!("{again:?}"), format!("{live:?}"));
    let failed = replay.http(get(server.url("/c"))).await.unwrap_err();
    assert_eq!(failed, CollectError::Unavailable("not recorded".into()));
}

#[tokio::test]
async fn a_host_has_no_more_connections_than_its_places() {
    let open = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (now, peak) = (open.clone(), most.clone());
    let server = listen(move |mut stream| {
        let (now, peak) = (now.clone(), peak.clone());
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            web::head(&mut stream).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            // Before the answer, so that the next connection is surely counted after.
            now.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.write_all(&page("200 OK", &[], b"")).await;
        }
    })
    .await;
    let mut policy = policy(nowhere());
    policy.concurrency_per_host = 2;
    let world = world(policy).await;
    let ask = |n: usize| world.probe.http(get(server.url(&format!("/{n}"))));
    let pages = futures::future::join_all((0..8).map(ask)).await;
    assert!(pages.iter().all(Result::is_ok));
    assert!(most.load(Ordering::SeqCst) <= 2);
}
