//! Writing an archive, from a log that may be written meanwhile.

use std::io::Write;

use futures::StreamExt;
use mirage_domain::id::{Digest, Position};

use super::{BLOCK_COMMITS, End, Error, Header, Line, Mark, Whole};
use crate::{EventLog, Filter, Head, Read, ReadError, Recorded};

/// Writes an archive to its end; [`Writer::end`] is what makes it whole.
pub struct Writer<W> {
    out: W,
    /// SHA-256 of the first line.
    header: Digest,
    head: Head,
    /// Hashes of the commits since the last mark.
    block: Vec<Digest>,
}

impl<W: Write> Writer<W> {
    /// Begins an archive with its header.
    pub fn begin(mut out: W, header: Header) -> Result<Self, Error> {
        let head = Head {
            position: header.after,
            log_hash: header.log_hash,
        };
        let header = line(&mut out, &Line::Archive(header))?;
        let block = Vec::new();
        Ok(Self {
            out,
            header,
            head,
            block,
        })
    }

    /// Goes on with one that was cut short; `out` stands at the end of its last whole block.
    pub fn resume(out: W, whole: Whole) -> Self {
        Self {
            out,
            header: whole.header,
            head: whole.head,
            block: Vec::new(),
        }
    }

    /// The next commit; its position must follow the one before.
    pub fn push(&mut self, recorded: &Recorded) -> Result<(), Error> {
        let position = recorded.position;
        assert_eq!(
            position.0,
            self.head.position.0 + 1,
            "commits come in order"
        );
        self.out.write_all(&recorded.bytes).map_err(Error::Write)?;
        self.out.write_all(b"\n").map_err(Error::Write)?;
        self.block.push(recorded.hash);
        let log_hash = recorded.log_hash;
        self.head = Head { position, log_hash };
        match position.0.is_multiple_of(BLOCK_COMMITS) {
            true => self.mark(),
            false => Ok(()),
        }
    }

    /// Writes the last line, and answers where the archive ends.
    pub fn end(mut self) -> Result<(W, Head), Error> {
        if !self.block.is_empty() {
            self.mark()?;
        }
        let end = End {
            header: self.header,
            position: self.head.position,
            log_hash: self.head.log_hash,
        };
        line(&mut self.out, &Line::End(end))?;
        self.out.flush().map_err(Error::Write)?;
        Ok((self.out, self.head))
    }

    fn mark(&mut self) -> Result<(), Error> {
        let mark = Mark {
            header: self.header,
            position: self.head.position,
            log_hash: self.head.log_hash,
            commits: std::mem::take(&mut self.block),
        };
        line(&mut self.out, &Line::Mark(mark)).map(drop)
    }
}

/// Writes a line, and answers the SHA-256 of its text.
fn line(out: &mut impl Write, line: &Line) -> Result<Digest, Error> {
    let mut text = serde_json::to_vec(line).map_err(|error| Error::Write(error.into()))?;
    let digest = Digest::of(&text);
    text.push(b'\n');
    out.write_all(&text).map_err(Error::Write)?;
    Ok(digest)
}

/// Writes the commits up to a position, which the log must have, and the end.
/// Each is held against its bytes and the log hash as it is read.
pub async fn export<W: Write>(
    log: &dyn EventLog,
    mut writer: Writer<W>,
    upto: Position,
) -> Result<(W, Head), Error> {
    let mut read = log.read(writer.head.position, Filter::All);
    while writer.head.position < upto {
        match read.next().await {
            Some(Ok(Read::Commit(recorded))) => writer.push(&recorded)?,
            Some(Ok(Read::CaughtUp(_))) | None => return Err(ReadError::Absent(upto).into()),
            Some(Err(error)) => return Err(error.into()),
        }
    }
    writer.end()
}
