//! Services that greet or stay silent: SMTP, one that looks like SSH, one that never says a word.
//!
//! Each listens only on the machines that have it, so that on all others the port is closed.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::accept;
use crate::names::DOMAIN;
use crate::tally::{Tally, bump};

pub(crate) const SSH_BANNER: &str = "SSH-2.0-OpenSSH_9.6\r\n";
/// Bytes of a line or a greeting that are read before the peer is left.
const READ_MAX: u64 = 64 * 1024;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    Smtp,
    Ssh,
    Silent,
}

/// Binds a free port of `address`.
pub(crate) async fn bind(address: Ipv4Addr) -> anyhow::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind((address, 0))
        .await
        .context("binding a banner service")?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// Serves `service` until the task is aborted.
pub(crate) async fn serve(listener: TcpListener, service: Service, tally: Arc<Tally>) {
    accept::each(listener, |stream, _| {
        bump(&tally.tcp);
        // A peer that goes away mid-sentence is no error of the world's.
        async move { drop(converse(stream, service).await) }
    })
    .await;
}

async fn converse(mut stream: TcpStream, service: Service) -> io::Result<()> {
    match service {
        Service::Smtp => smtp(stream).await,
        Service::Ssh => {
            stream.write_all(SSH_BANNER.as_bytes()).await?;
            drain(stream).await
        }
        Service::Silent => drain(stream).await,
    }
}

/// Holds the connection until the peer has closed it, or said too much.
async fn drain(stream: TcpStream) -> io::Result<()> {
    tokio::io::copy(&mut stream.take(READ_MAX), &mut tokio::io::sink())
        .await
        .map(drop)
}

/// The part of RFC 5321 that a scanner speaks: greeting, EHLO, QUIT.
async fn smtp(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream
        .write_all(format!("220 mail.{DOMAIN} ESMTP Postfix\r\n").as_bytes())
        .await?;
    let mut line = String::new();
    while (&mut stream).take(READ_MAX).read_line(&mut line).await? > 0 {
        let verb = line
            .split_ascii_whitespace()
            .next()
            .unwrap_or_default()
            .to_ascii_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => format!("250-mail.{DOMAIN}\r\n250-SIZE 10485760\r\n250 8BITMIME\r\n"),
            "HELO" => format!("250 mail.{DOMAIN}\r\n"),
            "QUIT" => "221 2.0.0 Bye\r\n".to_owned(),
            _ => "502 5.5.1 not implemented\r\n".to_owned(),
        };
        stream.write_all(answer.as_bytes()).await?;
        if verb == "QUIT" {
            break;
        }
        line.clear();
    }
    Ok(())
}
