//! An answer of a web server before it is put on a wire, and the few ways to make one.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// An answer before it is put on a wire.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
    /// The body in a coding, for clients that accept it.
    pub(crate) coded: Option<(&'static str, Bytes)>,
}

impl Page {
    pub(crate) fn new(status: u16, kind: &str, body: impl Into<Bytes>) -> Page {
        let headers = vec![("content-type", kind.to_owned())];
        Page {
            status,
            headers,
            body: body.into(),
            coded: None,
        }
    }

    pub(crate) fn html(title: &str, body: &str) -> Page {
        Page::new(200, "text/html; charset=utf-8", document(title, body))
    }

    pub(crate) fn redirect(status: u16, target: &str) -> Page {
        Page::new(status, "text/plain", "").with("location", target)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Page {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn gzipped(mut self) -> Page {
        self.coded = Some(("gzip", gzip(&self.body)));
        self
    }

    pub(crate) fn brotlied(mut self) -> Page {
        let mut coded = Vec::new();
        let params = brotli::enc::BrotliEncoderParams::default();
        brotli::BrotliCompress(&mut &self.body[..], &mut coded, &params)
            .expect("memory to memory cannot fail");
        self.coded = Some(("br", coded.into()));
        self
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(bytes)
        .expect("memory to memory cannot fail");
    encoder
        .finish()
        .expect("memory to memory cannot fail")
        .into()
}

pub(crate) fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><title>{title}</title></head>\n<body>{body}</body></html>\n"
    )
}

pub(crate) fn not_found() -> Page {
    Page::new(
        404,
        "text/html; charset=utf-8",
        document("Not found", "<p>Nothing here.</p>"),
    )
}
