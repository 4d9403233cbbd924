//! A foreign client of OAuth is let in as a device, by what the gateway says of itself.

use std::net::TcpListener;

use anyhow::{Result, ensure};
use mirage_ecosystem::node;
use mirage_scenarios::{Place, Running, serve_at, until};

use crate::issuer::{create, typed};

const WHAT: &str = "the device flow by a foreign client of OAuth";

async fn heard(client: &mut Running, what: &str) -> Result<String> {
    until(&format!("the client says {what}"), async || {
        let said = client.said()?;
        let found = said.lines().find_map(|line| line.strip_prefix(what));
        ensure!(found.is_some() || !client.is_over()?, "{said}");
        Ok(found.map(|rest| rest.trim().to_owned()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_client_gets_in_as_a_device_and_refreshes_once() -> Result<()> {
    let Some(mut client) = node(WHAT, "device.mjs") else {
        return Ok(());
    };
    let place = Place::new()?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let url = format!("http://{address}");
    let configuration = format!("[serve]\noidc_redirect = \"{url}\"\n");
    std::fs::write(place.home().join("mirage.toml"), configuration)?;
    create(&place, "ada")?;
    let (_node, _) = serve_at(&place, &address.to_string()).await?;
    let login = |words: &[&str]| {
        let words = [&["login", "--server", &url][..], words].concat();
        typed(place.command(&words)?)
    };
    login(&["--password", "ada"])?;
    client.arg(&url);
    let mut client = Running::start(client)?;
    let code = heard(&mut client, "code ").await?;
    login(&["--confirm", &code, "--yes"])?;
    for what in ["in", "refreshed", "over"] {
        heard(&mut client, what).await?;
    }
    Ok(())
}
