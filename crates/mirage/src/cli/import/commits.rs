//! `mirage import --format commits`: scans of another log with the same id key, as they are.
//!
//! **Invariant:** the archive is proven to its end, and held against this log, before anything is appended.

use std::fs::File;
use std::io::{BufReader, Seek};

use mirage_api::error::{Exit, Problem};
use mirage_log::archive::{self, Reader};
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

pub(super) async fn run(context: &Context, path: &str, mut file: File) -> Answer {
    let archive = reader(&mut file)?;
    let workspace = context.workspace()?;
    let log = context.data.log()?;
    let own = keys::fingerprint(&*log, &workspace).await?;
    if own.is_none() || archive.header().key(&workspace) != own {
        let detail = format!("{path}: its commits of workspace {workspace} have another id key");
        let hint = "import it where that key is: take the folder `keys` of its directory along; nothing was changed";
        return Err(Problem::new("id_key_missing", detail).try_this(hint).into());
    }
    let looked = archive::look(&*log, archive, &workspace).await?;
    if looked.commits == looked.there {
        context
            .output
            .say("every commit of a scan in it is here already: nothing is added");
    }
    let done = archive::append(&*log, reader(&mut file)?, &workspace).await?;
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
