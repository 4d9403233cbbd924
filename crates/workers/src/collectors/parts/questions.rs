//! Many DNS questions at once.

use futures::StreamExt;
use futures::future::BoxFuture;
use hickory_proto::rr::RecordType;

use crate::collectors::CollectError;
use crate::probe::{DnsAnswer, Probe};

/// Questions of one input that are in flight.
const IN_FLIGHT: usize = 64;

/// Asks for the records of one type or another of each name; the outcomes stand in the order of the questions.
pub(in crate::collectors) async fn ask(
    probe: &dyn Probe,
    questions: &[(String, RecordType)],
) -> Vec<Result<DnsAnswer, CollectError>> {
    // Boxed and collected: the compiler cannot name the lifetimes of a lazy iterator of futures across an await.
    let asked: Vec<BoxFuture<'_, _>> = questions
        .iter()
        .enumerate()
        .map(|(index, (name, kind))| {
            let asked: BoxFuture<'_, _> =
                Box::pin(async move { (index, probe.dns(name, *kind).await) });
            asked
        })
        .collect();
    // A slow answer must not hold up those behind it, so they are put in order afterwards.
    let mut answers: Vec<_> = futures::stream::iter(asked)
        .buffer_unordered(IN_FLIGHT)
        .collect()
        .await;
    answers.sort_unstable_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
