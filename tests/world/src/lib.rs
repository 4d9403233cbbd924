//! The world: a seeded company on loopback that a scanner can scan, over real sockets.
//!
//! All servers run in this process, on a runtime of the world's own, so that a test that blocks
//! does not stall them and dropping the [`World`] stops every one of them.
//!
//! **How it is laid out.** `names` is the company: a table of machines, each with its own loopback
//! address and the one door by which it can be known. `zone` and `dns` answer for it, `site` and
//! `web` publish it, `tls` issues its certificates, `crtsh` has logged them, `banners` greets.
//! One wildcard listener per service serves all machines: the address that a connection arrived
//! at says which one is meant. So five thousand hosts cost no more sockets than five.
//!
//! **To add a host**, add a row to the table in `names`; its DNS, its web server, its certificate
//! and its line in [`Expected`] follow. Then make it known in the one place that its door reads:
//! a link in `site`, a record in `zone`, a name in a certificate in `tls`.
//!
//! **To add a trap**, see `traps`: one function and one row.
//!
//! **Why like this.** A machine that is known in two ways proves neither collector; hence the
//! doors. The seed draws every name, key and serial number, so that two runs have the same bytes,
//! certificates included; only the ports differ.
//!
//! **Invariant:** nothing listens for anyone but loopback peers, and nothing connects anywhere.
//! **Never:** depend on another Mirage crate: what a scanner believes must not shape its test.

mod banners;
mod crtsh;
mod dns;
mod expected;
mod names;
mod site;
mod tally;
mod tls;
mod traps;
mod web;
mod wire;
mod zone;

#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::banners::Service;
pub use crate::expected::{Claim, Expected};
use crate::names::{Company, HOSTS_MAX};
use crate::site::{Site, WebPorts};
pub use crate::tally::Counts;
use crate::tally::{Tally, bump};
use crate::tls::Authority;
pub use crate::traps::Trap;
use crate::traps::Traps;
use crate::web::Web;
use crate::zone::Zone;

/// Where the stand-in for crt.sh listens.
const CRTSH: Ipv4Addr = Ipv4Addr::new(127, 20, 0, 90);
/// Two: one can block in a handshake while the other answers DNS.
const THREADS: usize = 2;
/// How long a drop waits for the servers; they stop at their next await.
const STOP_MAX: Duration = Duration::from_secs(2);

/// How large a world, which one, and whether it bites.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Numbered hosts besides the named ones, at most 50 000.
    pub hosts: usize,
    /// Draws every name, key and serial number.
    pub seed: u64,
    /// Whether the traps are set.
    pub hostile: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            hosts: 24,
            seed: 1,
            hostile: false,
        }
    }
}

/// TCP ports of the services, the same on every machine that has the service.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ports {
    /// On every machine.
    pub http: u16,
    /// On every machine.
    pub https: u16,
    /// On the mail server.
    pub smtp: u16,
    /// Greets like SSH; on the apex.
    pub banner: u16,
    /// Accepts and says nothing; on the apex.
    pub silent: u16,
    /// The stand-in for crt.sh.
    pub crtsh: u16,
}

/// A running world. Dropping it stops all its servers and closes their sockets.
pub struct World {
    facts: Facts,
    /// Only its drop matters.
    _servers: Servers,
}

/// What is known of a world once it stands.
struct Facts {
    company: Arc<Company>,
    expected: Expected,
    resolver: SocketAddr,
    canary: SocketAddr,
    ports: Ports,
    ca_file: NamedTempFile,
    tally: Arc<Tally>,
    authority: Arc<Authority>,
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
    ports: Ports,
}

impl World {
    /// Starts the servers; they answer when this returns.
    ///
    /// # Errors
    /// If `hosts` is above its bound, or sockets or the CA file cannot be made.
    pub async fn start(config: Config) -> anyhow::Result<World> {
        anyhow::ensure!(
            config.hosts <= HOSTS_MAX,
            "a world has at most {HOSTS_MAX} numbered hosts"
        );
        let servers = Servers::start()?;
        let runtime = servers.0.as_ref().expect("there until the drop");
        // On the world's own runtime, which the sockets then belong to.
        let facts = runtime
            .spawn(build(config))
            .await
            .context("building the world")??;
        Ok(World {
            facts,
            _servers: servers,
        })
    }

