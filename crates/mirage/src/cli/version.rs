//! `mirage version`: what this program is, and which formats it reads.

use mirage_api::error::Exit;
use mirage_domain::event::Event;
use mirage_log::commit;
use serde_json::{Map, Value};

use super::{Answer, Context};
use crate::output::{Field, Listing, Shape};

/// Say what this program is
///
/// Exit codes: 0
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

static LISTING: Listing = Listing {
    key: "version",
    fields: &[
        Field::new("version", Shape::Text),
        Field::new("commit", Shape::Text),
        Field::new("target", Shape::Text),
        Field::new("commit_format", Shape::Number),
        Field::new("features", Shape::Text),
        Field::more("schemas", Shape::Text),
    ],
};

pub(crate) fn run(context: &Context, _: &Arguments) -> Answer {
    let schemas: Map<String, Value> = Event::kinds()
        .map(|(kind, version)| (kind.to_owned(), version.into()))
        .collect();
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let values = vec![
        env!("CARGO_PKG_VERSION").into(),
        option_env!("MIRAGE_COMMIT").into(),
        target.into(),
        commit::FORMAT.into(),
        vec!["sqlite"].into(),
        schemas.into(),
    ];
    context.output.thing(&LISTING, values)?;
    Ok(Exit::Done)
}
