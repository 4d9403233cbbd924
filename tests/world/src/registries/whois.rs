//! The WHOIS servers (RFC 3912): a root that refers, and a registry that knows what RDAP does not.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::accept;
use crate::tally::{Tally, bump};

/// What WHOIS alone tells of the company, by the address of its printer.
pub(super) const EXPECTED: &[(&str, &str)] = &[
    ("email", "abuse@colocation.example"),
    ("netblock", "127.20.0.192/26"),
    ("organization", "colocation example kg"),
];
/// Bytes of a question that are read.
const QUESTION_MAX: u64 = 1024;

/// How an answer goes out.
pub(super) enum Answer {
    Text(String),
    /// Lines for ever.
    Endless,
}

pub(super) async fn serve<F>(listener: TcpListener, answer: F, tally: Arc<Tally>)
where
    F: Fn(&str) -> Answer + Clone + Send + Sync + 'static,
{
    accept::each(listener, |stream, _| {
        bump(&tally.tcp);
        let answer = answer.clone();
        // A peer that goes away mid-sentence is no error of the world's.
        async move { drop(converse(stream, answer).await) }
    })
    .await;
}

async fn converse(stream: TcpStream, answer: impl Fn(&str) -> Answer) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut question = String::new();
    (&mut stream)
        .take(QUESTION_MAX)
        .read_line(&mut question)
        .await?;
    match answer(question.trim()) {
        Answer::Text(text) => {
            stream
                .write_all(text.replace('\n', "\r\n").as_bytes())
                .await?
        }
        Answer::Endless => loop {
            let line = format!(
                "domain: {}\r\ne-mail: a@endless.example\r\n",
                question.trim()
            );
            stream.write_all(line.as_bytes()).await?;
        },
    }
    stream.shutdown().await
}

/// Refers to the registry, and says whom the top-level domain belongs to, which is nobody's answer.
pub(super) fn root(question: &str, registry: SocketAddr, canary: SocketAddr) -> Answer {
    let refer = |to: SocketAddr| {
        let text = format!(
            "% The root of this world\n\nrefer:        {to}\n\ndomain:       TEST\n\
            organisation: Registry of Test\ne-mail:       tld@registry.example\n"
        );
        Answer::Text(text)
    };
    match question {
        "endless.test" => Answer::Endless,
        "canary.test" => refer(canary),
        _ => refer(registry),
    }
}

pub(super) fn registry(question: &str, root: SocketAddr) -> Answer {
    let is_known =
        |address: Ipv4Addr| address.octets()[..3] == [127, 20, 0] && address.octets()[3] >= 192;
    let text = match question {
        "loop.test" => format!("whois: {root}\n"),
        "mirage-corp.test" => {
            "Domain Name: MIRAGE-CORP.TEST\nRegistrar: Loopback Registrar, Inc.\n\
             Registrant Organization: Mirage Test Ltd\nRegistrant Email: test@mirage-corp.example\n\
             Tech Email: REDACTED FOR PRIVACY\n>>> Last update: never <<<\n"
                .to_owned()
        }
        address if address.parse().is_ok_and(is_known) => format!(
            "% Abuse contact for '127.20.0.192 - 127.20.0.255' is '{}'\n\n\
             inetnum:        127.20.0.192 - 127.20.0.255\nnetname:        COLOCATION\ncountry:        DE\n\
             org:            ORG-CE1-TEST\n\norganisation:   ORG-CE1-TEST\norg-name:       Colocation Example KG\n",
            EXPECTED[0].1
        ),
        _ => "% No entries found\n".to_owned(),
    };
    Answer::Text(text)
}
