//! The whole log into a fresh data directory, where views are folded from it.

use std::path::Path;
use std::sync::Arc;

use mirage_api::error::Problem;
use mirage_domain::id::Position;
use mirage_log::EventLog;
use mirage_log::backup::{self, Source};
use mirage_log::evidence::Copying;
use mirage_projections::Runner;

use super::super::log::backup::{left_out, must_be_two, tell_keyless};
use super::super::{Answer, Context};
use crate::output::{Field, Listing, Shape};
use crate::wire::{self, Data};

static REPLAYED: Listing = Listing {
    key: "path",
    fields: &[
        Field::new("path", Shape::Text),
        Field::new("position", Shape::Number),
        Field::new("log_hash", Shape::Text),
        Field::new("commits", Shape::Number),
        Field::new("evidence", Shape::Number),
        Field::new("keys", Shape::Number),
    ],
};

pub(super) async fn run(context: &Context, dir: &Path, upto: Option<Position>) -> Answer {
    let log = context.log().await?;
    must_be_two(&context.data.dir, dir)?;
    let head = log.head().await?.position;
    let upto = upto.unwrap_or(head);
    if upto > head {
        let detail = format!("{upto}: the log ends at {head}");
        return Err(Problem::new("no_such_position", detail).into());
    }
    let (from, to) = (wire::folders(&context.data.dir), wire::folders(dir));
    let workspace = context.workspace()?;
    let evidence = context.evidence().await?;
    let how = Copying::default();
    let source = Source {
        log: &*log,
        evidence: evidence.as_deref(),
        keys: &from.keys,
        workspace: &workspace,
    };
    let carried = backup::carry(source, &to, upto, how).await?;
    tell_keyless(context, &carried);
    let fresh = Data {
        dir: dir.to_owned(),
    };
    let fresh: Arc<dyn EventLog> = Arc::new(fresh.log()?);
    Runner::open(dir, fresh.clone())?.fold_to_head().await?;
    let end = fresh.head().await?;
    let values = vec![
        dir.display().to_string().into(),
        end.position.0.into(),
        end.log_hash.to_string().into(),
        carried.commits.into(),
        carried.evidence.items.into(),
        carried.keys.into(),
    ];
    context.output.thing(&REPLAYED, values)?;
    left_out(&carried)
}
