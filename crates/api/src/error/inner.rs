//! From the errors of the log and the domain to the public table.

use mirage_domain::{delivery, mark, scan, subscription, workspace};
use mirage_log::{AppendError, OpenError, ReadError, archive, backup, evidence, execute};

use super::Problem;

/// An error that knows its public code.
pub trait Coded: std::error::Error + 'static {
    fn code(&self) -> &'static str;
}

impl Coded for scan::Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Start(error) => error.code(),
            Self::Pause(scan::PauseError::Absent)
            | Self::Resume(scan::ResumeError::Absent)
            | Self::Stop(scan::StopError::Absent)
            | Self::Finish(scan::FinishError::Absent)
            | Self::Archive(scan::ArchiveError::Absent) => "no_such_scan",
            Self::Pause(scan::PauseError::Over)
            | Self::Resume(scan::ResumeError::Over)
            | Self::Stop(scan::StopError::Over) => "scan_over",
            Self::Archive(scan::ArchiveError::NotOver) => "scan_not_over",
        }
    }
}

impl Coded for scan::StartError {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyStarted => "scan_exists",
            Self::NoConsent => "consent_missing",
            Self::NoSeeds | Self::TooManySeeds => "bad_seed",
            Self::NoModules | Self::TooDeep => "usage",
        }
    }
}

impl Coded for mark::Error {
    fn code(&self) -> &'static str {
        match self {
            Self::NotMarked => "not_marked",
            Self::LongReason | Self::NoReason => "usage",
        }
    }
}

impl Coded for subscription::Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Exists => "conflict",
            Self::NoSubscription => "no_such_subscription",
            Self::Stale { .. } => "precondition_failed",
            Self::TooMany => "subscriptions_full",
            Self::Name | Self::Url | Self::Filter | Self::Kind(_) | Self::Secret => "bad_value",
        }
    }
}

impl Coded for delivery::Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Fenced => "conflict",
            Self::NoDelivery => "no_such_delivery",
        }
    }
}

impl Coded for workspace::Error {
    fn code(&self) -> &'static str {
        match self {
            Self::Create(workspace::CreateWorkspaceError::Exists) => "workspace_exists",
            Self::IssueKey(error) => error.code(),
            Self::RevokeKey(workspace::RevokeKeyError::NoKey) => "no_such_api_key",
            Self::SetMember(error) => error.code(),
            Self::RemoveMember(error) => error.code(),
            Self::SetTeam(error) => error.code(),
        }
    }
}

impl Coded for workspace::IssueKeyError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoWorkspace => "no_such_workspace",
            Self::Exists => "conflict",
            Self::Expired | Self::Name => "bad_value",
            Self::TooMany => "api_keys_full",
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Damaged(inner) => (*inner).into(),
            error => Self::of(error.code(), &error),
        }
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        Self::of(error.code(), &error)
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Damaged(inner) => (*inner).into(),
            OpenError::Create(inner) => (*inner).into(),
            OpenError::Foreign { .. } => Self::of("log_foreign", &error),
            OpenError::Newer { .. } => Self::of("log_newer", &error),
            OpenError::Store { .. } => Self::of("log_unopenable", &error),
            OpenError::Key { .. } => Self::of("id_key_missing", &error),
            OpenError::Option { .. } | OpenError::File { .. } => Self::of("bad_config", &error),
            OpenError::Refused { .. } | OpenError::Tls { .. } => Self::of("log_refused", &error),
            OpenError::Unreachable { .. } | OpenError::Server { .. } => {
                Self::of("log_unreachable", &error)
            }
            OpenError::ServerTooOld { .. }
            | OpenError::NoJetStream { .. }
            | OpenError::NotSynced { .. }
            | OpenError::Unproven { .. }
            | OpenError::NoRoom { .. }
            | OpenError::Configuration { .. } => Self::of("log_unfit", &error),
        }
    }
}

impl From<archive::Error> for Problem {
    fn from(error: archive::Error) -> Self {
        match error {
            archive::Error::Log(inner) => inner.into(),
            archive::Error::Key(inner) => inner.into(),
            error => Self::of(error.code(), &error),
        }
    }
}

impl From<archive::ImportError> for Problem {
    fn from(error: archive::ImportError) -> Self {
        match error {
            archive::ImportError::Archive(inner) => inner.into(),
            archive::ImportError::Append(inner) => inner.into(),
            error => Self::of(error.code(), &error),
        }
    }
}

impl From<backup::Error> for Problem {
    fn from(error: backup::Error) -> Self {
        match error {
            backup::Error::Archive(inner) => inner.into(),
            backup::Error::Open(inner) => inner.into(),
            backup::Error::Read(inner) => inner.into(),
            backup::Error::Append(inner) => inner.into(),
            backup::Error::Evidence(inner) => inner.into(),
            error => Self::of(error.code(), &error),
        }
    }
}

impl From<evidence::CitedError> for Problem {
    fn from(error: evidence::CitedError) -> Self {
        match error {
            evidence::CitedError::Log(inner) => inner.into(),
            evidence::CitedError::Evidence(inner) => inner.into(),
        }
    }
}

impl From<evidence::Error> for Problem {
    fn from(error: evidence::Error) -> Self {
        Self::of(error.code(), &error)
    }
}

impl From<mirage_projections::Error> for Problem {
    fn from(error: mirage_projections::Error) -> Self {
        Self::of(error.code(), &error)
    }
}

impl<E: Coded> From<execute::Error<E>> for Problem {
    fn from(error: execute::Error<E>) -> Self {
        match error {
            execute::Error::Refused(error) => Self::of(error.code(), &error),
            execute::Error::KeyReused => Self::of("key_reused", &error),
            execute::Error::Stale { .. } => Self::of("precondition_failed", &error),
            execute::Error::Conflict => Self::of("conflict", &error),
            execute::Error::Append(error) => error.into(),
            execute::Error::Read(error) => error.into(),
            execute::Error::Encode(_) => Self::of("commit_too_large", &error),
        }
    }
}
