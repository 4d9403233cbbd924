//! `mirage log backup` and `restore`: all that matters, into another directory and back.

use std::path::{Path, PathBuf};

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::Digest;
use mirage_log::backup::{self, Carried, Restored, Servers, Source};
use mirage_log::evidence::Copying;

use super::super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape};
use crate::wire;

#[derive(Debug, clap::Args)]
pub(crate) struct BackUp {
    /// An empty directory, or an earlier backup of this log: only what is new is copied
    #[arg(value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    damaged: Damaged,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The backup, or an archive of `log export`, which holds the log alone
    #[arg(value_name = "BACKUP")]
    from: PathBuf,
    #[command(flatten)]
    damaged: Damaged,
}

#[derive(Debug, clap::Args)]
struct Damaged {
    /// Leave damaged evidence out, and name it, instead of stopping at it
    #[arg(long)]
    skip_damaged: bool,
}

impl Damaged {
    fn how(&self) -> Copying {
        Copying {
            skips_damaged: self.skip_damaged,
            ..Copying::default()
        }
    }
}

static CARRIED: Listing = Listing {
    key: "path",
    fields: &[
        Field::new("path", Shape::Text),
        Field::new("position", Shape::Number),
        Field::new("log_hash", Shape::Text),
        Field::new("commits", Shape::Number),
        Field::new("evidence", Shape::Number),
        Field::new("keys", Shape::Number),
        Field::more("evidence_bytes", Shape::Number),
        Field::more("evidence_mended", Shape::Number),
        Field::more("set_back_from", Shape::Number),
    ],
};

pub(super) async fn back_up(context: &Context, arguments: &BackUp) -> Answer {
    let log = context.log().await?;
    must_be_two(&context.data.dir, &arguments.to)?;
    let (from, to) = (
        wire::folders(&context.data.dir),
        wire::folders(&arguments.to),
    );
    let evidence = context.evidence().await?;
    let how = arguments.damaged.how();
    let workspace = context.workspace()?;
    let source = Source {
        log: &*log,
        evidence: evidence.as_deref(),
        keys: &from.keys,
        workspace: &workspace,
    };
    let (carried, marker) = backup::back_up(source, &to, how).await?;
    tell_keyless(context, &carried);
    let end = (marker.position.0, marker.log_hash.to_string());
    show(context, &arguments.to, end, &carried, None)?;
    left_out(&carried)
}

pub(super) async fn restore(context: &Context, arguments: &Restore) -> Answer {
    must_be_two(&context.data.dir, &arguments.from)?;
    let to = wire::folders(&context.data.dir);
    let restored = match (arguments.from.is_file(), context.is_cluster()) {
        (_, true) => promote(context, arguments).await?,
        (true, false) => backup::restore_archive(&arguments.from, &to).await?,
        (false, false) => {
            let (from, workspace) = (wire::folders(&arguments.from), context.workspace()?);
            backup::restore(&from, &to, &workspace, arguments.damaged.how()).await?
        }
    };
    if let Some(known) = restored.set_back {
        let lost = restored.head.position.0 + 1;
        context.output.say(format_args!(
            "the head goes back from position {known} to {}: what was recorded as {lost} to {known} is lost",
            restored.head.position
        ));
    }
    tell_keyless(context, &restored.carried);
    let end = (restored.head.position.0, restored.head.log_hash.to_string());
    let set_back = restored.set_back.map(|position| position.0);
    show(context, &context.data.dir, end, &restored.carried, set_back)?;
    left_out(&restored.carried)
}

/// Into a log on servers.
async fn promote(context: &Context, arguments: &Restore) -> Result<Restored, Failure> {
    let (parts, _) = context.parts().await?;
    let evidence = context.evidence().await?;
    let Some(evidence) = evidence.filter(|_| !arguments.from.is_file()) else {
        let detail = "an archive holds the log alone: it cannot be promoted";
        let problem = Problem::new("usage", detail);
        return Err(problem.try_this("name a backup, a directory").into());
    };
    let to = Servers {
        log: &*parts.log,
        evidence: &*evidence,
        keys: &parts.keys,
        name: Path::new(context.config.get("log.name").unwrap_or_default()),
    };
    let (from, workspace) = (wire::folders(&arguments.from), context.workspace()?);
    Ok(backup::promote(&from, to, &workspace, arguments.damaged.how()).await?)
}

fn show(
    context: &Context,
    path: &Path,
    (position, log_hash): (u64, String),
    carried: &Carried,
    set_back: Option<u64>,
) -> Result<(), Failure> {
    let values = vec![
        path.display().to_string().into(),
        position.into(),
        log_hash.into(),
        carried.commits.into(),
        carried.evidence.items.into(),
        carried.keys.into(),
        carried.evidence.bytes.into(),
        carried.evidence.mended.into(),
        set_back.into(),
    ];
    context.output.thing(&CARRIED, values)
}

pub(in super::super) fn tell_keyless(context: &Context, carried: &Carried) {
    for workspace in &carried.keyless {
        context.output.say(format_args!(
            "warning: the id key of workspace {workspace} is not there, so it was not copied"
        ));
    }
}

/// Items that are named; there is no use in more.
const NAMED_MAX: usize = 10;

/// What was left out, or was not there, is a failure all the same, told at the end.
pub(in super::super) fn left_out(carried: &Carried) -> Answer {
    let (evidence, missing) = (&carried.evidence, &carried.missing);
    let named = |digests: &[Digest]| {
        let named: Vec<String> = digests
            .iter()
            .take(NAMED_MAX)
            .map(ToString::to_string)
            .collect();
        named.join(", ")
    };
    if evidence.damaged > 0 {
        let detail = format!("{} left out: {}", evidence.damaged, named(&evidence.named));
        return Err(Problem::new("evidence_damaged", detail).into());
    }
    if missing.is_empty() {
        return Ok(Exit::Done);
    }
    let detail = format!(
        "all else was carried; {} items that the log cites were not there: {}",
        missing.len(),
        named(missing)
    );
    Err(Problem::new("evidence_damaged", detail).into())
}

/// A directory is no backup of itself.
pub(in super::super) fn must_be_two(one: &Path, other: &Path) -> Result<(), Problem> {
    let same = |one: std::io::Result<PathBuf>, other: std::io::Result<PathBuf>| {
        one.is_ok_and(|one| other.is_ok_and(|other| one == other))
    };
    match same(one.canonicalize(), other.canonicalize()) {
        false => Ok(()),
        true => {
            let detail = format!("{} is the data directory itself", other.display());
            Err(Problem::new("usage", detail).try_this("name another directory"))
        }
    }
}
