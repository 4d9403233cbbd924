//! How a world comes up: bind every socket, make the content that names the ports, serve.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::accept;
use crate::banners::{self, Service};
use crate::expected::Expected;
use crate::names::Company;
use crate::site::{Site, WebPorts};
use crate::tally::{Tally, bump};
use crate::tls::{self, Authority};
use crate::traps::Traps;
use crate::web::{self, Web};
use crate::zone::Zone;
use crate::{Config, Ports, crtsh, dns, policy, registries};

/// Where the stand-in for crt.sh listens.
pub(crate) const CRTSH: Ipv4Addr = Ipv4Addr::new(127, 20, 0, 90);
/// Two: one can block in a handshake while the other answers DNS.
const THREADS: usize = 2;
/// How long a drop waits for the servers; they stop at their next await.
const STOP_MAX: Duration = Duration::from_secs(2);

/// What is known of a world once it stands.
pub(crate) struct Facts {
    pub(crate) company: Arc<Company>,
    pub(crate) expected: Expected,
    pub(crate) resolver: SocketAddr,
    pub(crate) canary: SocketAddr,
    pub(crate) ports: Ports,
    pub(crate) ca_file: NamedTempFile,
    pub(crate) routes_file: NamedTempFile,
    pub(crate) places_file: NamedTempFile,
    pub(crate) tally: Arc<Tally>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) registries: registries::At,
}

/// Everything that listens, bound before the content that names the ports is made.
struct Listeners {
    dns: dns::Sockets,
    http: TcpListener,
    https: TcpListener,
    smtp: TcpListener,
    banner: TcpListener,
    silent: TcpListener,
    crtsh: TcpListener,
    canary: TcpListener,
    registries: registries::Registries,
    ports: Ports,
}

/// The runtime of all servers; none only while it is dropped.
pub(crate) struct Servers(Option<Runtime>);

impl Servers {
    pub(crate) fn start() -> anyhow::Result<Servers> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("world")
            .enable_all()
            .build()
            .context("starting the world's runtime")?;
        Ok(Servers(Some(runtime)))
    }

    /// Builds the world on this runtime, which its sockets then belong to.
    pub(crate) async fn run(&self, config: Config) -> anyhow::Result<Facts> {
        let runtime = self.0.as_ref().expect("there until the drop");
        runtime
            .spawn(build(config))
            .await
            .context("building the world")?
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let Some(runtime) = self.0.take() else { return };
        // A runtime must not be awaited inside another one; a thread of its own may wait.
        let stopper = std::thread::spawn(move || runtime.shutdown_timeout(STOP_MAX));
        // It only fails by a panic, which has been printed.
        let _ = stopper.join();
    }
}

async fn build(config: Config) -> anyhow::Result<Facts> {
    let company = Arc::new(Company::new(config.seed, config.hosts));
    let listeners = bind(&company).await?;
    let (ports, resolver) = (listeners.ports, listeners.dns.resolver);
    let registries = listeners.registries.at;
    let canary = SocketAddr::from((web::CANARY, listeners.canary.local_addr()?.port()));
    let web_ports = WebPorts {
        http: ports.http,
        https: ports.https,
    };
    let traps = Traps::new(config.hostile, canary, web_ports);
    let site = Site::new(&company, web_ports);
    let expected = Expected::new(&company, &site, ports, traps.describe());
    let authority = Arc::new(Authority::new(Arc::clone(&company))?);
    let ca_file = written(".pem", authority.root_pem.as_bytes())?;
    let routes_file = written(".tsv", policy::routes())?;
    let places_file = written(".mmdb", &policy::places())?;
    let tally = Arc::new(Tally::default());
    let acceptor = |protocols| tls::server(&authority, protocols).map(TlsAcceptor::from);
    let web = Web {
        company: Arc::clone(&company),
        site,
        traps,
        tally: Arc::clone(&tally),
        tls: acceptor(&["h2", "http/1.1"])?,
        trap_tls: acceptor(&["http/1.1"])?,
    };
    spawn(listeners, canary, Arc::new(web));
    Ok(Facts {
        company,
        expected,
        resolver,
        canary,
        ports,
        ca_file,
        routes_file,
        places_file,
        tally,
        authority,
        registries,
    })
}

/// A file that goes when its holder does.
fn written(suffix: &str, content: &[u8]) -> anyhow::Result<NamedTempFile> {
    let file = NamedTempFile::with_suffix(suffix);
    let file = file.with_context(|| format!("making a {suffix} file"))?;
    std::fs::write(file.path(), content).with_context(|| format!("writing a {suffix} file"))?;
    Ok(file)
}

async fn bind(company: &Company) -> anyhow::Result<Listeners> {
    let address = |label: &str| {
        company
            .host(&company.name(label))
            .expect("in the table")
            .address
    };
    let (http, http_port) = banners::bind(Ipv4Addr::UNSPECIFIED).await?;
    let (https, https_port) = banners::bind(Ipv4Addr::UNSPECIFIED).await?;
    let (canary, _) = banners::bind(Ipv4Addr::UNSPECIFIED).await?;
    let (smtp, smtp_port) = banners::bind(address("mail")).await?;
    let (banner, banner_port) = banners::bind(address("")).await?;
    let (silent, silent_port) = banners::bind(address("")).await?;
    let (crtsh, crtsh_port) = banners::bind(CRTSH).await?;
    let ports = Ports {
        http: http_port,
        https: https_port,
        smtp: smtp_port,
        banner: banner_port,
        silent: silent_port,
        crtsh: crtsh_port,
    };
    let dns = dns::bind().await?;
    Ok(Listeners {
        dns,
        http,
        https,
        smtp,
        banner,
        silent,
        crtsh,
        canary,
        registries: registries::bind().await?,
        ports,
    })
}

/// Starts every server on the current runtime, whose end is theirs.
fn spawn(listeners: Listeners, canary: SocketAddr, web: Arc<Web>) {
    let tally = &web.tally;
    let mut zone = Zone::new(&web.company, listeners.ports.banner, web.traps.records());
    web.traps.set_ruses(&mut zone);
    let trap_names: Vec<String> = web
        .traps
        .describe()
        .into_iter()
        .map(|trap| trap.name)
        .collect();
    let logged = crtsh::answer(&web.company, &trap_names);
    tokio::spawn(dns::serve(listeners.dns, Arc::new(zone), Arc::clone(tally)));
    tokio::spawn(crtsh::serve(listeners.crtsh, logged, Arc::clone(tally)));
    tokio::spawn(banners::serve(
        listeners.smtp,
        Service::Smtp,
        Arc::clone(tally),
    ));
    tokio::spawn(banners::serve(
        listeners.banner,
        Service::Ssh,
        Arc::clone(tally),
    ));
    tokio::spawn(banners::serve(
        listeners.silent,
        Service::Silent,
        Arc::clone(tally),
    ));
    registries::spawn(listeners.registries, canary, tally);
    tokio::spawn(count(listeners.canary, Arc::clone(tally)));
    tokio::spawn(web::serve(listeners.http, "http", Arc::clone(&web)));
    tokio::spawn(web::serve(listeners.https, "https", web));
}

/// The canary: counts whoever connects, and hangs up.
async fn count(listener: TcpListener, tally: Arc<Tally>) {
    accept::each(listener, |stream, _| {
        bump(&tally.canary);
        async move { drop(stream) }
    })
    .await;
}
