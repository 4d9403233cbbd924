//! The door of the services: media type, method, credential, role, message, and time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tonic::{Code, Status};

use super::call::Token;
use super::{message, methods, status};
use crate::admit;
use crate::auth;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::origin;
use crate::rest::answer::Refusal;
use crate::router::{ANSWER_MAX, Called};
use crate::trace::{self, Trace};

/// Lets a call through to its method, with its principal.
pub(super) async fn let_in(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Response {
    let trace = request.extensions().get::<Trace>().copied();
    let trace = trace.unwrap_or_else(|| trace::of(request.headers()));
    // Whoever does not speak gRPC is answered in HTTP.
    if let Err(problem) = is_call(&request) {
        return Refusal::from(problem).into_response();
    }
    let Some(method) = methods::of(request.uri().path()) else {
        return unimplemented();
    };
    Called::tell(&request, method.row());
    let most = deadline(request.headers()).map_or(ANSWER_MAX, |most| most.min(ANSWER_MAX));
    let answer = async {
        let request = checked(&gateway, method, request, &trace).await?;
        Ok(next.run(request).await)
    };
    match tokio::time::timeout(most, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => told(status::of(&problem, &trace)),
        Err(_) => {
            let problem = Problem::new("overloaded", "the answer took too long");
            told(status::with(Code::DeadlineExceeded, &problem, &trace))
        }
    }
}

fn told(status: Status) -> Response {
    status.into_http::<Body>()
}

/// The answer to a call of a method that there is not.
pub(crate) fn unimplemented() -> Response {
    told(Status::unimplemented("there is no such method"))
}

/// Whether somebody speaks gRPC, in the only form that is understood here.
pub(crate) fn speaks(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE);
    let media = media.and_then(|media| media.to_str().ok());
    matches!(media, Some("application/grpc" | "application/grpc+proto"))
}

/// Whether a request is a call of a method.
fn is_call(request: &Request) -> Result<(), Problem> {
    if request.method() != Method::POST {
        return Err(Problem::new("method_not_allowed", "a call is a POST"));
    }
    match speaks(request.headers()) {
        true => Ok(()),
        false => Err(
            Problem::new("unsupported_media", "a call is application/grpc")
                .try_this("send application/grpc, with a client of gRPC"),
        ),
    }
}

/// The request with its principal, once all of it is sound.
async fn checked(
    gateway: &Gateway,
    method: &methods::Method,
    request: Request,
    trace: &Trace,
) -> Result<Request, Problem> {
    let (mut parts, body) = request.into_parts();
    let token = auth::bearer(&parts.headers).map(str::to_owned);
    let knock = admit::Request {
        operation: method.row(),
        token: token.as_deref().map_err(Problem::clone),
        subject: parts.uri.path().to_owned(),
        from: origin::of(&parts.extensions, &parts.headers, &gateway.proxies),
        traceparent: Some(trace.to_string()),
    };
    let (who, _) = admit::admit(gateway, knock).await?;
    let token = token?;
    let body = message::read(body, method).await?;
    parts.extensions.insert(who);
    parts.extensions.insert(Token(token));
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// `grpc-timeout`: at most eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_sound = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| is_sound)?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_in_every_unit_and_nothing_else_is_one() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            deadline(&headers)
        };
        assert_eq!(of("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(of("3M"), Some(Duration::from_secs(180)));
        assert_eq!(of("4S"), Some(Duration::from_secs(4)));
        assert_eq!(of("5m"), Some(Duration::from_millis(5)));
        assert_eq!(of("6u"), Some(Duration::from_micros(6)));
        assert_eq!(of("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for wrong in ["", "S", "1", "1s", "-1S", "+1S", "123456789S", "1é"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
