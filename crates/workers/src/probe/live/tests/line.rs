//! One line said to small servers, honest and not.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::web::{Listener, listen, nowhere};
use super::*;

fn line(text: &str) -> Option<Line<'_>> {
    Some(Line {
        text,
        bytes_max: 1000,
    })
}

/// Hears one line, then leaves the stream to `answer`.
async fn after_a_line<R>(
    answer: impl Fn(TcpStream, String) -> R + Clone + Send + Sync + 'static,
) -> Listener
where
    R: Future<Output = ()> + Send + 'static,
{
    listen(move |stream| {
        let answer = answer.clone();
        async move {
            let (mut stream, mut heard) = (BufReader::new(stream), String::new());
            stream.read_line(&mut heard).await.unwrap();
            answer(stream.into_inner(), heard).await;
        }
    })
    .await
}

#[tokio::test]
async fn what_is_answered_to_a_line_is_heard_to_the_end_and_kept() {
    let server = after_a_line(|mut stream, heard| async move {
        stream.write_all(b"you said ").await.unwrap();
        stream.write_all(heard.as_bytes()).await.unwrap();
    })
    .await;
    let world = world(policy(nowhere())).await;
    let port = world.probe.tcp(server.at, line("example.com")).await;
    let port = port.unwrap().unwrap();
    assert_eq!(
        (&port.said[..], port.is_cut),
        (&b"you said example.com\r\n"[..], false)
    );
    assert_eq!(world.kept.all().len(), 1);
    let kept = Exchange::decode(&world.kept.all()[0]).unwrap();
    assert_eq!(kept.payload, port.said);
    let closed = server.at;
    drop(server);
    let closed = world.probe.tcp(closed, line("example.com")).await;
    assert!(closed.unwrap().is_none());
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let endless = after_a_line(|mut stream, _| async move {
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let slow = after_a_line(|mut stream, _| async move {
        stream.write_all(b"begun").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
    let world = world(impatient(nowhere())).await;
    let port = world
        .probe
        .tcp(endless.at, line("x"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((port.said.len(), port.is_cut), (1000, true));
    let port = world.probe.tcp(slow.at, line("x")).await.unwrap().unwrap();
    assert_eq!((&port.said[..], port.is_cut), (&b"begun"[..], true));
}

#[tokio::test]
async fn silence_is_no_answer_and_two_lines_are_never_said() {
    let silent = after_a_line(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let world = world(impatient(nowhere())).await;
    let failed = world.probe.tcp(silent.at, line("x")).await.unwrap_err();
    assert_eq!(failed.reason(), "unavailable");
    let accepted = silent.accepted();
    for text in ["", "a\r\nb", "a\n", "a\0"] {
        let failed = world.probe.tcp(silent.at, line(text)).await.unwrap_err();
        assert_eq!(failed.reason(), "malformed", "{text:?}");
    }
    assert_eq!((silent.accepted(), world.kept.all().len()), (accepted, 0));
}
