//! TLS for connections to PostgreSQL: the server's certificate and name are always checked.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::{TlsConnector, client};

use crate::Error;

/// Opens TLS for whatever server a connection goes to.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// Trusts the authorities of a file, or those of the machine; shows a certificate, if there is one.
    pub(super) fn new(
        ca_file: Option<&Path>,
        certificate: Option<&(PathBuf, PathBuf)>,
    ) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::options)?
            .with_root_certificates(roots(ca_file)?);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates("catalog.certificate", chain)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unusable("catalog.key", key, error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(Error::options)?
            }
        };
        Ok(Self(Arc::new(config).into()))
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let trusted = match ca_file {
        Some(path) => certificates("catalog.ca", path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    roots.add_parsable_certificates(trusted);
    match (ca_file, roots.is_empty()) {
        (Some(path), true) => Err(unusable("catalog.ca", path, "it holds no certificate")),
        _ => Ok(roots),
    }
}

fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    all.map_err(|error| unusable(key, path, error))
}

fn unusable(key: &str, path: &Path, why: impl std::fmt::Display) -> Error {
    let path = path.display();
    Error::options(format_args!(
        "`{key}` names {path}, which cannot be used: {why}"
    ))
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Connect;
    type Error = rustls::pki_types::InvalidDnsNameError;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Connect, Self::Error> {
        let name = ServerName::try_from(domain.to_owned())?;
        Ok(Connect(self.0.clone(), name))
    }
}

/// One handshake.
pub(super) struct Connect(TlsConnector, ServerName<'static>);

impl<S> TlsConnect<S> for Connect
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.0.connect(self.1, stream).await.map(Stream) })
    }
}

pub(super) struct Stream<S>(client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_postgres::Config;
    use tokio_rustls::TlsAcceptor;

    use crate::store::postgres::Options;
    use crate::{ALL, Postgres, Store};

    /// An authority that signs for `localhost`.
    fn authority() -> (String, Issuer<'static, KeyPair>) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        (pem, Issuer::new(params, key))
    }

    /// Certificate and key, in a file each.
    fn signed(issuer: &Issuer<'static, KeyPair>, dir: &std::path::Path, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        let at = |end: &str| dir.join(format!("{name}.{end}"));
        std::fs::write(at("crt"), certificate.pem()).unwrap();
        std::fs::write(at("key"), key.serialize_pem()).unwrap();
        (at("crt"), at("key"))
    }

    type Pair = (super::PathBuf, super::PathBuf);

    /// Ends TLS before a server that speaks none, and wants to see a certificate.
    fn acceptor(ca_file: &std::path::Path, (chain, key): &Pair) -> TlsAcceptor {
        use super::{Arc, PemObject, PrivateKeyDer, certificates, roots};
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(roots(Some(ca_file)).unwrap());
        let clients = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.build().unwrap());
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let config = config.with_single_cert(certificates("", chain).unwrap(), key);
        Arc::new(config.unwrap()).into()
    }

    async fn serve(listener: TcpListener, acceptor: TlsAcceptor, port: u16) {
        loop {
            let (mut asked, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // The request for TLS has eight bytes, and one is the answer.
                asked.read_exact(&mut [0; 8]).await?;
                asked.write_all(b"S").await?;
                let mut inside = acceptor.accept(asked).await?;
                let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
                copy_bidirectional(&mut inside, &mut server).await
            });
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn both_sides_show_certificates_and_check_them() {
        let Some(server) = mirage_servers::postgres() else {
            return;
        };
        let behind: Config = server.url().parse().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (pem, issuer) = authority();
        let (ca_file, other) = (dir.path().join("ca.crt"), dir.path().join("other.crt"));
        std::fs::write(&ca_file, pem).unwrap();
        std::fs::write(&other, authority().0).unwrap();
        let acceptor = acceptor(&ca_file, &signed(&issuer, dir.path(), "server"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(serve(listener, acceptor, behind.get_ports()[0]));
        let opens = |ca_file: &super::Path, certificate: Option<Pair>| {
            let options = Options {
                url: format!(
                    "host=localhost hostaddr=127.0.0.1 port={port} user=postgres dbname={}",
                    behind.get_dbname().unwrap()
                ),
                ca_file: Some(ca_file.to_owned()),
                certificate,
                ..Options::default()
            };
            Store::open(&Postgres::new(&options).unwrap(), &ALL[0]).map(drop)
        };
        let own = signed(&issuer, dir.path(), "client");
        opens(&ca_file, Some(own.clone())).unwrap();
        assert!(opens(&ca_file, None).is_err(), "without a certificate");
        let stranger = opens(&other, Some(own)).unwrap_err();
        assert!(!stranger.may_retry(), "{stranger:?}");
        serving.abort();
    }
}
