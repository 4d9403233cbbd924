//! nmap's XML as a stream of bounded tags: no entity is expanded, nothing outside is read.

use std::borrow::Cow;

use mirage_log::evidence::Stored;
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesDecl, BytesStart, Event};

use super::super::BadFile;
use super::super::source::{self, Source};

/// Elements within one another; nmap's tables of scripts nest the deepest.
const DEPTH_MAX: usize = 64;
/// Attributes of one element that are looked at.
const ATTRIBUTES_MAX: usize = 64;

const NOT_WHOLE: &str = "make it again with -oX, or end an interrupted scan with nmap --resume";

/// What comes next.
pub(super) enum Tag {
    Start(Element),
    /// An element ends; its name. An empty one starts and ends.
    End(String),
    /// Text within an element.
    Text(String),
    /// The document is over.
    Over,
}

/// An element's name and attributes.
pub(super) struct Element {
    pub(super) name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(own, _)| own == name)?;
        Some(&found.1)
    }
}

pub(super) struct Tags<'a> {
    reader: Reader<Source<'a>>,
    buffer: Vec<u8>,
    depth: usize,
    /// The end of an empty element that was handed out.
    pending: Option<String>,
}

impl<'a> Tags<'a> {
    pub(super) fn open(file: &'a mut dyn Stored) -> Result<Self, BadFile> {
        Ok(Self {
            reader: Reader::from_reader(source::open(file)?),
            buffer: Vec::new(),
            depth: 0,
            pending: None,
        })
    }

    /// Where the reader is.
    pub(super) fn line(&self) -> u64 {
        self.reader.get_ref().line()
    }

    fn bad(&self, what: impl std::fmt::Display, hint: &'static str) -> BadFile {
        BadFile::new(format!("at line {}: {what}", self.line()), hint)
    }

    pub(super) fn next(&mut self) -> Result<Tag, BadFile> {
        if let Some(name) = self.pending.take() {
            return Ok(Tag::End(name));
        }
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            self.reader.get_mut().begin();
            let tag = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => self.tag(event),
                Err(quick_xml::Error::Io(error)) => Err(source::fault(&error, self.line())),
                Err(error) => Err(self.bad(format_args!("not XML: {error}"), NOT_WHOLE)),
            };
            self.buffer = buffer;
            if let Some(tag) = tag? {
                return Ok(tag);
            }
        }
    }

    /// `None` for what says nothing.
    fn tag(&mut self, event: Event<'_>) -> Result<Option<Tag>, BadFile> {
        Ok(match event {
            Event::Start(start) => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    let what = format_args!("elements nest deeper than {DEPTH_MAX}");
                    return Err(self.bad(what, "this is no output of nmap"));
                }
                Some(Tag::Start(self.element(&start)?))
            }
            Event::Empty(start) => {
                let element = self.element(&start)?;
                self.pending = Some(element.name.clone());
                Some(Tag::Start(element))
            }
            Event::End(end) => {
                self.depth = self.depth.saturating_sub(1);
                Some(Tag::End(name(end.name().as_ref())))
            }
            Event::Text(text) => Some(Tag::Text(String::from_utf8_lossy(&text).into_owned())),
            Event::Eof if self.depth > 0 => {
                return Err(self.bad("it ends in the middle", NOT_WHOLE));
            }
            Event::Eof => Some(Tag::Over),
            Event::Decl(decl) => self.encoding(&decl).map(|()| None)?,
            // nmap writes `<!DOCTYPE nmaprun>`; whatever declares more wants to be expanded.
            Event::DocType(text) if text.contains(&b'[') => {
                let hint = "nmap declares no entities: take them out if you trust the file";
                return Err(self.bad("its DOCTYPE declares entities of its own", hint));
            }
            Event::DocType(_)
            | Event::Comment(_)
            | Event::PI(_)
            | Event::CData(_)
            | Event::GeneralRef(_) => None,
        })
    }

    fn encoding(&self, decl: &BytesDecl<'_>) -> Result<(), BadFile> {
        let Some(Ok(encoding)) = decl.encoding() else {
            return Ok(());
        };
        let encoding = name(&encoding);
        match encoding.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" | "us-ascii" => Ok(()),
            _ => {
                let hint = "convert it to UTF-8 with iconv and correct its first line";
                Err(self.bad(format_args!("it is in {encoding}"), hint))
            }
        }
    }

    fn element(&self, start: &BytesStart<'_>) -> Result<Element, BadFile> {
        let mut attributes = Vec::new();
        // The checks for names that come twice compare each with each.
        for attribute in start.attributes().with_checks(false).take(ATTRIBUTES_MAX) {
            let wrong = |error: &dyn std::fmt::Display| self.bad(error, NOT_WHOLE);
            let attribute = attribute.map_err(|error| wrong(&error))?;
            let raw = String::from_utf8_lossy(&attribute.value);
            let value = match unescape(&raw).map_err(|error| wrong(&error))? {
                Cow::Borrowed(text) => text.to_owned(),
                Cow::Owned(text) => text,
            };
            attributes.push((name(attribute.key.as_ref()), value));
        }
        let name = name(start.name().as_ref());
        Ok(Element { name, attributes })
    }
}

fn name(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
