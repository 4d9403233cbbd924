//! The least of HTTP that asks a server how it is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Of one question while a server is polled; a stopped process accepts connections and never answers.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn connect(port: u16) -> Option<TcpStream> {
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    Some(stream)
}

/// The body of a `GET` that was answered with 200.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = connect(port)?;
    // 1.0, so that the answer is not chunked and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_ok = head.split_whitespace().nth(1) == Some("200");
    is_ok.then(|| body.to_owned())
}
