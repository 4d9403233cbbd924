//! Scope and egress: what is out of them is kept and said, and never contacted.

use anyhow::{Result, ensure};
use mirage_scenarios::{Place, web_ports};
use mirage_world::{Config, World};

async fn world() -> Result<World> {
    World::start(Config {
        hosts: 4,
        ..Config::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_excluded_name_is_kept_and_resolved_and_never_contacted() -> Result<()> {
    let world = world().await?;
    let (shop, address) = (world.host("shop"), world.address("shop"));
    let place = Place::new()?;
    let exclude = format!("!{shop}");
    // An exclusion wins over an inclusion, whichever is written first.
    let session = place
        .session(&world)?
        .usual(&world)
        .with(&["--scope", &exclude, "--scope", &shop]);
    session.run().await?.expect(&[0, 7])?;
    let contacted = world.contacted();
    ensure!(
        contacted.contains(&world.address("forms")),
        "nothing was contacted"
    );
    ensure!(!contacted.contains(&address), "{shop} was contacted");
    let findings = place.objects(&["findings"]).await?;
    let of_shop: Vec<_> = findings
        .iter()
        .filter(|finding| finding["key"] == *shop)
        .collect();
    ensure!(!of_shop.is_empty(), "{shop} was not kept");
    ensure!(
        of_shop.iter().all(|finding| finding["in_scope"] == false),
        "{of_shop:#?}"
    );
    let is_resolved = findings
        .iter()
        .any(|finding| finding["key"] == address.to_string() && finding["module"] == "dns");
    ensure!(is_resolved, "{shop} was not resolved");
    let why = place
        .mirage(&["why", &format!("domain:{shop}")])
        .await?
        .expect(&[0])?;
    ensure!(
        why.text()?.contains(&format!("out of scope by !{shop}")),
        "{}",
        why.text()?
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_somebody_else_is_kept_and_marked_and_asked_nothing() -> Result<()> {
    let world = world().await?;
    let place = Place::new()?;
    place
        .session(&world)?
        .usual(&world)
        .run()
        .await?
        .expect(&[0, 7])?;
    let scanned = place.scanned().await?;
    let findings = place.objects(&["findings", "--kind", "domain"]).await?;
    let strangers: Vec<_> = findings
        .iter()
        .filter(|finding| finding["in_scope"] == false)
        .collect();
    ensure!(!strangers.is_empty(), "no name out of scope was kept");
    for stranger in strangers {
        let parent = format!("domain:{}", stranger["key"].as_str().unwrap_or_default());
        let asked: Vec<_> = scanned
            .claims
            .iter()
            .filter(|claim| claim.1 == parent && claim.0 != "dns")
            .collect();
        ensure!(asked.is_empty(), "{parent} was asked about: {asked:#?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_are_refused_unless_allowed_and_the_rule_is_named() -> Result<()> {
    let world = world().await?;
    let place = Place::new()?;
    let ports = web_ports(&world);
    place
        .session(&world)?
        .with(&["--ports", &ports, "--rate", "0"])
        .run()
        .await?
        .expect(&[0, 7])?;
    ensure!(
        world.counts().tcp == 0,
        "{:?} were contacted",
        world.contacted()
    );
    let findings = place.objects(&["findings", "--kind", "ip"]).await?;
    ensure!(!findings.is_empty(), "names were not resolved");
    let scan = place.scan("@last").await?;
    let remarks = scan["remarks"].as_array().into_iter().flatten();
    let refused: Vec<_> = remarks
        .filter(|remark| remark["code"] == "egress-refused")
        .collect();
    ensure!(
        refused.iter().any(|remark| remark["rule"] == "loopback"),
        "{scan}"
    );
    let troubles = place.scanned().await?.troubles;
    for module in ["http", "tls", "ports", "crtsh", "rdap", "whois"] {
        let is_told = troubles.iter().any(|(by, _, code, rule)| {
            by == module && code == "egress-refused" && rule.starts_with("loopback ")
        });
        ensure!(
            is_told,
            "{module} was refused and did not say so: {troubles:#?}"
        );
    }
    Ok(())
}
