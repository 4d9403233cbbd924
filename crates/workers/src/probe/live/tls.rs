//! TLS: who is verified and who is only recorded, and handshakes for their own sake.
//!
//! **Invariant:** third-party sources (modules of the passive profile) are verified against the system's roots,
//! `SSL_CERT_FILE` honoured; everything else is a target and is accepted as it is.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use mirage_domain::module::Profile;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::{Door, NoConnection, Target};
use super::verifier::Recording;
use super::{Error, TaskProbe};
use crate::collectors::CollectError;
use crate::probe::exchange::{Exchange, Frame};
use crate::probe::replay::name_of;
use crate::probe::{Handshake, answer};

/// Names whose sessions are remembered; resumption spares a scan most of its handshakes' cost.
const SESSIONS: usize = 4096;
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
const READ_BYTES: usize = 16 * 1024;

/// The settings of the process.
pub(super) struct Settings {
    provider: Arc<CryptoProvider>,
    accepting: Arc<ClientConfig>,
    verifying: Arc<ClientConfig>,
}

impl Settings {
    pub(super) fn new() -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        // A machine without roots can still scan; its sources will say that they are not trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let mut verifying = builder(&provider)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut accepting = accepting(&provider, recorder(&provider))?;
        for config in [&mut verifying, &mut accepting] {
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
            config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        }
        Ok(Self {
            provider,
            accepting: Arc::new(accepting),
            verifying: Arc::new(verifying),
        })
    }

    /// A connector for what a module of that profile asks.
    fn connector(&self, profile: Profile) -> TlsConnector {
        match profile {
            Profile::Passive => self.verifying.clone().into(),
            Profile::Standard | Profile::Active => self.accepting.clone().into(),
        }
    }
}

fn recorder(provider: &CryptoProvider) -> Arc<Recording> {
    Recording::new(provider.signature_verification_algorithms)
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

fn builder(provider: &Arc<CryptoProvider>) -> Result<Builder, Error> {
    ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)
}

fn accepting(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<Recording>,
) -> Result<ClientConfig, Error> {
    let mut config = builder(provider)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// The name for SNI; an address is sent in none (RFC 6066 §3).
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, CollectError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(name_of(bare))
        .map_err(|_| CollectError::Malformed(format!("`{host}` is no server name")))
}

impl TaskProbe {
    /// Speaks TLS over an open connection.
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> Result<TlsStream<TcpStream>, NoConnection> {
        let name = server_name(host).map_err(NoConnection::Denied)?;
        let connector = self.scan.live.tls.connector(self.manifest.profile);
        let closed = |reason: String| NoConnection::Closed(format!("TLS with {host}: {reason}"));
        let handshake = connector.connect(name, stream);
        match tokio::time::timeout(self.scan.policy.timeouts.tls, handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(closed(error.to_string())),
            Err(_) => Err(closed("no handshake in time".into())),
        }
    }

    /// A handshake that is recorded with whatever was presented, also if the server then closes.
    pub(super) async fn shake(
        &self,
        remote: SocketAddr,
        host: Option<&str>,
    ) -> Result<Handshake, CollectError> {
        let name = host.map_or_else(|| Ok(remote.ip().into()), server_name)?;
        let verifier = recorder(&self.scan.live.tls.provider);
        let failed =
            |reason: String| CollectError::Unavailable(format!("TLS with {remote}: {reason}"));
        let mut tls = self
            .recorded(verifier.clone(), name)
            .map_err(|error| failed(error.to_string()))?;
        let target = Target::At(remote);
        let mut places = self.enter(&target, Door::Web).await?;
        let shaken = {
            let shaking = pin!(self.handshake(&mut tls, &target));
            places.patiently(&self.scan.live, shaking).await
        };
        let (received, reason) = shaken.map_err(CollectError::from)?;
        self.received(received);
        let chain = verifier.chain();
        if chain.is_empty() {
            return Err(failed(reason.unwrap_or_else(|| "no certificate".into())));
        }
        let payload = answer::chain_payload(chain.iter().map(AsRef::as_ref));
        let frame = frame(&tls, remote, host);
        let exchange = Exchange { frame, payload };
        let evidence = self.keep(&exchange).await?;
        answer::handshake(exchange, evidence)
    }

    async fn handshake(
        &self,
        tls: &mut ClientConnection,
        target: &Target,
    ) -> Result<(usize, Option<String>), NoConnection> {
        let timeouts = &self.scan.policy.timeouts;
        let mut stream = self.open(target, timeouts.connect).await?;
        let driven = tokio::time::timeout(timeouts.tls, drive(tls, &mut stream)).await;
        Ok(driven.unwrap_or_else(|_| (0, Some("no handshake in time".to_owned()))))
    }

    /// A handshake to be driven by hand: of one that fails, the connector would tell nothing but the error.
    fn recorded(
        &self,
        verifier: Arc<Recording>,
        name: ServerName<'static>,
    ) -> Result<ClientConnection, Error> {
        let mut config = accepting(&self.scan.live.tls.provider, verifier)?;
        // A resumed session presents no chain.
        config.resumption = Resumption::disabled();
        ClientConnection::new(Arc::new(config), name).map_err(Error::Tls)
    }
}

fn frame(tls: &ClientConnection, remote: SocketAddr, host: Option<&str>) -> Frame {
    let version = tls.protocol_version();
    let version = version.and_then(|version| version.as_str());
    let cipher = tls.negotiated_cipher_suite();
    let cipher = cipher.and_then(|cipher| cipher.suite().as_str());
    let protocol = tls.alpn_protocol();
    Frame::Tls {
        remote: remote.to_string(),
        server_name: host.map(name_of),
        version: version.unwrap_or_default().replace('_', "."),
        cipher: cipher.unwrap_or_default().to_owned(),
        protocol: protocol.map(|name| String::from_utf8_lossy(name).into_owned()),
    }
}

/// Runs a handshake as far as it goes: bytes received, and why it ended early.
async fn drive(tls: &mut ClientConnection, stream: &mut TcpStream) -> (usize, Option<String>) {
    let mut received = 0;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let mut out = Vec::new();
        while tls.wants_write() {
            if let Err(error) = tls.write_tls(&mut out) {
                return (received, Some(error.to_string()));
            }
        }
        if let Err(error) = stream.write_all(&out).await {
            return (received, Some(error.to_string()));
        }
        if !tls.is_handshaking() {
            return (received, None);
        }
        let length = match stream.read(&mut buffer).await {
            Ok(0) => return (received, Some("closed by the server".into())),
            Ok(length) => length,
            Err(error) => return (received, Some(error.to_string())),
        };
        received += length;
        if let Err(reason) = feed(tls, &buffer[..length]) {
            return (received, Some(reason));
        }
    }
}

fn feed(tls: &mut ClientConnection, mut bytes: &[u8]) -> Result<(), String> {
    while !bytes.is_empty() {
        tls.read_tls(&mut bytes)
            .map_err(|error| error.to_string())?;
        tls.process_new_packets()
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}
