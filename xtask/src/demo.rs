//! `demo`: a scan of a made-up company on the loopback interface, from nothing to findings.

#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> {
    let _ = crate::workspace::debug_binary("mirage");
    anyhow::bail!("not built yet")
}
