//! A layer that hands on spans which say what they are in a trace, once they end.
//!
//! The fields `trace_id`, `span_id`, `parent_id` and `is_sampled` are a [`mirage_log::trace::Trace`]'s; `otel.name`,
//! `otel.kind` and `otel.status` are the span's own; all others become attributes.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use mirage_log::trace::TARGET;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanProcessor};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// See the module's doc.
pub(crate) struct Told(pub(crate) Arc<dyn SpanProcessor>);

impl<S> Layer<S> for Told
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        let Some(span) = context.span(id).filter(|_| metadata.target() == TARGET) else {
            return;
        };
        let mut begun = Begun::new(metadata.name());
        attributes.record(&mut begun);
        span.extensions_mut().insert(begun);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(begun) = span.extensions_mut().get_mut::<Begun>()
        {
            values.record(begun);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let begun = context
            .span(&id)
            .and_then(|span| span.extensions_mut().remove::<Begun>());
        if let Some(ended) = begun.and_then(Begun::end) {
            self.0.on_end(ended);
        }
    }
}

/// A span that has begun.
struct Begun {
    name: String,
    at: SystemTime,
    kind: SpanKind,
    trace: TraceId,
    span: SpanId,
    parent: SpanId,
    is_sampled: bool,
    status: Status,
    attributes: Vec<KeyValue>,
}

impl Begun {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            at: SystemTime::now(),
            kind: SpanKind::Internal,
            trace: TraceId::INVALID,
            span: SpanId::INVALID,
            parent: SpanId::INVALID,
            is_sampled: false,
            status: Status::Unset,
            attributes: Vec::new(),
        }
    }

    /// The span as it is exported; none if nobody wants it.
    fn end(self) -> Option<SpanData> {
        let state = TraceState::default();
        let context = SpanContext::new(self.trace, self.span, TraceFlags::SAMPLED, false, state);
        (self.is_sampled && context.is_valid()).then(|| SpanData {
            span_context: context,
            parent_span_id: self.parent,
            // It was named by a commit or by a caller.
            parent_span_is_remote: self.parent != SpanId::INVALID,
            span_kind: self.kind,
            name: self.name.into(),
            start_time: self.at,
            end_time: SystemTime::now(),
            attributes: self.attributes,
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: self.status,
            instrumentation_scope: InstrumentationScope::builder("mirage").build(),
        })
    }

    fn keep(&mut self, field: &Field, value: impl Into<Value>) {
        self.attributes.push(KeyValue::new(field.name(), value));
    }
}

impl Visit for Begun {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "trace_id" => self.trace = TraceId::from_hex(value).unwrap_or(TraceId::INVALID),
            "span_id" => self.span = SpanId::from_hex(value).unwrap_or(SpanId::INVALID),
            "parent_id" => self.parent = SpanId::from_hex(value).unwrap_or(SpanId::INVALID),
            "otel.name" => self.name = value.to_owned(),
            "otel.kind" => self.kind = kind(value),
            "otel.status" => self.status = Status::error(""),
            _ => self.keep(field, value.to_owned()),
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "is_sampled" => self.is_sampled = value,
            _ => self.keep(field, value),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.keep(field, format!("{value:?}"));
    }
}

fn kind(text: &str) -> SpanKind {
    match text {
        "server" => SpanKind::Server,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}
