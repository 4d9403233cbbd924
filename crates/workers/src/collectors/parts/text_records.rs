//! TXT records, where what is not there matters as much as what is.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};

use crate::collectors::CollectError;
use crate::probe::{DnsAnswer, Probe};

/// Asks, and takes only an answer that says what there is: a server's trouble is not an absence.
pub(in crate::collectors) async fn ask(
    name: &str,
    kind: RecordType,
    probe: &dyn Probe,
) -> Result<DnsAnswer, CollectError> {
    let answer = probe.dns(name, kind).await?;
    match answer.code {
        ResponseCode::NoError | ResponseCode::NXDomain => Ok(answer),
        code => Err(CollectError::Unavailable(format!("{name} {kind}: {code}"))),
    }
}

/// Every text of an answer, its strings joined. Bytes that are no UTF-8 spoil only their own text.
pub(in crate::collectors) fn all(answer: &DnsAnswer) -> impl Iterator<Item = String> + '_ {
    let joined = |data: &RData| match data {
        RData::TXT(txt) => Some(txt.txt_data.concat()),
        _ => None,
    };
    let texts = answer.answers.iter();
    texts
        .filter_map(move |record| joined(&record.data))
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
