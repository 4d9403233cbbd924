//! The body of a request: JSON of bounded size, every member of it known.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;

use super::answer::Refusal;
use crate::error::Problem;

/// A body that was read, and as it was sent.
pub struct Body<T> {
    pub value: T,
    pub sent: Bytes,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;
    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let media = request.headers().get(CONTENT_TYPE);
        let media = media
            .and_then(|media| media.to_str().ok())
            .unwrap_or_default();
        let essence = media.split(';').next().unwrap_or_default().trim();
        let is_json = essence.eq_ignore_ascii_case("application/json")
            || essence.eq_ignore_ascii_case("application/merge-patch+json");
        if !is_json {
            return Err(Problem::new("unsupported_media", format!("`{essence}`")).into());
        }
        let too_large = |_| Problem::new("body_too_large", "the body is larger than is taken");
        let sent = Bytes::from_request(request, state)
            .await
            .map_err(too_large)?;
        let read = serde_json::from_slice(&sent);
        let value = read.map_err(|error| Problem::new("bad_body", error))?;
        Ok(Self { value, sent })
    }
}
