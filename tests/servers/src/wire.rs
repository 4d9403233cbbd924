//! The least of HTTP that asks a server how it is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::Identity;

/// Of one question while a server is polled; a stopped process accepts connections and never answers.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn connect(port: u16) -> Option<TcpStream> {
    let address = (Ipv4Addr::LOCALHOST, port).into();
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    stream.set_write_timeout(Some(TIMEOUT)).ok()?;
    Some(stream)
}

/// The same within TLS, which the authority of a file must have signed.
pub(crate) fn connect_tls(
    port: u16,
    authority: &Path,
    own: Option<&Identity>,
) -> Option<impl Read + Write + use<>> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::pem_file_iter(authority).ok()?.flatten();
    roots.add_parsable_certificates(trusted);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .ok()?
        .with_root_certificates(roots);
    let config = match own {
        None => config.with_no_client_auth(),
        Some(own) => {
            let chain = CertificateDer::pem_file_iter(&own.certificate).ok()?;
            let key = PrivateKeyDer::from_pem_file(&own.key).ok()?;
            config
                .with_client_auth_cert(chain.flatten().collect(), key)
                .ok()?
        }
    };
    let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
    let client = ClientConnection::new(Arc::new(config), name).ok()?;
    Some(StreamOwned::new(client, connect(port)?))
}

/// The body of a `GET` that was answered with 200.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    get_over(connect(port)?, port, path)
}

pub(crate) fn get_over(mut stream: impl Read + Write, port: u16, path: &str) -> Option<String> {
    // 1.0, so that the answer is not chunked and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // Not each server says goodbye in TLS; what it has said counts.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_ok = head.split_whitespace().nth(1) == Some("200");
    is_ok.then(|| body.to_owned())
}
