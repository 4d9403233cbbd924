//! Reading an archive: every commit is proven by the mark after it before it is given out.

use std::collections::VecDeque;
use std::io::{BufRead, Read};

use mirage_domain::id::{Digest, Position};

use super::{BLOCK_COMMITS, End, Error, FORMAT, Header, LINE_BYTES_MAX, Line, Mark};
use crate::commit::{DecodeError, decode};
use crate::{EncodedCommit, Head, Recorded};

const FIRST_WORD: &[u8] = b"{\"archive\":";
const OTHER_HEADER: &str = "the first line is not the one that was written";

/// A commit of an archive, proven.
#[derive(Debug, Clone, PartialEq)]
pub struct Archived {
    /// Where it stands in the archive, from 1.
    pub line: u64,
    pub position: Position,
    /// Log hash up to there.
    pub log_hash: Digest,
    pub commit: EncodedCommit,
}

impl Archived {
    /// The commit with its events read; sealed fields come back erased.
    pub fn recorded(&self) -> Result<Recorded, DecodeError> {
        Ok(Recorded {
            position: self.position,
            hash: self.commit.hash,
            log_hash: self.log_hash,
            bytes: self.commit.bytes.clone(),
            commit: decode(&self.commit.bytes)?,
        })
    }
}

/// The end of the last whole block of an archive: where writing can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// From the archive's beginning.
    pub bytes: u64,
    pub head: Head,
    /// SHA-256 of the first line.
    pub(super) header: Digest,
}

/// Reads an archive from its first line; yields its commits in order, and ends after a proven last line.
/// After an error it yields nothing more.
pub struct Reader<R> {
    input: R,
    header: Header,
    /// SHA-256 of the first line.
    first: Digest,
    /// Of the line that was read last, from 1.
    line: u64,
    /// Up to the end of that line.
    bytes: u64,
    proven: Head,
    ready: VecDeque<Archived>,
    whole: Whole,
    is_done: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads and checks the header.
    pub fn open(mut input: R) -> Result<Self, Error> {
        let mut text = Vec::new();
        let read = line(&mut input, &mut text).map_err(Error::Read)?;
        let is_cut = !text.is_empty() && !matches!(read, Ending::Whole);
        if is_cut && (text.starts_with(FIRST_WORD) || FIRST_WORD.starts_with(&text)) {
            return Err(Error::Cut { after: Position(0) });
        }
        if !text.starts_with(FIRST_WORD) {
            return Err(Error::Foreign);
        }
        let header = header(&text)?;
        let bytes = text.len() as u64;
        let proven = Head {
            position: header.after,
            log_hash: header.log_hash,
        };
        let first = Digest::of(trimmed(&text));
        let whole = Whole {
            bytes,
            head: proven,
            header: first,
        };
        Ok(Self {
            input,
            header,
            first,
            line: 1,
            bytes,
            proven,
            ready: VecDeque::new(),
            whole,
            is_done: false,
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The end of the last whole block that was read.
    pub fn whole(&self) -> Whole {
        self.whole
    }

    /// Position and log hash up to which the archive is proven so far.
    pub fn proven(&self) -> Head {
        self.proven
    }

    /// Reads up to the next mark or the end.
    fn block(&mut self) -> Result<(), Error> {
        let mut commits: Vec<(u64, EncodedCommit)> = Vec::new();
        let mut text = Vec::new();
        loop {
            text.clear();
            self.line += 1;
            let read = line(&mut self.input, &mut text).map_err(Error::Read)?;
            let at = Position(self.proven.position.0 + 1 + commits.len() as u64);
            match read {
                Ending::Whole => self.bytes += text.len() as u64,
                Ending::Cut => {
                    let after = self.proven.position;
                    return Err(Error::Cut { after });
                }
                Ending::TooLong => return Err(self.damaged(at, "the line is too long")),
            }
            match control(&text) {
                None if commits.len() as u64 == BLOCK_COMMITS => {
                    return Err(self.damaged(at, "a mark is missing"));
                }
                None => commits.push((self.line, self.commit(&text, at)?)),
                Some(Ok(Line::Mark(mark))) => return self.prove(commits, &mark),
                Some(Ok(Line::End(end))) if commits.is_empty() => return self.end(&end),
                Some(_) => return Err(self.damaged(at, "the line is no commit and no mark")),
            }
        }
    }

    fn commit(&self, text: &[u8], at: Position) -> Result<EncodedCommit, Error> {
        EncodedCommit::parse(trimmed(text)).map_err(|source| Error::Decode {
            line: self.line,
            at,
            source,
        })
    }

    /// Holds a block against its mark, and gives it out.
    fn prove(&mut self, commits: Vec<(u64, EncodedCommit)>, mark: &Mark) -> Result<(), Error> {
        let hashes: Vec<Digest> = commits.iter().map(|(_, commit)| commit.hash).collect();
        let first = self.proven.position.0 + 1;
        let proven: VecDeque<Archived> = self.chained(&commits).collect();
        let head = proven.back().map_or(self.proven, |last| Head {
            position: last.position,
            log_hash: last.log_hash,
        });
        let is_end = mark.position == head.position && mark.log_hash == head.log_hash;
        if !is_end {
            let mut pairs = hashes.iter().zip(&mark.commits);
            if let Some(at) = pairs.position(|(found, named)| found != named) {
                return Err(Error::Damaged {
                    line: commits[at].0,
                    at: Position(first + at as u64),
                    what: "the bytes are not those that the mark after them names",
                });
            }
        }
        if mark.header != self.first {
            return Err(self.damaged(head.position, OTHER_HEADER));
        }
        if !is_end || mark.commits != hashes {
            return Err(self.damaged(
                head.position,
                "the mark is not one of what stands before it",
            ));
        }
        self.proven = head;
        self.ready = proven;
        if head.position.0.is_multiple_of(BLOCK_COMMITS) {
            self.whole = Whole {
                bytes: self.bytes,
                head,
                header: self.first,
            };
        }
        Ok(())
    }

    /// The commits of a block with their positions and log hashes.
    fn chained<'a>(
        &self,
        commits: &'a [(u64, EncodedCommit)],
    ) -> impl Iterator<Item = Archived> + use<'a, R> {
        let mut head = self.proven;
        commits.iter().map(move |(line, commit)| {
            let position = Position(head.position.0 + 1);
            let log_hash = Digest::chain(head.log_hash, position, commit.hash);
            head = Head { position, log_hash };
            let commit = commit.clone();
            Archived {
                line: *line,
                position,
                log_hash,
                commit,
            }
        })
    }

    fn end(&mut self, end: &End) -> Result<(), Error> {
        let at = self.proven.position;
        if end.header != self.first {
            return Err(self.damaged(at, OTHER_HEADER));
        }
        if end.head() != self.proven {
            return Err(self.damaged(at, "the last line is not one of what stands before it"));
        }
        let mut more = Vec::new();
        self.line += 1;
        line(&mut self.input, &mut more).map_err(Error::Read)?;
        match more.is_empty() {
            true => self.is_done = true,
            false => return Err(self.damaged(at, "something follows the last line")),
        }
        Ok(())
    }

    fn damaged(&self, at: Position, what: &'static str) -> Error {
        let line = self.line;
        Error::Damaged { line, at, what }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Archived, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(commit) = self.ready.pop_front() {
                return Some(Ok(commit));
            }
            if self.is_done {
                return None;
            }
            if let Err(error) = self.block() {
                self.is_done = true;
                return Some(Err(error));
            }
        }
    }
}

