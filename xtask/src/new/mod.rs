//! `new`: writes a thing of a known kind from its template and lists it where it belongs.

#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
