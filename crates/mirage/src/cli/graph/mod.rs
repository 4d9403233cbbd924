//! `mirage graph`: what hangs together with what, and files of it for other programs.

mod components;
mod export;
mod neighbors;
mod path;

use mirage_domain::relation::Relation;
use mirage_projections::Db;
use mirage_projections::catalog;
use mirage_projections::graph::{Name, Reader};

use super::global::AtArgument;
use super::{Answer, Context, ids};
use crate::output::Failure;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Neighbors(neighbors::Arguments),
    Path(path::Arguments),
    Components(components::Arguments),
    Export(export::Arguments),
}

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    match &arguments.command {
        Command::Neighbors(arguments) => neighbors::run(context, arguments).await,
        Command::Path(arguments) => path::run(context, arguments).await,
        Command::Components(arguments) => components::run(context, arguments).await,
        Command::Export(arguments) => export::run(context, arguments).await,
    }
}

/// The graph as of the catalog's position; without `--at` as far as both were folded.
fn as_of<'db>(
    db: &'db Db,
    catalog: &catalog::Reader<'_>,
    at: &AtArgument,
) -> Result<Reader<'db>, Failure> {
    let graph = match at.text() {
        Some(_) => Reader::beside(db, catalog),
        None => Reader::beside(db, &catalog.as_of(db.position()?)),
    };
    Ok(graph?)
}

fn relations(words: &[String]) -> Result<Vec<Relation>, Failure> {
    let relations = words.iter().map(|word| ids::relation(word));
    Ok(relations.collect::<Result<_, _>>()?)
}

/// `KIND:KEY`, as the command line takes it.
fn written(name: &Name) -> String {
    let key = name.key.as_deref().unwrap_or("(erased)");
    format!("{}:{key}", name.kind)
}
