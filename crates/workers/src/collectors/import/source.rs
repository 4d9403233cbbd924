//! A file as bytes for its format: unpacked, counted, bounded, and line by line.
//!
//! **Invariant:** what is unpacked is at most [`RATIO_MAX`] times what was read (and 1 MiB), and [`BYTES_MAX`] in all.
//! **Invariant:** at most [`RECORD_BYTES_MAX`] of a record are held.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;
use mirage_log::evidence::Stored;

use super::BadFile;

/// Longest record, in bytes: a line, or an element with its attributes.
pub(super) const RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes that a packed file gives for each of its own, as for what the probe brings home.
const RATIO_MAX: u64 = 100;
/// What may come out besides, so that short files are not held to the ratio.
const RATIO_FREE: u64 = 1024 * 1024;
/// Most bytes of a file, unpacked.
const BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

const TOO_LARGE: &str = "split the file into several and import each";

/// Opens a file at its start; one level of gzip is unpacked.
pub(super) fn open<'a>(file: &'a mut dyn Stored) -> Result<Source<'a>, BadFile> {
    let bad = |error: io::Error| BadFile::io(&error);
    file.seek(SeekFrom::Start(0)).map_err(bad)?;
    let read = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        inner: file,
        read: read.clone(),
    };
    let mut raw = BufReader::with_capacity(64 * 1024, counted);
    let is_packed = raw.fill_buf().map_err(bad)?.starts_with(&[0x1f, 0x8b]);
    let plain: Box<dyn Read + 'a> = match is_packed {
        true => Box::new(MultiGzDecoder::new(raw)),
        false => Box::new(raw),
    };
    let bounded = Bounded {
        inner: plain,
        is_packed,
        read,
        written: 0,
    };
    let mut inner = BufReader::with_capacity(64 * 1024, bounded);
    let first = inner.fill_buf().map_err(|error| fault(&error, 1))?;
    if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
        return Err(BadFile::new(
            "it is UTF-16",
            "convert it first: iconv -f UTF-16 -t UTF-8",
        ));
    }
    if first.starts_with(&[0xef, 0xbb, 0xbf]) {
        inner.consume(3);
    }
    Ok(Source {
        inner,
        line: 1,
        since: 0,
    })
}

/// A file that is being read, with the line that it has reached.
pub(super) struct Source<'a> {
    inner: BufReader<Bounded<'a>>,
    line: u64,
    /// Bytes since the record began.
    since: usize,
}

/// One line of a file.
pub(super) enum Line {
    Text,
    /// Longer than a record may be; it was passed over.
    TooLong,
    End,
}

impl Source<'_> {
    /// The line that comes next, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Begins a new record: what was read before no longer counts.
    pub(super) fn begin(&mut self) {
        self.since = 0;
    }

    /// Reads the next line into `text`, without its end.
    pub(super) fn next_line(&mut self, text: &mut Vec<u8>) -> Result<Line, BadFile> {
        text.clear();
        let line = self.line;
        let failed = |error: io::Error| fault(&error, line);
        // One more, for the end of a line that just fits.
        let most = RECORD_BYTES_MAX + 1;
        let mut some = self.inner.by_ref().take(most as u64);
        let read = some.read_until(b'\n', text).map_err(failed)?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.line += 1;
        match text.last() {
            Some(b'\n') => {
                text.pop();
                Ok(Line::Text)
            }
            _ if read < most => Ok(Line::Text),
            _ => {
                text.clear();
                self.inner.skip_until(b'\n').map_err(failed)?;
                Ok(Line::TooLong)
            }
        }
    }
}

/// As bytes, for a reader that finds its records itself; a record that is too long is an error.
impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let buffer = self.fill_buf()?;
        let count = buffer.len().min(out.len());
        out[..count].copy_from_slice(&buffer[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.since > RECORD_BYTES_MAX {
            return Err(refused(Refused::Record));
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        let passed = &self.inner.buffer()[..count];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.since += count;
        self.inner.consume(count);
    }
}

/// Counts what is read of the file itself.
struct Counted<'a> {
    inner: &'a mut dyn Stored,
    read: Arc<AtomicU64>,
}

impl Read for Counted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Refuses what unpacks to more than a file may hold.
struct Bounded<'a> {
    inner: Box<dyn Read + 'a>,
    is_packed: bool,
    read: Arc<AtomicU64>,
    written: u64,
}

impl Read for Bounded<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(out)?;
        self.written += count as u64;
        let most = self.read.load(Ordering::Relaxed) * RATIO_MAX + RATIO_FREE;
        match () {
            () if self.is_packed && self.written > most => Err(refused(Refused::Ratio)),
            () if self.written > BYTES_MAX => Err(refused(Refused::Bytes)),
            () => Ok(count),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error("it unpacks to more than {RATIO_MAX} times its size")]
    Ratio,
    #[error("it holds more than {BYTES_MAX} bytes")]
    Bytes,
    #[error("a record is longer than {RECORD_BYTES_MAX} bytes")]
    Record,
}

fn refused(refused: Refused) -> io::Error {
    io::Error::other(refused)
}

/// What went wrong at a line, and what to do about it.
pub(super) fn fault(error: &io::Error, line: u64) -> BadFile {
    let own = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Refused>());
    let (what, hint) = match (own, error.kind()) {
        (Some(Refused::Ratio), _) => (
            Refused::Ratio.to_string(),
            "unpack it yourself, if you trust it, and import what comes out",
        ),
        (Some(refused), _) => (refused.to_string(), TOO_LARGE),
        (None, ErrorKind::UnexpectedEof) => (
            "the packed file ends in the middle".to_owned(),
            "get the whole file: it was cut short",
        ),
        (None, ErrorKind::InvalidInput | ErrorKind::InvalidData) => (
            format!("it is not whole gzip: {error}"),
            "get the file again: it is damaged",
        ),
        (None, _) => (error.to_string(), "look at the file and its permissions"),
    };
    BadFile::new(format!("at line {line}: {what}"), hint)
}
