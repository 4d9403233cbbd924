//! Through a proxy: what it is told, what stays at home, and what is never asked of it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::web::{self, listen, nowhere, page};
use super::*;
use crate::probe::proxy::Proxy;

/// What a proxy was asked, and a way through it: everything leads to `to`.
struct Between {
    listener: web::Listener,
    asked: Arc<Mutex<Vec<String>>>,
}

async fn pipe(mut stream: TcpStream, to: SocketAddr) {
    if let Ok(mut target) = TcpStream::connect(to).await {
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut target).await;
    }
}

/// An HTTP proxy that answers absolute requests itself and wants `user:secret`.
async fn http_proxy(to: SocketAddr) -> Between {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let seen = asked.clone();
    let listener = listen(move |mut stream| {
        let seen = seen.clone();
        async move {
            let head = web::head(&mut stream).await;
            seen.lock().unwrap().push(head.clone());
            // `user:secret`.
            if !head.contains("proxy-authorization: Basic dXNlcjpzZWNyZXQ=\r\n") {
                let answer = page("407 Proxy Authentication Required", &[], b"");
                let _ = stream.write_all(&answer).await;
            } else if head.starts_with("CONNECT dead.example") {
                let _ = stream.write_all(&page("502 Bad Gateway", &[], b"")).await;
            } else if head.starts_with("CONNECT") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                pipe(stream, to).await;
            } else {
                let _ = stream.write_all(&page("200 OK", &[], b"relayed")).await;
            }
        }
    })
    .await;
    Between { listener, asked }
}

/// A SOCKS 5 proxy that wants `user:secret` and cannot reach names that begin with `dead`.
async fn socks_proxy(to: SocketAddr) -> Between {
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let seen = asked.clone();
    let listener = listen(move |mut stream| {
        let seen = seen.clone();
        async move {
            if let Some(target) = socks_target(&mut stream).await {
                seen.lock().unwrap().push(target.clone());
                let code = if target.starts_with("dead") { 4 } else { 0 };
                let answer = [5, code, 0, 3, 1, b'x', 0, 0];
                let _ = stream.write_all(&answer).await;
                pipe(stream, to).await;
            }
        }
    })
    .await;
    Between { listener, asked }
}

async fn socks_target(stream: &mut TcpStream) -> Option<String> {
    let mut methods = [0; 2];
    stream.read_exact(&mut methods).await.ok()?;
    let mut offered = vec![0; methods[1].into()];
    stream.read_exact(&mut offered).await.ok()?;
    if !offered.contains(&2) {
        let _ = stream.write_all(&[5, 0xff]).await;
        return None;
    }
    stream.write_all(&[5, 2]).await.ok()?;
    let mut credentials = [0; 13];
    stream.read_exact(&mut credentials).await.ok()?;
    let is_right = credentials == *b"\x01\x04user\x06secret";
    stream.write_all(&[1, u8::from(!is_right)]).await.ok()?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.ok()?;
    let host = match head[3] {
        1 => {
            let mut octets = [0; 4];
            stream.read_exact(&mut octets).await.ok()?;
            IpAddr::from(octets).to_string()
        }
        _ => {
            let mut name = vec![0; stream.read_u8().await.ok()?.into()];
            stream.read_exact(&mut name).await.ok()?;
            String::from_utf8(name).ok()?
        }
    };
    Some(format!("{host}:{}", stream.read_u16().await.ok()?))
}

async fn through(scheme: &str, credentials: &str, between: &Between) -> World {
    let url = format!("{scheme}://{credentials}{}", between.listener.at);
    let mut policy = policy(nowhere());
    policy.proxy = Some(Proxy::parse(&url).unwrap());
    policy.allow_private = Vec::new();
    // A server that speaks no TLS is waited for that long.
    policy.timeouts.tls = Duration::from_millis(300);
    world(policy).await
}

fn tells_nothing(world: &World) {
    for bytes in world.kept.all() {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for word in ["secret", "dxnlcjpzzwnyzxq", "proxy-auth"] {
            assert!(!text.contains(word), "{text}");
        }
    }
}

