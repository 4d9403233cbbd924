//! Refusals as gRPC tells them: a status, with the code of its row.
//!
//! The code stands in the metadata, and with the advice in a `google.rpc.ErrorInfo`.

use std::collections::HashMap;
use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::error::{Problem, Row};
use crate::rest::answer::RETRY_AFTER_S;
use crate::trace::Trace;

/// Of whose errors the reasons are.
const DOMAIN: &str = "mirage";

/// The status of a refusal.
pub(super) fn of(problem: &Problem, trace: &Trace) -> Status {
    with(code(problem.row), problem, trace)
}

/// The same with another code than the row's.
pub(super) fn with(code: Code, problem: &Problem, trace: &Trace) -> Status {
    let (row, trace_id) = (problem.row, trace.id());
    let detail = problem.safe_detail(&trace_id);
    let message = match detail == row.title {
        true => detail.to_owned(),
        false => format!("{}: {detail}", row.title),
    };
    let more = [("code", row.code), ("hint", problem.hint())];
    let more = more.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let reason = row.code.to_ascii_uppercase();
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::from(more));
    details.set_request_info(trace_id, "");
    if matches!(row.status, 429 | 503) {
        details.set_retry_info(Some(Duration::from_secs(RETRY_AFTER_S)));
    }
    let mut metadata = MetadataMap::new();
    let value = row.code.parse().expect("codes are letters and lines");
    metadata.insert("code", value);
    Status::with_error_details_and_metadata(code, message, details, metadata)
}

/// The status code of a row, from what it means in HTTP.
pub fn code(row: &Row) -> Code {
    match (row.status, row.code) {
        (409, "conflict" | "key_in_flight") | (412, _) => Code::Aborted,
        (409, code) if code.ends_with("_exists") => Code::AlreadyExists,
        (409, _) => Code::FailedPrecondition,
        (401, _) => Code::Unauthenticated,
        (403, _) => Code::PermissionDenied,
        (404, _) => Code::NotFound,
        (405 | 501, _) => Code::Unimplemented,
        (413 | 429 | 507, _) => Code::ResourceExhausted,
        (499, _) => Code::Cancelled,
        (502 | 503, _) => Code::Unavailable,
        (504, _) => Code::DeadlineExceeded,
        (400..=499, _) => Code::InvalidArgument,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(problem: &Problem) -> Status {
        let trace = Trace::begin();
        of(problem, &trace)
    }

    #[test]
    fn a_refusal_names_its_code_and_what_to_try() {
        let told = status(&Problem::new("no_such_scan", "`scn_x`"));
        assert_eq!(told.code(), Code::NotFound);
        assert_eq!(told.metadata().get("code").unwrap(), "no_such_scan");
        assert_eq!(told.message(), "there is no such scan: `scn_x`");
        let info = told.get_details_error_info().unwrap();
        let told = (info.reason.as_str(), info.domain.as_str());
        assert_eq!(told, ("NO_SUCH_SCAN", "mirage"));
        assert_eq!(info.metadata["hint"], Row::of("no_such_scan").hint);
    }

    #[test]
    fn nothing_from_within_leaves() {
        let mut problem = Problem::new("log_unreadable", "/secret/path");
        problem.cause = Some("a secret cause".to_owned());
        let told = status(&problem);
        assert_eq!(told.code(), Code::Unavailable);
        assert!(told.get_details_retry_info().is_some());
        let all = format!("{told:?}{:?}", String::from_utf8_lossy(told.details()));
        assert!(!all.contains("secret"), "{all}");
    }

    #[test]
    fn what_a_caller_can_mend_is_never_told_as_ours() {
        for row in crate::error::ALL {
            let is_ours = matches!(code(row), Code::Internal | Code::Unknown);
            assert_eq!(is_ours, row.status == 500, "{}", row.code);
        }
    }
}
