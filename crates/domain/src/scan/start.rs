//! Starting a scan: from request to running, once.
//!
//! **Invariant:** an active scan of the world starts only with consent.

use super::{Event, Origin, Requested, Scan, Started, State};
use crate::module::Profile;

/// Most seeds of one scan.
pub const SEEDS_MAX: u64 = 1_000_000;
/// Deepest chain that may be asked for.
pub const DEPTH_MAX: u32 = 64;

/// Starts a scan. Its stream's id derives from workspace, actor and key, so a repeated start meets its own stream.
#[derive(Debug, Clone)]
pub struct StartScan {
    pub request: Requested,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error("the scan was started before")]
    AlreadyStarted,
    #[error("a scan needs at least one seed")]
    NoSeeds,
    #[error("a scan takes at most {SEEDS_MAX} seeds")]
    TooManySeeds,
    #[error("a scan needs at least one module")]
    NoModules,
    #[error("an active scan needs consent")]
    NoConsent,
    #[error("the depth is at most {DEPTH_MAX}")]
    TooDeep,
}

pub(super) fn decide(scan: &Scan, command: &StartScan) -> Result<Vec<Event>, StartError> {
    let request = &command.request;
    match request.seeds.count {
        _ if scan.state != State::Absent => return Err(StartError::AlreadyStarted),
        0 => return Err(StartError::NoSeeds),
        1..=SEEDS_MAX => {}
        _ => return Err(StartError::TooManySeeds),
    }
    if request.modules.is_empty() {
        return Err(StartError::NoModules);
    }
    let asks_the_world = matches!(request.origin, Origin::Scan { .. });
    if asks_the_world && request.profile == Profile::Active && request.consent.is_none() {
        return Err(StartError::NoConsent);
    }
    if request.limits.depth.is_some_and(|depth| depth > DEPTH_MAX) {
        return Err(StartError::TooDeep);
    }
    Ok(vec![request.clone().into(), Started {}.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Digest, ModuleName};
    use crate::scan::testing::{given, started};
    use crate::scan::{Command, Consent, Limits, Seeds};
    use crate::sealed::Sealable;

    fn request() -> Requested {
        Requested {
            name: Sealable::Open("example.com".into()),
            seeds: Seeds {
                list: Digest::of(b"seeds"),
                count: 1,
            },
            profile: Profile::Standard,
            modules: [ModuleName::new("dns").unwrap()].into(),
            scope: Sealable::Open(Vec::new()),
            limits: Limits::default(),
            consent: None,
            allow_private: Vec::new(),
            settings: Digest::of(b"settings"),
            origin: Origin::NEW,
        }
    }

    fn start(request: Requested) -> Command {
        Command::Start(Box::new(StartScan { request }))
    }

    #[test]
    fn a_request_starts_at_once() {
        given([])
            .when(start(request()))
            .then([request().into(), Started {}.into()]);
    }

    #[test]
    fn a_scan_starts_once() {
        given(started())
            .when(start(request()))
            .fails(StartError::AlreadyStarted);
    }

    #[test]
    fn an_active_scan_needs_consent() {
        let active = Requested {
            profile: Profile::Active,
            ..request()
        };
        given([])
            .when(start(active.clone()))
            .fails(StartError::NoConsent);
        // What was seen before is read again without a packet.
        let again = Requested {
            origin: Origin::Rederivation {
                of: crate::id::ScanId::new("scn_x").unwrap(),
            },
            ..active.clone()
        };
        given([])
            .when(start(again.clone()))
            .then([again.into(), Started {}.into()]);
        let consented = Requested {
            consent: Some(Consent::Flag),
            ..active
        };
        given([])
            .when(start(consented.clone()))
            .then([consented.into(), Started {}.into()]);
    }

    #[test]
    fn empty_and_unbounded_requests_are_refused() {
        let seeds = |count| Requested {
            seeds: Seeds {
                count,
                ..request().seeds
            },
            ..request()
        };
        given([]).when(start(seeds(0))).fails(StartError::NoSeeds);
        given([])
            .when(start(seeds(SEEDS_MAX + 1)))
            .fails(StartError::TooManySeeds);
        let none = Requested {
            modules: Default::default(),
            ..request()
        };
        given([]).when(start(none)).fails(StartError::NoModules);
        let limits = Limits {
            depth: Some(DEPTH_MAX + 1),
            ..Limits::default()
        };
        given([])
            .when(start(Requested {
                limits,
                ..request()
            }))
            .fails(StartError::TooDeep);
    }
}