#[tokio::test]
async fn a_name_goes_to_an_http_proxy_unresolved_and_the_credentials_nowhere_else() {
    let server = web::serve(|_, _| page("200 OK", &[], b"tunnelled")).await;
    let between = http_proxy(server.at).await;
    let world = through("http", "user:secret@", &between).await;
    let request = HttpRequest::get("http://www.example/x?y");
    let found = world.probe.http(request).await.unwrap();
    assert_eq!((&found.body[..], found.remote), (&b"relayed"[..], None));
    let mut request = HttpRequest::get("http://www.example/");
    request.connect = Some([192, 0, 2, 7].into());
    let found = world.probe.http(request).await.unwrap();
    assert_eq!(&found.body[..], b"tunnelled");
    assert_eq!(found.remote, "192.0.2.7:80".parse().ok());
    let port = world.probe.tcp("192.0.2.8:25".parse().unwrap(), None).await;
    assert!(port.unwrap().is_some());
    let tls = world
        .probe
        .tls("192.0.2.9:443".parse().unwrap(), None)
        .await;
    assert_eq!(tls.unwrap_err().reason(), "unavailable", "it speaks no TLS");
    let asked = between.asked.lock().unwrap().clone();
    let lines: Vec<_> = asked
        .iter()
        .map(|head| head.lines().next().unwrap())
        .collect();
    let expected = [
        "GET http://www.example/x?y HTTP/1.1",
        "CONNECT 192.0.2.7:80 HTTP/1.1",
        "CONNECT 192.0.2.8:25 HTTP/1.1",
        "CONNECT 192.0.2.9:443 HTTP/1.1",
    ];
    assert_eq!(lines, expected);
    let heads = server.heads.lock().unwrap().join("");
    assert!(!heads.to_lowercase().contains("proxy-"), "{heads}");
    tells_nothing(&world);
}

#[tokio::test]
async fn a_name_goes_to_a_socks_proxy_unresolved() {
    let server = web::serve(|_, _| page("200 OK", &[], b"tunnelled")).await;
    let between = socks_proxy(server.at).await;
    let world = through("socks5", "user:secret@", &between).await;
    let found = world
        .probe
        .http(HttpRequest::get("http://www.example:81/"))
        .await
        .unwrap();
    assert_eq!(&found.body[..], b"tunnelled");
    let port = world.probe.tcp("192.0.2.8:25".parse().unwrap(), None).await;
    assert!(port.unwrap().is_some());
    let asked = between.asked.lock().unwrap().clone();
    assert_eq!(asked, ["www.example:81", "192.0.2.8:25"]);
    tells_nothing(&world);
}

#[tokio::test]
async fn a_target_that_the_proxy_cannot_reach_is_closed_and_a_failing_proxy_is_said() {
    let server = web::serve(|_, _| page("200 OK", &[], b"")).await;
    for scheme in ["http", "socks5"] {
        let between = match scheme {
            "http" => http_proxy(server.at).await,
            _ => socks_proxy(server.at).await,
        };
        let world = through(scheme, "user:secret@", &between).await;
        let dead = HttpRequest::get("https://dead.example/");
        let failed = world.probe.http(dead).await.unwrap_err();
        assert_eq!(failed.reason(), "unavailable", "{failed}");
        let wrong = match scheme {
            "http" => "user:wrong@",
            _ => "user:wrong1@",
        };
        for credentials in ["", wrong] {
            let world = through(scheme, credentials, &between).await;
            let port = world.probe.tcp("192.0.2.8:25".parse().unwrap(), None).await;
            let failed = port.unwrap_err().to_string();
            assert!(failed.contains("credentials"), "{scheme} {failed}");
            assert!(!failed.contains("wrong"), "{failed}");
            let page = HttpRequest::get("http://www.example/");
            let failed = world.probe.http(page).await.unwrap_err().to_string();
            assert!(failed.contains("credentials"), "{scheme} {failed}");
        }
        let at = between.listener.at;
        drop(between);
        let failed = world.probe.tcp("192.0.2.9:25".parse().unwrap(), None).await;
        let failed = failed.unwrap_err().to_string();
        assert!(failed.contains(&format!("the proxy {at}")), "{failed}");
    }
}

#[tokio::test]
async fn no_refused_address_is_asked_of_a_proxy() {
    let server = web::canary().await;
    for scheme in ["http", "socks5"] {
        let between = match scheme {
            "http" => http_proxy(server.at).await,
            _ => socks_proxy(server.at).await,
        };
        let world = through(scheme, "user:secret@", &between).await;
        for host in [
            "127.0.0.1",
            "0x7f.1",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "localhost",
            "a.LOCALHOST.",
        ] {
            for web in ["http", "https"] {
                let url = format!("{web}://{host}/");
                let failed = world.probe.http(HttpRequest::get(url)).await.unwrap_err();
                assert_eq!(failed.reason(), "forbidden", "{host}");
            }
        }
        let metadata = "169.254.169.254:80".parse().unwrap();
        assert_eq!(
            world.probe.tcp(metadata, None).await.unwrap_err().reason(),
            "forbidden"
        );
        assert_eq!(
            world.probe.tls(metadata, None).await.unwrap_err().reason(),
            "forbidden"
        );
        assert_eq!((between.listener.accepted(), world.probe.cost().0), (0, 0));
    }
}
