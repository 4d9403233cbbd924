//! `mirage log export`: the log as text, and the proof of such an archive.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write, stdin, stdout};
use std::path::{Path, PathBuf};

use mirage_api::error::{Exit, Problem};
use mirage_domain::id::Position;
use mirage_log::archive::{self, Header, Reader, Whole, Writer};
use mirage_log::{EventLog, Head};
use mirage_workers::node::Place;

use super::super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape};
use crate::wire;

/// Bytes that are collected before they go out.
const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The first position [default: 1, or where the archive in FILE begins]
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(u64).range(1..))]
    from: Option<u64>,
    /// The last position [default: where the log ends now]
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Where to; an archive that is there already, or was cut short, goes on where it ends
    #[arg(long, value_name = "FILE|-", default_value = "-")]
    out: PathBuf,
}

static EXPORTED: Listing = Listing {
    key: "path",
    fields: &[
        Field::new("path", Shape::Text),
        Field::new("after", Shape::Number),
        Field::new("position", Shape::Number),
        Field::new("log_hash", Shape::Text),
        Field::new("written", Shape::Number),
    ],
};

pub(super) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    let log = context.log().await?;
    let head = log.head().await?.position;
    let upto = Position(arguments.to.unwrap_or(head.0));
    let from = arguments.from.unwrap_or(1);
    if upto > head || from > upto.0 + 1 {
        let detail = format!("{from} to {upto}: the log ends at {head}");
        return Err(Problem::new("no_such_position", detail).into());
    }
    if arguments.out.as_os_str() == "-" {
        let header = header(context, &*log, Position(from - 1)).await?;
        let out = BufWriter::with_capacity(BUFFER_BYTES, stdout().lock());
        archive::export(&*log, begin(out, header)?, upto)
            .await
            .map_err(quiet)?;
        return Ok(Exit::Done);
    }
    let path = &arguments.out;
    wire::must_be_outside(&context.data.dir, path)?;
    let (mut file, there) = open(path)?;
    let after = match (&there, arguments.from) {
        (Some((header, _)), None) => header.after,
        _ => Position(from - 1),
    };
    let fresh = header(context, &*log, after).await?;
    let begun = match there {
        Some((header, whole)) => go_on(&*log, path, (&header, whole), &fresh, upto).await?,
        None => None,
    };
    let bytes = begun.map_or(0, |whole| whole.bytes);
    file.set_len(bytes)?;
    file.seek(SeekFrom::End(0))?;
    let out = BufWriter::with_capacity(BUFFER_BYTES, file);
    let writer = match begun {
        Some(whole) => Writer::resume(out, whole),
        None => begin(out, fresh)?,
    };
    let (out, head) = archive::export(&*log, writer, upto).await.map_err(quiet)?;
    out.get_ref().sync_all()?;
    let before = begun.map_or(after, |whole| whole.head.position);
    show(context, path, after, head, head.position.0 - before.0)?;
    Ok(Exit::Done)
}

fn show(
    context: &Context,
    path: &Path,
    after: Position,
    head: Head,
    written: u64,
) -> Result<(), Failure> {
    let values = vec![
        path.display().to_string().into(),
        after.0.into(),
        head.position.0.into(),
        head.log_hash.to_string().into(),
        written.into(),
    ];
    context.output.thing(&EXPORTED, values)
}

async fn header(context: &Context, log: &dyn EventLog, after: Position) -> Result<Header, Failure> {
    let keys = Place(context.data.dir.clone()).keys();
    Ok(Header::of(log, &keys, after).await?)
}

fn begin<W: Write>(out: W, header: Header) -> Result<Writer<W>, Failure> {
    Writer::begin(out, header).map_err(quiet)
}

/// A reader that has seen enough is no failure.
fn quiet(error: archive::Error) -> Failure {
    match error {
        archive::Error::Write(error) => error.into(),
        error => error.into(),
    }
}

/// Opens or makes the file, and reads what archive it holds; a file of another sort is not touched.
fn open(path: &Path) -> Result<(File, Option<(Header, Whole)>), Failure> {
    let mut options = OpenOptions::new();
    let opened = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = opened
        .map_err(|error| Problem::new("output_failed", format!("{}: {error}", path.display())))?;
    if file.metadata()?.len() == 0 {
        return Ok((file, None));
    }
    match archive::resumable(BufReader::with_capacity(BUFFER_BYTES, &file)) {
        Ok(there) => Ok((file, Some(there))),
        // Not even its first line was finished.
        Err(archive::Error::Cut { .. }) => Ok((file, None)),
        Err(error) => Err(named(path, error).into()),
    }
}

fn named(path: &Path, error: archive::Error) -> Problem {
    let mut problem = Problem::from(error);
    problem.detail = format!("{}: {}", path.display(), problem.detail);
    problem
}

/// Where an archive can go on; `None` if it must begin anew, because keys came to the directory meanwhile.
async fn go_on(
    log: &dyn EventLog,
    path: &Path,
    (header, whole): (&Header, Whole),
    fresh: &Header,
    upto: Position,
) -> Result<Option<Whole>, Problem> {
    let refused = |what: String| {
        let problem = Problem::new("other_log", format!("{} {what}", path.display()));
        problem.try_this("name another file")
    };
    if header.after != fresh.after {
        return Err(refused(format!("begins after position {}", header.after)));
    }
    let Head { position, log_hash } = whole.head;
    if position > upto {
        return Err(refused(format!("goes to position {position} already")));
    }
    let is_same = header.log_id == fresh.log_id && header.log_hash == fresh.log_hash;
    let is_at_start = position == header.after;
    if !is_same || !is_at_start && log.commit(position).await?.log_hash != log_hash {
        return Err(refused("is an archive of another log".into()));
    }
    Ok((header.keys == fresh.keys).then_some(whole))
}

/// Reads an archive to its end and proves every commit.
pub(super) fn verify(context: &Context, path: &Path) -> Answer {
    let input: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(stdin().lock()),
        false => Box::new(File::open(path).map_err(|error| {
            Problem::new("input_unreadable", format!("{}: {error}", path.display()))
        })?),
    };
    let fail = |error| named(path, error);
    let input = BufReader::with_capacity(BUFFER_BYTES, input);
    let mut reader = Reader::open(input).map_err(fail)?;
    for archived in reader.by_ref() {
        archived.map_err(fail)?;
    }
    let after = reader.header().after;
    let head = reader.proven();
    show(context, path, after, head, 0)?;
    Ok(Exit::Done)
}