    /// The registrable domain that a scan starts with.
    pub fn domain(&self) -> &str {
        names::DOMAIN
    }

    /// The DNS server to ask, UDP and TCP. The name servers listen on the same port.
    pub fn resolver(&self) -> SocketAddr {
        self.facts.resolver
    }

    pub fn ports(&self) -> Ports {
        self.facts.ports
    }

    /// The world's root certificate in PEM, for `SSL_CERT_FILE`; removed when the world is dropped.
    pub fn ca_file(&self) -> &Path {
        self.facts.ca_file.path()
    }

    /// Where to ask for logged names; `{domain}` stands for the domain asked about.
    pub fn crtsh_url(&self) -> String {
        format!(
            "http://{CRTSH}:{}/?q=%25.{{domain}}&output=json",
            self.facts.ports.crtsh
        )
    }

    /// What a scan must find, and what not.
    pub fn expected(&self) -> &Expected {
        &self.facts.expected
    }

    /// What was served so far.
    pub fn counts(&self) -> Counts {
        self.facts.tally.counts()
    }

    /// Connections that reached the canary, on any loopback address or port that is its own.
    pub fn canary(&self) -> u64 {
        self.facts.tally.canary.load(Ordering::Relaxed)
    }

    /// Where the canary sits.
    pub fn canary_address(&self) -> SocketAddr {
        self.facts.canary
    }

    /// The name of a machine of the table by its label, such as `shop` or `ns2`.
    ///
    /// # Panics
    /// If the table has no such label.
    pub fn host(&self, label: &str) -> String {
        self.facts.company.name(label)
    }

    /// The chain in DER, leaf first, that the world shows for this server name, or for none.
    pub fn chain(&self, name: Option<&str>) -> Vec<Vec<u8>> {
        self.facts
            .authority
            .certificate(name)
            .cert
            .iter()
            .map(|der| der.to_vec())
            .collect()
    }

    /// Lets the next `count` UDP queries go unanswered.
    pub fn drop_dns(&self, count: u64) {
        self.facts.tally.dns_drops.store(count, Ordering::Relaxed);
    }

    /// Answers the next `count` requests to the company's machines by 503.
    pub fn refuse_http(&self, count: u64) {
        self.facts
            .tally
            .http_refusals
            .store(count, Ordering::Relaxed);
    }
}

/// The runtime of all servers; none only while it is dropped.
struct Servers(Option<Runtime>);

impl Servers {
    fn start() -> anyhow::Result<Servers> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("world")
            .enable_all()
            .build()
            .context("starting the world's runtime")?;
        Ok(Servers(Some(runtime)))
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
    let canary = SocketAddr::from((web::CANARY, listeners.canary.local_addr()?.port()));
    let web_ports = WebPorts {
        http: ports.http,
        https: ports.https,
    };
    let traps = if config.hostile {
        Traps::all(canary, web_ports)
    } else {
        Traps::none()
    };
    let site = Site::new(&company, web_ports);
    let expected = Expected::new(&company, &site, ports, traps.describe());
    let authority = Arc::new(Authority::new(Arc::clone(&company))?);
    let ca_file = NamedTempFile::with_suffix(".pem").context("making the CA file")?;
    std::fs::write(ca_file.path(), &authority.root_pem).context("writing the CA file")?;
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
    spawn(listeners, Arc::new(web));
    Ok(Facts {
        company,
        expected,
        resolver,
        canary,
        ports,
        ca_file,
        tally,
        authority,
    })
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
        ports,
    })
}

/// Starts every server on the current runtime, whose end is theirs.
fn spawn(listeners: Listeners, web: Arc<Web>) {
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
    tokio::spawn(count(listeners.canary, Arc::clone(tally)));
    tokio::spawn(web::serve(listeners.http, "http", Arc::clone(&web)));
    tokio::spawn(web::serve(listeners.https, "https", web));
}

/// The canary: counts whoever connects, and hangs up.
async fn count(listener: TcpListener, tally: Arc<Tally>) {
    while let Ok((stream, peer)) = listener.accept().await {
        if web::local_address(&stream, peer).is_some() {
            bump(&tally.canary);
        }
    }
}
