//! What a cluster refuses while its leader has not heard of all nodes yet.
//!
//! After a start, and until an election is over.

use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep};

/// Nodes tell of themselves every few seconds; a machine that is busy takes several times as long.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(250);

/// Makes something, again for a while if it was asked for too early.
pub(crate) async fn patiently<T, E, F>(mut make: impl FnMut() -> F) -> Result<T, E>
where
    E: Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match make().await {
            Err(error) if is_early(&error) && Instant::now() < deadline => sleep(PAUSE).await,
            made => return made,
        }
    }
}

fn is_early(error: &(dyn Error + 'static)) -> bool {
    // Nobody answers while nobody leads.
    if error.is::<Elapsed>() {
        return true;
    }
    let refused = error.downcast_ref::<CreateStreamError>();
    if let Some(CreateStreamErrorKind::JetStream(refused)) = refused.map(CreateStreamError::kind) {
        let code = refused.error_code();
        return [
            ErrorCode::CLUSTER_NO_PEERS,
            ErrorCode::CLUSTER_NOT_AVAILABLE,
        ]
        .contains(&code);
    }
    error.source().is_some_and(is_early)
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use async_nats::jetstream::context::{CreateKeyValueError, CreateKeyValueErrorKind};
    use serde_json::json;

    use super::*;

    fn refused(code: u64) -> CreateStreamError {
        let error = json!({ "code": 400, "err_code": code, "description": "no suitable peers" });
        let error = serde_json::from_value(error).unwrap();
        CreateStreamError::new(CreateStreamErrorKind::JetStream(error))
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_too_early_is_asked_for_again() {
        let mut calls = 0;
        let made = patiently(|| {
            calls += 1;
            ready(match calls {
                1 => Err(refused(10005)),
                2 => Err(refused(10008)),
                _ => Ok(calls),
            })
        });
        assert_eq!(made.await.unwrap(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_cluster_that_stays_too_small_is_told_of_in_the_end() {
        let begun = Instant::now();
        let made = patiently(|| ready(Err::<(), _>(refused(10005))));
        assert!(made.await.is_err());
        assert!(begun.elapsed() >= PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_nobody_answered_is_asked_again() {
        let mut calls = 0;
        let made = patiently(|| {
            calls += 1;
            let call = calls;
            async move {
                let never = tokio::time::timeout(PAUSE, std::future::pending::<()>());
                let late = never.await.unwrap_err();
                let kind = CreateStreamErrorKind::TimedOut;
                match call {
                    1 => Err(CreateStreamError::with_source(kind, late)),
                    _ => Ok(call),
                }
            }
        });
        assert_eq!(made.await.unwrap(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn another_refusal_is_told_at_once_and_one_within_another_is_seen() {
        let begun = Instant::now();
        let made = patiently(|| ready(Err::<(), _>(refused(10047))));
        assert!(made.await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
        let kind = CreateKeyValueErrorKind::JetStream;
        assert!(is_early(&CreateKeyValueError::with_source(
            kind,
            refused(10005)
        )));
    }
}
