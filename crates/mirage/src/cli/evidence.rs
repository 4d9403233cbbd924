//! `mirage evidence`: what was seen, byte for byte.

use std::io::{Write, stdout};

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::Digest;
use mirage_log::evidence::{EvidenceStore, Files};
use mirage_workers::node::Place;

use super::{Answer, Context};
use crate::output::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write an item to stdout as it is stored
    ///
    /// Exit codes: 0 ok, 2 not a SHA-256, 3 no such evidence, 6 the bytes are not what was stored
    Get {
        /// The SHA-256, as `mirage findings -o jsonl` names it
        #[arg(value_name = "HASH")]
        hash: String,
    },
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    let Command::Get { hash } = arguments.command;
    let digest: Digest = hash
        .parse()
        .map_err(|error| Problem::new("bad_id", format!("`{hash}`: {error}")))?;
    let bytes = get(context, digest).await?;
    let mut out = stdout().lock();
    out.write_all(&bytes)?;
    out.flush()?;
    Ok(Exit::Done)
}

async fn get(context: &Context, digest: Digest) -> Result<Vec<u8>, Failure> {
    context.data.must_hold_a_log()?;
    let absent = || Problem::new("no_such_evidence", digest).into();
    let folder = Place(context.data.dir.clone()).evidence();
    // Opening the store would make its folder.
    if !folder.exists() {
        return Err(absent());
    }
    let store = Files::open(&folder)?;
    let found = store.get(&context.workspace()?, digest).await?;
    found.ok_or_else(absent)
}
