//! Spans on their way to a collector of traces: OTLP over HTTP (`traces.url`).
//!
//! Requests, scans and tasks say which span of which trace they are, and commits carry the same ids: so whoever
//! exports nothing has whole traces in its log all the same. This only hands over what has ended.
//!
//! **Never:** a span that waits for a collector: what it does not take in time is dropped.

mod send;
mod told;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mirage_api::error::Problem;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor};
use tokio::runtime::Handle;

use crate::config::Config;
use send::Sender;
pub(crate) use told::Told;

/// A collector that takes longer loses what was on its way.
const SEND_MAX: Duration = Duration::from_secs(10);
/// How long the end of a program waits for the last spans.
const LAST_MAX: Duration = Duration::from_secs(5);
/// Where OTLP over HTTP takes spans, below an address without a path.
const PATH: &str = "/v1/traces";

/// The way to the collector that the configuration names.
pub(crate) fn exporter(
    config: &Config,
    runtime: Handle,
) -> Result<Option<Arc<dyn SpanProcessor>>, Problem> {
    let Some(url) = config.get("traces.url").filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let unfit = |error: &dyn std::fmt::Display| {
        Problem::new("bad_config", format!("`traces.url`: {error}"))
            .try_this("name a collector of OTLP over HTTP: http://HOST:4318")
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Sender::new(runtime, SEND_MAX).map_err(|error| unfit(&error))?)
        .with_endpoint(endpoint(url).map_err(|error| unfit(&error))?)
        .with_headers(headers(config)?)
        .with_timeout(SEND_MAX)
        .build()
        .map_err(|error| unfit(&error))?;
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    processor.set_resource(&resource());
    Ok(Some(Arc::new(processor)))
}

/// Sends what is still to be sent, within a bound.
pub(crate) fn end(processor: &dyn SpanProcessor) {
    if let Err(error) = processor.shutdown_with_timeout(LAST_MAX) {
        tracing::warn!(%error, "the last spans were not sent");
    }
}

/// Who tells, in the words of OpenTelemetry's semantic conventions.
fn resource() -> Resource {
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "mirage"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build()
}

fn endpoint(url: &str) -> Result<String, String> {
    let mut parsed: reqwest::Url = url.parse().map_err(|error| format!("{error}"))?;
    if !["http", "https"].contains(&parsed.scheme()) {
        return Err(format!("`{}` is no scheme of HTTP", parsed.scheme()));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("a secret belongs into `traces.headers`".to_owned());
    }
    if parsed.path() == "/" {
        parsed.set_path(PATH);
    }
    Ok(parsed.into())
}

/// `NAME=VALUE`, separated by commas, as `OTEL_EXPORTER_OTLP_HEADERS` has them.
fn headers(config: &Config) -> Result<HashMap<String, String>, Problem> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let is_fit =
            http::HeaderName::try_from(name).is_ok() && http::HeaderValue::try_from(value).is_ok();
        is_fit.then(|| (name.to_owned(), value.to_owned()))
    };
    let told = config.list("traces.headers");
    let pairs: Option<HashMap<_, _>> = told.into_iter().map(pair).collect();
    pairs.ok_or_else(|| {
        Problem::new(
            "bad_config",
            "`traces.headers` are no NAME=VALUE, separated by commas",
        )
    })
}

#[cfg(test)]
mod tests;
