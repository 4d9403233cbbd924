//! Sign-in by an issuer of somebody else's, from its first page to an answer of the gateway.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use mirage_ecosystem::node;
use mirage_scenarios::{Place, Running, serve_at, until};
use serde_json::Value;

use crate::ran::ran;

const WHAT: &str = "sign-in by an issuer of OpenID Connect";
const SECRET: &str = "of this test: and no other";

/// An issuer, and a node that takes its word; both end with it.
struct Rig {
    _issuer: Running,
    _node: Running,
    url: String,
    /// What the issuer calls itself.
    name: String,
}

impl Rig {
    /// Nothing where Node or the packages are missing. `ada` is linked.
    async fn new(place: &Place, algorithm: &str, method: &str) -> Result<Option<Self>> {
        let Some(mut issuer) = node(WHAT, "issuer.mjs") else {
            return Ok(None);
        };
        // The issuer has to know the address before the node listens there.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let url = format!("http://{address}");
        issuer.arg(format!("{url}/api/v1/oidc/callback"));
        issuer.args([algorithm, method]);
        issuer.env("MIRAGE_OIDC_SECRET", SECRET);
        let mut issuer = Running::start(issuer)?;
        let name = until("the issuer says who it is", async || {
            ensure!(!issuer.is_over()?, "the issuer ended: {}", issuer.said()?);
            let said = issuer.said()?;
            let name = said.lines().find_map(|line| line.strip_prefix("issuer "));
            Ok(name.map(str::to_owned))
        })
        .await?;
        let secret = match method {
            "none" => String::new(),
            _ => format!("oidc_secret = \"{SECRET}\"\n"),
        };
        let configuration = format!(
            "[serve]\noidc_issuer = \"{name}\"\noidc_client_id = \"mirage-gateway\"\noidc_redirect = \"{url}\"\n{secret}"
        );
        std::fs::write(place.home().join("mirage.toml"), configuration)?;
        create(place, "ada")?;
        let words = [
            "users",
            "link",
            "ada",
            "--issuer",
            &name,
            "--subject",
            "ada-at-home",
        ];
        place.objects(&words).await?;
        let (node, _) = serve_at(place, &address.to_string()).await?;
        Ok(Some(Self {
            _issuer: issuer,
            _node: node,
            url,
            name,
        }))
    }

    /// What a browser is told in which somebody signs in at the issuer by this name.
    fn browse(&self, login: &str, mode: &str) -> Result<String> {
        let mut browser = node(WHAT, "browser.mjs").context("node is there")?;
        browser.arg(format!("{}/api/v1/oidc/start", self.url));
        browser.args([login, mode]);
        let (is_good, said) = ran(browser)?;
        ensure!(is_good, "{said}");
        Ok(said.trim().to_owned())
    }
}

pub(crate) fn create(place: &Place, name: &str) -> Result<()> {
    typed(place.command(&["users", "create", name, "--role", "analyst"])?)
}

/// Runs a command to a good end, with a password for its question.
pub(crate) fn typed(mut command: Command) -> Result<()> {
    let pipe = Stdio::piped;
    let command = command.stdin(pipe()).stdout(pipe()).stderr(pipe());
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    // A command that asks nothing may have closed it.
    let _ = stdin.write_all(b"correct horse battery\n");
    drop(stdin);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_foreign_issuer_names_is_in_and_nobody_else() -> Result<()> {
    let place = Place::new()?;
    let Some(rig) = Rig::new(&place, "ES256", "client_secret_basic").await? else {
        return Ok(());
    };
    let said = rig.browse("ada-at-home", "")?;
    let who = said.strip_prefix("in ").with_context(|| said.clone())?;
    let who: Value = serde_json::from_str(who)?;
    ensure!(who["role"] == "analyst", "{who}");
    ensure!(rig.browse("ada", "")? == "refused oidc_not_linked");
    ensure!(rig.browse("ada-at-home", "abort")? == "refused oidc_refused");
    let told = async |what: &str, user: &str| {
        let identity = ["--issuer", &rig.name, "--subject", "ada-at-home"];
        let words = [&["users", what, user][..], &identity].concat();
        place.mirage(&words).await
    };
    create(&place, "bob")?;
    told("link", "bob").await?.expect(&[5])?;
    told("unlink", "ada").await?.expect(&[0])?;
    ensure!(rig.browse("ada-at-home", "")? == "refused oidc_not_linked");
    told("unlink", "ada").await?.expect(&[3])?;
    told("link", "bob").await?.expect(&[0])?;
    ensure!(rig.browse("ada-at-home", "")?.starts_with("in "));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_algorithm_and_each_way_to_show_the_secret_lets_in() -> Result<()> {
    for (algorithm, method) in [
        ("EdDSA", "none"),
        ("PS256", "client_secret_post"),
        ("RS256", "client_secret_basic"),
    ] {
        let place = Place::new()?;
        let Some(rig) = Rig::new(&place, algorithm, method).await? else {
            return Ok(());
        };
        let said = rig.browse("ada-at-home", "")?;
        ensure!(said.starts_with("in "), "{algorithm} {method}: {said}");
    }
    Ok(())
}
