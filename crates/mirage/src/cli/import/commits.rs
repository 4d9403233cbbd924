//! `mirage import --format commits`: scans of another log with the same id key, as they are.
//!
//! Where the key is another one, or a stream goes on otherwise here, the importer of that name reads the archive instead.
//! **Invariant:** the archive is proven to its end, and held against this log, before anything is appended.

use std::fs::File;
use std::io::{BufReader, Seek};

use mirage_api::error::Exit;
use mirage_log::archive::{self, ImportError, Reader};
use mirage_log::keys;

use super::super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape};

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

static IMPORTED: Listing = Listing {
    key: "scans",
    fields: &[
        Field::new("scans", Shape::Text),
        Field::new("commits", Shape::Number),
        Field::new("there", Shape::Number),
        Field::new("left_out", Shape::Number),
        Field::new("position", Shape::Number),
    ],
};

/// Why the commits of an archive cannot stand in this log as they are; none if they can.
pub(super) async fn obstacle(
    context: &Context,
    file: &mut File,
) -> Result<Option<&'static str>, Failure> {
    let mut archive = reader(file)?;
    let workspace = context.workspace()?;
    let theirs = archive.header().key(&workspace);
    // Damage has its own words and its own exit code, whatever becomes of the commits.
    archive.try_for_each(|archived| archived.map(drop))?;
    let Some(log) = context.log_if_any().await? else {
        return Ok(Some("this workspace has no id key yet"));
    };
    let own = keys::fingerprint(&*log, &workspace).await?;
    if own.is_none() || theirs != own {
        return Ok(Some("their id key is another one"));
    }
    match archive::look(&*log, reader(file)?, &workspace).await {
        Ok(_) => Ok(None),
        Err(ImportError::Differs { .. }) => Ok(Some("a scan of theirs goes on otherwise here")),
        Err(error) => Err(error.into()),
    }
}

/// Appends what is not here yet.
pub(super) async fn append(context: &Context, file: &mut File) -> Answer {
    let (log, workspace) = (context.log().await?, context.workspace()?);
    let done = archive::append(&*log, reader(file)?, &workspace).await?;
    if done.commits == done.there {
        context
            .output
            .say("every commit of a scan in it is here already: nothing is added");
    }
    let scans: Vec<String> = done.scans.iter().map(ToString::to_string).collect();
    let values = vec![
        scans.into(),
        done.commits.into(),
        done.there.into(),
        done.left_out.into(),
        mirage_log::EventLog::head(&*log).await?.position.0.into(),
    ];
    context.output.thing(&IMPORTED, values)?;
    Ok(Exit::Done)
}

fn reader(file: &mut File) -> Result<Reader<BufReader<&File>>, Failure> {
    file.rewind()?;
    let input = BufReader::with_capacity(BUFFER_BYTES, &*file);
    Ok(Reader::open(input)?)
}
