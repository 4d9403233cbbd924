//! The client's errors in ours: what the store refuses, and what may be tried again.

use crate::evidence::Error;
use crate::tls::Trouble;

/// What the client says before the status of an answer; it shows it in no other way for listings.
const STATUS: &str = "status code: ";

pub(super) fn failed(error: object_store::Error) -> Error {
    let told = error.to_string();
    match status(&told) {
        Some(status) if is_refusal(status) => Error::Denied {
            why: code(&told).map_or_else(|| format!("status {status}"), with_fix),
            source: error.into(),
        },
        _ => match Trouble::of(&error) {
            Some(trouble) => Error::Tls {
                fix: trouble.fix("evidence", "endpoint"),
                source: error.into(),
            },
            None => Error::Unreachable(error.into()),
        },
    }
}

fn with_fix(code: String) -> String {
    let fix = match code.as_str() {
        "AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
            "correct `evidence.access_key` and `evidence.secret_key`"
        }
        "NoSuchBucket" => "make it, or correct `evidence.bucket`",
        _ => return code,
    };
    format!("{code}; {fix}")
}

/// Another answer cannot be had by asking again: not a timeout, a conflict with another writer, or too many requests.
fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 408 | 409 | 429)
}

fn status(told: &str) -> Option<u16> {
    let (_, rest) = told.split_once(STATUS)?;
    rest.get(..3)?.parse().ok()
}

/// The store's own word for it, such as `InvalidAccessKeyId` or `NoSuchBucket`.
fn code(told: &str) -> Option<String> {
    let (_, rest) = told.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_word = code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(told: &str) -> Error {
        failed(object_store::Error::Generic {
            store: "S3",
            source: told.to_owned().into(),
        })
    }

    #[test]
    fn a_refusal_tells_the_stores_word_and_is_not_tried_again() {
        let told = "non-2xx status code: 403 Forbidden: <Error><Code>AccessDenied</Code>";
        let error = of(told);
        assert_eq!(
            error.to_string(),
            "the evidence store refuses: AccessDenied; correct `evidence.access_key` and `evidence.secret_key`"
        );
        assert!(!error.may_retry());
        let nameless = of("non-2xx status code: 404 Not Found: ");
        assert_eq!(
            nameless.to_string(),
            "the evidence store refuses: status 404"
        );
    }

    #[test]
    fn anything_else_may_be_tried_again() {
        for told in [
            "non-2xx status code: 503 Slow Down: <Code>SlowDown</Code>",
            "non-2xx status code: 429 Too Many Requests: ",
            "connection refused",
            "status code: é",
        ] {
            assert!(of(told).may_retry(), "{told}");
        }
    }
}
