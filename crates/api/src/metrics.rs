//! What a node counts and measures, in the text of Prometheus (format 0.0.4), at `/metrics`.
//!
//! Names follow Prometheus: base units, `_total` for what only grows, a help line each. Nothing here names a workspace,
//! a user or an address, for whoever reaches the listener may read it.
//! **Never:** a label whose values come from outside.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use mirage_log::EventLog;
use mirage_projections::Runner;

use crate::gateway::Gateway;

const REQUESTS: &str = "mirage_http_requests_total";
const DURATION: &str = "mirage_http_request_duration_seconds";
const REFUSALS: &str = "mirage_http_refusals_total";
const SUBSCRIBERS: &str = "mirage_live_subscribers";
const LOG_UP: &str = "mirage_log_up";
const LOG_POSITION: &str = "mirage_log_position";
const VIEW_POSITION: &str = "mirage_view_position";
const VIEW_LAG: &str = "mirage_view_lag_commits";
const VIEW_AGE: &str = "mirage_view_age_seconds";
const VIEW_QUARANTINED: &str = "mirage_view_quarantined_streams";
const VIEW_STOPPED: &str = "mirage_view_stopped";
const BUILD: &str = "mirage_build_info";

/// Bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];
/// Longest that a scrape looks at log and views.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// What is looked at when somebody scrapes.
pub struct Scraped {
    pub log: Arc<dyn EventLog>,
    /// Of a node that folds or asks views.
    pub runner: Option<Arc<Runner>>,
    /// Of a node that answers requests.
    pub gateway: Option<Arc<Gateway>>,
    pub now: fn() -> Timestamp,
}

pub fn routes(scraped: Scraped) -> Router {
    // Counting begins with the node, not with the first scrape.
    handle();
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(Arc::new(scraped))
}

/// Counts a request that was answered; whatever is no operation is one row.
pub(crate) fn answered(operation: Option<&'static str>, status: StatusCode, took: Duration) {
    let operation = operation.unwrap_or("none");
    let status = status.as_u16().to_string();
    counter!(REQUESTS, "operation" => operation, "status" => status).increment(1);
    histogram!(DURATION, "operation" => operation).record(took);
}

/// Counts a refusal by its public code.
pub(crate) fn refused(code: &'static str) {
    counter!(REFUSALS, "code" => code).increment(1);
}

async fn scrape(State(scraped): State<Arc<Scraped>>) -> Response {
    let looked = tokio::time::timeout(LOOK_MAX, look(&scraped)).await;
    if looked.is_err() {
        gauge!(LOG_UP).set(0.0);
    }
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, handle().render()).into_response()
}

/// Measures what stands still between two scrapes.
async fn look(scraped: &Scraped) {
    if let Some(gateway) = &scraped.gateway {
        gauge!(SUBSCRIBERS).set(*gateway.live.subscribers().borrow() as f64);
    }
    match scraped.log.head().await {
        Ok(head) => {
            gauge!(LOG_UP).set(1.0);
            gauge!(LOG_POSITION).set(head.position.0 as f64);
        }
        Err(_) => gauge!(LOG_UP).set(0.0),
    }
    let Some(runner) = &scraped.runner else {
        return;
    };
    for (view, looked) in runner.inspect((scraped.now)()).await {
        // A view that cannot be asked is as good as stopped.
        let is_stopped = looked
            .as_ref()
            .map_or(true, |status| status.stopped.is_some());
        gauge!(VIEW_STOPPED, "view" => view).set(f64::from(u8::from(is_stopped)));
        if let Ok(status) = looked {
            gauge!(VIEW_POSITION, "view" => view).set(status.position.0 as f64);
            gauge!(VIEW_LAG, "view" => view).set(status.lag as f64);
            gauge!(VIEW_AGE, "view" => view).set(status.age_s as f64);
            gauge!(VIEW_QUARANTINED, "view" => view).set(status.quarantined as f64);
        }
    }
}

/// The one recorder of the process.
fn handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets_for_metric(Matcher::Full(DURATION.to_owned()), &BUCKETS);
        let recorder = builder.expect("there are buckets").build_recorder();
        let handle = recorder.handle();
        // Another one would be of this process too; what it counts is then not seen here.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        gauge!(BUILD, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        handle
    })
}

fn describe() {
    describe_counter!(
        REQUESTS,
        "Requests that were answered, by operation and status"
    );
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "Time until an answer began, by operation"
    );
    describe_counter!(REFUSALS, "Refusals, by their public code");
    describe_gauge!(SUBSCRIBERS, "Live streams that are open");
    describe_gauge!(LOG_UP, "Whether the log answers");
    describe_gauge!(LOG_POSITION, "Position of the last commit of the log");
    describe_gauge!(
        VIEW_POSITION,
        "Position of the last commit that the view holds"
    );
    describe_gauge!(
        VIEW_LAG,
        "Commits of the log that the view does not hold yet"
    );
    describe_gauge!(VIEW_AGE, Unit::Seconds, "Age of the oldest of those");
    describe_gauge!(
        VIEW_QUARANTINED,
        "Streams with an event that the view cannot apply"
    );
    describe_gauge!(
        VIEW_STOPPED,
        "Whether the view has stopped, or cannot be asked"
    );
    describe_gauge!(BUILD, "1, with the version of this program");
}
