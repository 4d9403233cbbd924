//! Tunnels: a connection to a target through the scan's proxy.
//!
//! **Invariant:** the proxy learns the target as Mirage names it: an address that was judged, or a name.
//! **Never:** more read from the proxy than its answer; what follows is the target's.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::connect::{NoConnection, Target};
use crate::collectors::CollectError;
use crate::probe::proxy::{Kind, Proxy};

/// Bytes of a proxy's answer to CONNECT.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const SOCKS_VERSION: u8 = 5;
/// Methods of sign-in (RFC 1928 §3).
const SOCKS_OPEN: u8 = 0;
const SOCKS_PASSWORD: u8 = 2;
/// Longest name in a request (RFC 1928 §5).
const SOCKS_NAME_MAX: usize = 255;

/// How a tunnel fails.
enum Fault {
    /// The proxy speaks for the target: it cannot be reached.
    Target(String),
    /// The proxy itself is the trouble.
    Proxy(String),
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Proxy(error.to_string())
    }
}

/// Connects to the proxy itself.
pub(super) async fn reach(proxy: &Proxy, wait: Duration) -> Result<TcpStream, NoConnection> {
    let failed = |reason: &str| {
        let text = format!("the proxy {}:{}: {reason}", proxy.host, proxy.port);
        NoConnection::Denied(CollectError::Unavailable(text))
    };
    let connecting = TcpStream::connect((proxy.host.as_str(), proxy.port));
    match tokio::time::timeout(wait, connecting).await {
        Ok(Ok(stream)) => {
            // Requests are small and sent at once; a socket that refuses this still works.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Ok(Err(error)) => Err(failed(&error.to_string())),
        Err(_) => Err(failed("no connection in time")),
    }
}

/// Connects to `target` through the proxy. A target that the proxy cannot reach is closed.
pub(super) async fn open(
    proxy: &Proxy,
    target: &Target,
    wait: Duration,
) -> Result<TcpStream, NoConnection> {
    let mut stream = reach(proxy, wait).await?;
    let tunnel = async {
        match proxy.kind {
            Kind::Http => connect(proxy, target, &mut stream).await,
            Kind::Socks5 => socks(proxy, target, &mut stream).await,
        }
    };
    let closed = |reason: &str| NoConnection::Closed(format!("{}: {reason}", target.text()));
    match tokio::time::timeout(wait, tunnel).await {
        Ok(Ok(())) => Ok(stream),
        Ok(Err(Fault::Target(reason))) => Err(closed(&reason)),
        Ok(Err(Fault::Proxy(reason))) => {
            let text = format!("the proxy {}:{}: {reason}", proxy.host, proxy.port);
            Err(NoConnection::Denied(CollectError::Unavailable(text)))
        }
        Err(_) => Err(closed("no connection through the proxy in time")),
    }
}

/// RFC 9110 §9.3.6.
async fn connect(proxy: &Proxy, target: &Target, stream: &mut TcpStream) -> Result<(), Fault> {
    let authority = target.text();
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n");
    if let Some(value) = proxy.authorization() {
        request.push_str(&format!("proxy-authorization: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(Fault::Proxy("its answer has no end".into()));
        }
        head.push(stream.read_u8().await?);
    }
    match status(&head) {
        Some(200..=299) => Ok(()),
        Some(407) => Err(Fault::Proxy("it wants other credentials".into())),
        Some(code) => Err(Fault::Target(format!("the proxy answered {code}"))),
        None => Err(Fault::Proxy("it does not speak HTTP".into())),
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.")?;
    std::str::from_utf8(rest.get(2..5)?).ok()?.parse().ok()
}

/// RFC 1928, with name and password (RFC 1929) where the proxy wants them.
async fn socks(proxy: &Proxy, target: &Target, stream: &mut TcpStream) -> Result<(), Fault> {
    let methods: &[u8] = match proxy.credentials() {
        Some(_) => &[SOCKS_VERSION, 2, SOCKS_OPEN, SOCKS_PASSWORD],
        None => &[SOCKS_VERSION, 1, SOCKS_OPEN],
    };
    stream.write_all(methods).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    match chosen {
        [SOCKS_VERSION, SOCKS_OPEN] => {}
        [SOCKS_VERSION, SOCKS_PASSWORD] => sign_in(proxy, stream).await?,
        [SOCKS_VERSION, _] => return Err(Fault::Proxy("it wants credentials".into())),
        _ => return Err(Fault::Proxy("it does not speak SOCKS 5".into())),
    }
    let mut request = vec![SOCKS_VERSION, 1, 0];
    request.extend(address(target)?);
    stream.write_all(&request).await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if answer[1] != 0 {
        return Err(Fault::Target(format!("SOCKS code {}", answer[1])));
    }
    // The address that the proxy bound is of no use, but in the way.
    let length = match answer[3] {
        1 => 4,
        4 => 16,
        _ => usize::from(stream.read_u8().await?),
    };
    stream.read_exact(&mut vec![0; length + 2]).await?;
    Ok(())
}

async fn sign_in(proxy: &Proxy, stream: &mut TcpStream) -> Result<(), Fault> {
    let wanted = || Fault::Proxy("it wants credentials".into());
    let credentials = proxy.credentials().ok_or_else(wanted)?;
    let mut request = vec![1];
    for part in [&credentials.user, &credentials.password] {
        let length = u8::try_from(part.len()).expect("a proxy's credentials are bounded");
        request.push(length);
        request.extend_from_slice(part);
    }
    stream.write_all(&request).await?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await?;
    match answer[1] {
        0 => Ok(()),
        _ => Err(Fault::Proxy("it wants other credentials".into())),
    }
}

/// Kind, address and port of a target (RFC 1928 §5).
fn address(target: &Target) -> Result<Vec<u8>, Fault> {
    let (mut bytes, port) = match target {
        Target::At(SocketAddr::V4(at)) => ([&[1][..], &at.ip().octets()].concat(), at.port()),
        Target::At(SocketAddr::V6(at)) => ([&[4][..], &at.ip().octets()].concat(), at.port()),
        Target::Named(name, port) => {
            let length = u8::try_from(name.len().min(SOCKS_NAME_MAX + 1))
                .map_err(|_| Fault::Target("its name is too long".into()))?;
            ([&[3, length][..], name.as_bytes()].concat(), *port)
        }
    };
    bytes.extend_from_slice(&port.to_be_bytes());
    Ok(bytes)
}

/// The address that a name stands for everywhere (RFC 6761 §6.3).
pub(super) fn local(name: &str) -> Option<IpAddr> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    is_local.then_some(IpAddr::from([127, 0, 0, 1]))
}