/// Reads what there is of an archive that was cut short, or that ended earlier: its header, and where it can go on.
/// Damage before the cut is an error.
pub fn resumable(input: impl BufRead) -> Result<(Header, Whole), Error> {
    let mut reader = Reader::open(input)?;
    for read in reader.by_ref() {
        match read {
            Ok(_) => {}
            Err(Error::Cut { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok((reader.header.clone(), reader.whole))
}

fn header(text: &[u8]) -> Result<Header, Error> {
    #[derive(serde::Deserialize)]
    struct Format {
        archive: Number,
    }
    #[derive(serde::Deserialize)]
    struct Number {
        format: u32,
    }
    match serde_json::from_slice(text) {
        Ok(Line::Archive(header)) if header.format == FORMAT => Ok(header),
        _ => match serde_json::from_slice::<Format>(text) {
            Ok(other) if other.archive.format != FORMAT => Err(Error::Newer(other.archive.format)),
            _ => Err(Error::Damaged {
                line: 1,
                at: Position(0),
                what: "the first line is not of its form",
            }),
        },
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

/// A line that is no commit: no commit begins with these words.
fn control(text: &[u8]) -> Option<serde_json::Result<Line>> {
    let words: [&[u8]; 3] = [b"{\"archive\":", b"{\"mark\":", b"{\"end\":"];
    let is_one = words.iter().any(|word| text.starts_with(word));
    is_one.then(|| serde_json::from_slice(text))
}

enum Ending {
    Whole,
    /// The input ended before the line did, or before it began.
    Cut,
    TooLong,
}

fn line(input: &mut impl BufRead, text: &mut Vec<u8>) -> std::io::Result<Ending> {
    input
        .by_ref()
        .take(LINE_BYTES_MAX as u64)
        .read_until(b'\n', text)?;
    Ok(match text.last() {
        Some(b'\n') => Ending::Whole,
        _ if text.len() < LINE_BYTES_MAX => Ending::Cut,
        _ => Ending::TooLong,
    })
}
