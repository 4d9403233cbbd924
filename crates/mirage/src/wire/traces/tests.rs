//! What becomes of spans, and which configuration is refused.

use std::sync::Mutex;

use mirage_log::trace::{TARGET, Trace};
use opentelemetry::Context;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// Keeps what it is told.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut Span, _: &Context) {}
    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn told(act: impl FnOnce()) -> Vec<SpanData> {
    let kept = Kept::default();
    let layers = tracing_subscriber::registry().with(Told(Arc::new(kept.clone())));
    tracing::subscriber::with_default(layers, act);
    let spans = kept.0.lock().unwrap();
    spans.clone()
}

macro_rules! span {
    ($trace:expr) => {
        tracing::error_span!(
            target: TARGET,
            "task",
            trace_id = $trace.id(),
            span_id = $trace.span(),
            parent_id = $trace.parent(),
            is_sampled = $trace.is_sampled(),
            otel.kind = "consumer",
            otel.name = "task dns",
            otel.status = tracing::field::Empty,
            task.inputs = 3,
        )
    };
}

#[test]
fn a_span_has_the_ids_that_commits_name() {
    let trace = Trace::begin().child();
    let spans = told(|| {
        let span = span!(trace);
        span.record("otel.status", "error");
    });
    let [span] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(span.span_context.trace_id().to_string(), trace.id());
    assert_eq!(span.span_context.span_id().to_string(), trace.span());
    assert_eq!(Some(span.parent_span_id.to_string()), trace.parent());
    assert_eq!(span.name, "task dns");
    assert_eq!(span.span_kind, SpanKind::Consumer);
    assert_eq!(span.status, Status::error(""));
    assert_eq!(span.attributes, [KeyValue::new("task.inputs", 3)]);
    assert!(span.start_time <= span.end_time);
}

#[test]
fn the_first_span_of_a_trace_has_no_parent() {
    let trace = Trace::begin();
    let spans = told(|| drop(span!(trace)));
    assert_eq!(spans[0].parent_span_id, SpanId::INVALID);
    assert_eq!(spans[0].status, Status::Unset);
}

#[test]
fn what_nobody_wants_is_not_told() {
    let unsampled: Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
        .parse()
        .unwrap();
    let spans = told(|| {
        drop(span!(unsampled.child()));
        drop(tracing::error_span!("of something else"));
    });
    assert!(spans.is_empty(), "{spans:?}");
}

#[test]
fn an_address_without_a_path_gets_that_of_otlp() {
    assert_eq!(
        endpoint("http://h:4318").unwrap(),
        "http://h:4318/v1/traces"
    );
    assert_eq!(endpoint("https://h/otlp").unwrap(), "https://h/otlp");
    for unfit in ["", "h:4318", "ftp://h", "http://me:secret@h"] {
        let refused = endpoint(unfit).unwrap_err();
        assert!(!refused.contains("secret@"), "{refused}");
    }
}
