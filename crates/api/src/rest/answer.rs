//! What goes back: pages of lists, single things, and refusals as problem documents (RFC 9457).

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mirage_domain::id::{Position, Version};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Problem;

/// Seconds after which a refused request may be worth another try.
pub(crate) const RETRY_AFTER_S: u64 = 1;

/// The position that an answer was made at, where its body is no JSON of ours.
pub(crate) const AS_OF: HeaderName = HeaderName::from_static("mirage-as-of");

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The position that the list was made at.
    #[schema(value_type = u64)]
    pub as_of: Position,
    /// Continues the list; null on the last page.
    pub next_cursor: Option<String>,
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// One thing as of a position.
#[derive(Debug, Serialize, ToSchema)]
pub struct One<T> {
    #[serde(flatten)]
    pub thing: T,
    /// The position that the answer was made at.
    #[schema(value_type = u64)]
    pub as_of: Position,
}

impl<T: Serialize> IntoResponse for One<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// The entity tag of an aggregate's version.
pub fn etag(version: Version) -> [(HeaderName, String); 1] {
    [(header::ETAG, format!("\"{}\"", version.0))]
}

/// The version that a change is to be made at (RFC 9110 §13.1.1); `None` for `*`, whatever there is.
pub fn if_match(headers: &HeaderMap) -> Result<Option<Version>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Err(Problem::new(
            "precondition_missing",
            "If-Match was not sent",
        ));
    };
    let text = value.to_str().unwrap_or_default();
    if text == "*" {
        return Ok(None);
    }
    let number = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    // A tag that was never given out matches nothing.
    let stale = || Problem::new("precondition_failed", "If-Match names another version");
    let version = number
        .and_then(|number| number.parse().ok())
        .ok_or_else(stale)?;
    Ok(Some(Version(version)))
}

/// A refusal; the outermost layer writes its document, with the trace of the request.
#[derive(Debug)]
pub struct Refusal(pub Box<Problem>);

impl<P: Into<Problem>> From<P> for Refusal {
    fn from(problem: P) -> Self {
        Self(Box::new(problem.into()))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.0.row.status;
        // 499 and the like are codes too.
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"mirage\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        let is_busy = matches!(status.as_u16(), 429 | 503);
        if is_busy || self.0.retry_after_s.is_some() {
            let seconds = self.0.retry_after_s.unwrap_or(RETRY_AFTER_S);
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
            .extensions_mut()
            .insert(std::sync::Arc::new(*self.0));
        response
    }
}

/// The problem document as the description has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// A page that says more.
    pub r#type: String,
    pub title: String,
    pub status: u16,
    /// Why, this time.
    pub detail: String,
    /// Stable; `/errors` lists them.
    pub code: String,
    /// What to try.
    pub hint: String,
    /// Names this request in the logs.
    pub trace_id: String,
}
