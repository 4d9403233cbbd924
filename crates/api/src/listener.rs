//! The listener of a node: plain TCP, or TLS with certificates that are read anew on a change.
//!
//! Handshakes run beside one another and beside the accepting, bounded in count and time: who is slow is in nobody's
//! way. **Never:** plain text on a listener that was given a certificate.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;

/// Handshakes under way at once.
const HANDSHAKES_MAX: usize = 256;
/// Longest handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Connections that wait to be served.
const WAITING_MAX: usize = 64;
/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Pause where the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(200);
/// What is spoken inside TLS, best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The files of a listener's TLS, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The chain, the listener's own certificate first.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Authorities of which each client must show a certificate; none asks for none.
    pub clients: Option<PathBuf>,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` names {path}, which cannot be used: {why}")]
pub struct Unusable {
    key: &'static str,
    path: String,
    why: String,
}

impl Unusable {
    fn of(key: &'static str, path: &Path, why: impl std::fmt::Display) -> Self {
        Self {
            key,
            path: path.display().to_string(),
            why: why.to_string(),
        }
    }
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What is read and written.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, with or without TLS.
pub type Io = Box<dyn Stream>;

/// See the module's doc.
pub struct Listener {
    address: SocketAddr,
    accepting: Accepting,
}

enum Accepting {
    Plain(TcpListener),
    Tls(mpsc::Receiver<(Io, SocketAddr)>),
}

impl Listener {
    pub fn plain(listener: TcpListener) -> io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            accepting: Accepting::Plain(listener),
        })
    }

    /// With TLS: at once with these files, and later with what they hold by then.
    pub fn tls(listener: TcpListener, files: Files) -> Result<Self, Unusable> {
        let lost = |error| Unusable::of("serve.listen", Path::new(""), error);
        let address = listener.local_addr().map_err(lost)?;
        let current = Arc::new(RwLock::new(config(&files)?));
        let (ready, accepted) = mpsc::channel(WAITING_MAX);
        tokio::spawn(look_again(files, current.clone(), ready.clone()));
        tokio::spawn(accept_all(listener, current, ready));
        Ok(Self {
            address,
            accepting: Accepting::Tls(accepted),
        })
    }

    pub fn is_tls(&self) -> bool {
        matches!(self.accepting, Accepting::Tls(_))
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl axum::serve::Listener for Listener {
    type Io = Io;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Io, SocketAddr) {
        match &mut self.accepting {
            Accepting::Plain(listener) => {
                let (stream, peer) = connection(listener).await;
                (Box::new(stream), peer)
            }
            Accepting::Tls(accepted) => match accepted.recv().await {
                Some(accepted) => accepted,
                // Whoever accepts ends only with this listener.
                None => std::future::pending().await,
            },
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// The next connection; what fails with one is not the listener's end.
async fn connection(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are written whole, so nothing is gained by waiting for more.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) if is_of_peer(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken just now");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

async fn accept_all(
    listener: TcpListener,
    current: Arc<RwLock<Arc<ServerConfig>>>,
    ready: mpsc::Sender<(Io, SocketAddr)>,
) {
    let turns = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(turn) = turns.clone().acquire_owned().await else {
            return;
        };
        let (stream, peer) = tokio::select! {
            connection = connection(&listener) => connection,
            () = ready.closed() => return,
        };
        let config = current.read().expect("no holder panics").clone();
        let ready = ready.clone();
        tokio::spawn(async move {
            let shaking = TlsAcceptor::from(config).accept(stream);
            // Who speaks no TLS, or shows no certificate, is told so by TLS itself.
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_MAX, shaking).await {
                let stream: Io = Box::new(stream);
                // Nobody listens any more: then nobody is served.
                let _ = ready.send((stream, peer)).await;
            }
            drop(turn);
        });
    }
}

/// Reads the files again whenever one has changed; those that cannot be used change nothing.
async fn look_again(
    files: Files,
    current: Arc<RwLock<Arc<ServerConfig>>>,
    ready: mpsc::Sender<(Io, SocketAddr)>,
) {
    let mut seen = stamps(&files);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = ready.closed() => return,
        }
        let found = stamps(&files);
        if found == seen {
            continue;
        }
        match config(&files) {
            Ok(config) => {
                *current.write().expect("no holder panics") = config;
                tracing::info!("the listener's certificate was read again");
            }
            Err(error) => tracing::error!(%error, "the listener keeps its old certificate"),
        }
        seen = found;
    }
}

/// When each file was last written, and how long it is.
fn stamps(files: &Files) -> Vec<Option<(SystemTime, u64)>> {
    let all = [
        Some(&files.certificate),
        Some(&files.key),
        files.clients.as_ref(),
    ];
    let stamp = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    all.into_iter().map(|path| path.and_then(stamp)).collect()
}

fn config(files: &Files) -> Result<Arc<ServerConfig>, Unusable> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let own = |error| Unusable::of("serve.certificate", &files.certificate, error);
    let verifier = match &files.clients {
        None => Arc::new(NoClientAuth),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates("serve.clients", path)?);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
            let built = verifier.build();
            built.map_err(|error| Unusable::of("serve.clients", path, error))?
        }
    };
    let chain = certificates("serve.certificate", &files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| Unusable::of("serve.key", &files.key, error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(own)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(own)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
    Ok(Arc::new(config))
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let all: Vec<_> = all.map_err(|error| Unusable::of(key, path, error))?;
    match all.is_empty() {
        true => Err(Unusable::of(key, path, "it holds no certificate")),
        false => Ok(all),
    }
}
