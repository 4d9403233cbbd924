//! The trace that a request belongs to: its caller's (W3C Trace Context), or a fresh one.

use std::fmt;

use axum::http::HeaderMap;
use data_encoding::HEXLOWER;

/// Trace and parent of what a request causes; printed as `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    id: [u8; 16],
    span: [u8; 8],
}

impl Trace {
    /// The caller's trace where it sent a sound one, with a span of our own.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut random = [0; 24];
        // Without randomness a trace is still a trace.
        let _ = getrandom::fill(&mut random);
        random[0] |= 1;
        random[16] |= 1;
        let sent = headers
            .get("traceparent")
            .and_then(|value| value.to_str().ok());
        let id = sent.and_then(id_of);
        let own = || random.first_chunk().copied().expect("24 bytes hold 16");
        Self {
            id: id.unwrap_or_else(own),
            span: random.last_chunk().copied().expect("24 bytes hold 8"),
        }
    }

    pub fn id(&self) -> String {
        HEXLOWER.encode(&self.id)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.id(), HEXLOWER.encode(&self.span))
    }
}

/// The trace id of `VERSION-TRACE-PARENT-FLAGS`.
fn id_of(text: &str) -> Option<[u8; 16]> {
    let mut parts = text.split('-');
    let (version, id, parent) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next()?;
    let id: [u8; 16] = HEXLOWER.decode(id.as_bytes()).ok()?.try_into().ok()?;
    let is_sound = version.len() == 2 && version != "ff" && parent.len() == 16;
    (is_sound && id != [0; 16]).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Trace {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", text.parse().unwrap());
        Trace::of(&headers)
    }

    #[test]
    fn a_sound_trace_is_carried_on_and_another_one_begun() {
        let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = of(sent);
        assert_eq!(trace.id(), "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(trace.to_string(), sent);
        for unsound in [
            "",
            "00-zz",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        ] {
            let trace = of(unsound);
            assert_ne!(trace.id, [0; 16], "{unsound}");
            assert_ne!(trace.id(), "0af7651916cd43dd8448eb211c80319c", "{unsound}");
        }
    }
}
