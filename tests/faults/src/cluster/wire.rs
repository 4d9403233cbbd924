//! A network in which each node has one wire to all the rest, which can be cut.
//!
//! A test starts itself anew in namespaces of its own, where anybody may do what outside only root may. Loopback is its
//! own there; a node beside it has a wire to it instead of a loopback interface, so that servers and company are
//! where they always are, in 127.0.0.0/8. What goes into a cut wire vanishes without a word, and comes through when
//! TCP sends it again after the wire is whole.
//! **Never:** a change to the machine's own network.

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::skip;

/// Set in the process that a test starts itself as.
const WITHIN: &str = "FAULT_WITHIN";
/// Lets addresses of 127.0.0.0/8 leave by a wire, and come in by it.
const LOOPBACK_BY_WIRE: &str = "/proc/sys/net/ipv4/conf/all/route_localnet";
/// For a child to be in its namespace; a moment on an idle machine.
const BEGUN: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(2);
/// The wire of a new node: its end here, what is reached by it, and a hole for what is cut.
const WIRE: &str = "set -e
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
ip address add $1/32 dev out
ip link set out up
ip route add 127.0.0.0/8 dev out src $1
ip link add hole type veth peer name bottom
ip link set hole arp off
ip link set hole up
ip link set bottom up
ip route add default dev hole table 100";
/// All that a network needs, tried where it harms nobody.
const NEEDED: &str = "set -e
ip link set lo up
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
ip link add near type veth peer name far
ip rule add pref 1 ipproto tcp dport 1 lookup 100
nsenter --version";

/// See the module's doc.
pub struct Network {
    wires: AtomicU8,
}

/// Starts the test of this name anew in a network of its own, or runs it without one where there can be none.
///
/// # Errors
/// As `run`; or the test in its network failed, and what it said was told line by line.
pub fn within(test: &str, run: impl FnOnce(Option<Network>) -> Result<()>) -> Result<()> {
    if std::env::var_os(WITHIN).is_some() {
        return run(Some(Network::begin()?));
    }
    if let Err(reason) = is_possible() {
        skip(test, &format!("no cut wires: {reason:#}"));
        return run(None);
    }
    let mut child = unshare("--net")
        .args(["sh", "-c", "exec \"$@\" 2>&1", "sh"])
        .arg(std::env::current_exe()?)
        .args([test, "--exact", "--nocapture"])
        .env(WITHIN, "1")
        .stdout(Stdio::piped())
        .spawn()?;
    let said = BufReader::new(child.stdout.take().context("its output")?);
    let mut is_run = false;
    for line in said.lines() {
        let line = line?;
        is_run |= line.starts_with("running 1 test");
        eprintln!("{line}");
    }
    ensure!(child.wait()?.success(), "it failed in its network");
    ensure!(is_run, "there is no test {test}");
    Ok(())
}

/// A command in a user namespace of its own, and in another one.
fn unshare(also: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", also, "--"]);
    command
}

fn is_possible() -> Result<()> {
    let mut command = unshare("--net");
    command.args(["sh", "-c", NEEDED]);
    ran(command)
}

fn ran(mut command: Command) -> Result<()> {
    let program = command.get_program().to_owned();
    let ran = command.stdin(Stdio::null()).output();
    let ran = ran.with_context(|| format!("starting {}", program.display()))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "{}: {}", ran.status, said.trim());
    Ok(())
}

fn ip(words: &[&str]) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(words);
    ran(command).with_context(|| format!("ip {}", words.join(" ")))
}

impl Network {
    fn begin() -> Result<Self> {
        ip(&["link", "set", "lo", "up"])?;
        std::fs::write(LOOPBACK_BY_WIRE, "1").context(LOOPBACK_BY_WIRE)?;
        Ok(Self {
            wires: AtomicU8::new(0),
        })
    }

    /// A wire, and at its other end room for a node.
    pub fn wire(&self) -> Result<Wire> {
        let number = self.wires.fetch_add(1, Ordering::Relaxed) + 1;
        let address = Ipv4Addr::new(127, 77, 0, number);
        // Lives as long as its pipe, and the namespace as long as it.
        let keeper = Command::new("unshare")
            .args(["--net", "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let wire = Wire { keeper, address };
        wire.until_begun()?;
        let (name, pid) = (format!("wire{number}"), wire.keeper.id().to_string());
        ip(&[
            "link", "add", &name, "type", "veth", "peer", "name", "out", "netns", &pid,
        ])?;
        ip(&["link", "set", &name, "up"])?;
        // Above 127.0.0.0/8 itself, which is in that table; without `src` nothing is sent from here.
        let route = format!("unicast {address}/32 dev {name} table local src 127.0.0.1");
        let words = ["route", "add"].into_iter().chain(route.split(' '));
        ip(&words.collect::<Vec<_>>())?;
        wire.sh(WIRE, &[&address.to_string()])?;
        Ok(wire)
    }
}

/// A node's wire.
pub struct Wire {
    keeper: Child,
    address: Ipv4Addr,
}

impl Wire {
    /// Of the node at its end.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The same command at the end of the wire; the process keeps its pid.
    pub fn at_its_end(&self, command: &Command) -> Command {
        let mut there = Command::new("nsenter");
        there.arg(format!("--net=/proc/{}/ns/net", self.keeper.id()));
        there.arg("--").arg(command.get_program());
        there.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => there.env(name, value),
                None => there.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            there.current_dir(folder);
        }
        there
    }

    /// Lets nothing through to these TCP ports any more, of old connections and new ones.
    pub fn cut(&self, ports: &[u16]) -> Result<()> {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
        let cut = "for port; do ip rule add pref 1 ipproto tcp dport $port lookup 100; done";
        self.sh(cut, &ports).context("cutting a wire")
    }

    /// Lets everything through again.
    pub fn mend(&self) -> Result<()> {
        let mend = "while ip rule del pref 1 2>/dev/null; do :; done";
        self.sh(mend, &[]).context("mending a wire")
    }

    fn sh(&self, script: &str, words: &[&str]) -> Result<()> {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).args(words);
        ran(self.at_its_end(&command))
    }

    fn until_begun(&self) -> Result<()> {
        let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
        let ours = network("self")?;
        for _ in 0..BEGUN.as_millis() / LOOK.as_millis() {
            if network(&self.keeper.id().to_string())? != ours {
                return Ok(());
            }
            sleep(LOOK);
        }
        bail!("no namespace within {BEGUN:?}")
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Both fail only for a process that is gone.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
