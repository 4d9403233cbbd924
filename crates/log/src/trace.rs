//! Where in a trace something happens (W3C Trace Context, level 1).
//!
//! A commit carries the span in which it was written, so that whoever goes on from it goes on in the same trace.
//! **Never:** a secret, or proof of anything: ids are random, a caller's own, or follow from a scan's id.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use mirage_domain::id::Digest;

/// The target of spans that are exported; their fields `trace_id`, `span_id`, `parent_id` and `is_sampled` are those
/// of a [`Trace`].
pub const TARGET: &str = "mirage::trace";

/// A span of a trace, and the span that it belongs to; printed as `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: [u8; 16],
    span: [u8; 8],
    parent: Option<[u8; 8]>,
    /// Whether whoever began the trace wants it kept.
    is_sampled: bool,
}

/// A text that is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no traceparent, VERSION-TRACE-PARENT-FLAGS")]
pub struct NoTraceparent;

impl Trace {
    /// The first span of a trace.
    pub fn begin() -> Self {
        let mut id = [0; 16];
        // Without randomness a trace is still a trace.
        let _ = getrandom::fill(&mut id);
        id[0] |= 1;
        Self::first(id)
    }

    /// The same for what has a name of its own: whoever goes on with it later finds the trace again.
    pub fn begin_of(name: &str) -> Self {
        let digest = Digest::of(name.as_bytes()).0;
        let mut id: [u8; 16] = digest.first_chunk().copied().expect("32 bytes hold 16");
        id[0] |= 1;
        Self::first(id)
    }

    fn first(id: [u8; 16]) -> Self {
        Self {
            id,
            span: span(),
            parent: None,
            is_sampled: true,
        }
    }

    /// A span within this one.
    pub fn child(&self) -> Self {
        Self {
            span: span(),
            parent: Some(self.span),
            ..*self
        }
    }

    /// 32 hexadecimal digits.
    pub fn id(&self) -> String {
        HEXLOWER.encode(&self.id)
    }

    /// 16 hexadecimal digits.
    pub fn span(&self) -> String {
        HEXLOWER.encode(&self.span)
    }

    /// As [`Self::span`], of the span that this one belongs to.
    pub fn parent(&self) -> Option<String> {
        self.parent.map(|parent| HEXLOWER.encode(&parent))
    }

    pub fn is_sampled(&self) -> bool {
        self.is_sampled
    }
}

fn span() -> [u8; 8] {
    let mut span = [0; 8];
    let _ = getrandom::fill(&mut span);
    span[0] |= 1;
    span
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.id(), self.span())
    }
}

/// Reads the span that somebody else is in.
impl FromStr for Trace {
    type Err = NoTraceparent;

    fn from_str(text: &str) -> Result<Self, NoTraceparent> {
        let parts: Vec<&str> = text.split('-').collect();
        // A later version may say more after the flags.
        let ([version, id, span, flags] | [version, id, span, flags, ..]) = parts[..] else {
            return Err(NoTraceparent);
        };
        let [version] = decode(version)?;
        let (id, span, [flags]) = (decode(id)?, decode(span)?, decode(flags)?);
        let is_sound = version != 0xff && (version != 0 || parts.len() == 4);
        match is_sound && id != [0; 16] && span != [0; 8] {
            true => Ok(Self {
                id,
                span,
                parent: None,
                is_sampled: flags & 1 == 1,
            }),
            false => Err(NoTraceparent),
        }
    }
}

/// Lower case alone is sound.
fn decode<const N: usize>(hex: &str) -> Result<[u8; N], NoTraceparent> {
    let bytes = HEXLOWER.decode(hex.as_bytes()).ok();
    bytes
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(NoTraceparent)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_sound_text_is_read_and_written_alike() {
        let sent: Trace = SENT.parse().unwrap();
        assert_eq!(sent.to_string(), SENT);
        let later = format!("01{}-more", &SENT[2..]);
        assert_eq!(later.parse(), Ok(sent), "of a later version");
        let unsampled = SENT.replace("-01", "-00");
        assert!(!unsampled.parse::<Trace>().unwrap().child().is_sampled());
    }

    #[test]
    fn a_child_is_a_span_of_its_own_in_the_same_trace() {
        let sent: Trace = SENT.parse().unwrap();
        let child = sent.child();
        assert_eq!(child.id(), sent.id());
        assert_ne!(child.span(), sent.span());
        assert_eq!(child.parent(), Some(sent.span()));
    }

    #[test]
    fn what_has_a_name_has_one_trace() {
        let (one, again) = (Trace::begin_of("scan"), Trace::begin_of("scan"));
        assert_eq!(one.id(), again.id());
        assert_ne!(one.span(), again.span());
        assert_ne!(one.id(), Trace::begin_of("other").id());
    }

    #[test]
    fn an_unsound_text_is_refused() {
        for unsound in [
            "",
            "00-zz",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        ] {
            assert_eq!(unsound.parse::<Trace>(), Err(NoTraceparent), "{unsound}");
        }
    }
}
