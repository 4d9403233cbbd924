//! Every method, and the operation that it is.
//!
//! Whatever is not in it is not there: rights are those of the operation's row in `auth/operations.rs`.

use std::collections::HashMap;
use std::sync::OnceLock;

use prost::Message;

use super::v1::{
    ChangeScanRequest, GetFindingRequest, GetScanRequest, ListFindingsRequest, ListScansRequest,
    StartScanRequest, WatchEventsRequest, WhyEntityRequest, WhyFindingRequest,
};
use crate::auth::operations::{self, Operation};

/// One method.
pub struct Method {
    /// `SERVICE/METHOD`, as the path of a call has it behind its slash.
    pub name: &'static str,
    /// The id of the operation that it is.
    pub operation: &'static str,
    /// Whether bytes are its request.
    reads: fn(&[u8]) -> Result<(), prost::DecodeError>,
}

/// Columns: name, operation, request. Sorted by name.
#[rustfmt::skip]
pub static ALL: &[Method] = &[
    method("mirage.v1.FindingService/GetFinding", "get_finding", reads::<GetFindingRequest>),
    method("mirage.v1.FindingService/ListFindings", "list_findings", reads::<ListFindingsRequest>),
    method("mirage.v1.ScanService/ChangeScan", "change_scan", reads::<ChangeScanRequest>),
    method("mirage.v1.ScanService/GetScan", "get_scan", reads::<GetScanRequest>),
    method("mirage.v1.ScanService/ListScans", "list_scans", reads::<ListScansRequest>),
    method("mirage.v1.ScanService/StartScan", "start_scan", reads::<StartScanRequest>),
    method("mirage.v1.WatchService/WatchEvents", "stream_events", reads::<WatchEventsRequest>),
    method("mirage.v1.WhyService/WhyEntity", "why_entity", reads::<WhyEntityRequest>),
    method("mirage.v1.WhyService/WhyFinding", "why_finding", reads::<WhyFindingRequest>),
];

const fn method(
    name: &'static str,
    operation: &'static str,
    reads: fn(&[u8]) -> Result<(), prost::DecodeError>,
) -> Method {
    Method {
        name,
        operation,
        reads,
    }
}

fn reads<M: Message + Default>(bytes: &[u8]) -> Result<(), prost::DecodeError> {
    M::decode(bytes).map(drop)
}

/// The method that a path calls.
pub(super) fn of(path: &str) -> Option<&'static Method> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static Method>> = OnceLock::new();
    let all = || ALL.iter().map(|method| (method.name, method)).collect();
    let name = path.strip_prefix('/')?;
    BY_NAME.get_or_init(all).get(name).copied()
}

impl Method {
    /// Its row; without one, nobody may call it.
    pub fn row(&self) -> Option<&'static Operation> {
        operations::ALL
            .iter()
            .find(|operation| operation.id == self.operation)
    }

    pub(super) fn read(&self, bytes: &[u8]) -> Result<(), prost::DecodeError> {
        (self.reads)(bytes)
    }
}
