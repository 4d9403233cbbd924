//! The trace that a request belongs to: its caller's (W3C Trace Context), or a fresh one.

use axum::http::HeaderMap;
pub use mirage_log::trace::Trace;

/// A span of our own, within the caller's where it sent a sound one.
pub fn of(headers: &HeaderMap) -> Trace {
    let sent = headers.get("traceparent");
    let sent = sent.and_then(|value| value.to_str().ok()?.parse().ok());
    sent.map_or_else(Trace::begin, |sent: Trace| sent.child())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_trace_is_carried_on_and_another_one_begun() {
        let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let with = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", text.parse().unwrap());
            of(&headers)
        };
        let trace = with(sent);
        assert_eq!(trace.id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.parent().as_deref(), Some("b7ad6b7169203331"));
        let begun = with("00-zz");
        assert_ne!(begun.id(), trace.id());
        assert_eq!(begun.parent(), None);
    }
}
