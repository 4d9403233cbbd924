//! Why a command ended early: a problem to tell, or a reader who has seen enough.

use std::io;

use mirage_api::error::{Exit, Problem};

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    Problem(Box<Problem>),
    /// A failure under `--exit-code`, where 1 means something else.
    Beside(Box<Problem>),
    /// Whoever read our output has seen enough.
    ClosedPipe,
}

impl Failure {
    /// The failure of a command that was asked for `--exit-code`: 1 means something else there.
    pub(crate) fn beside(self) -> Self {
        match self {
            Self::Problem(problem) if problem.exit() == Exit::Failed => Self::Beside(problem),
            failure => failure,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Problem(Box::new(Problem::of("output_failed", &error))),
        }
    }
}

impl From<mirage_api::export::Error> for Failure {
    fn from(error: mirage_api::export::Error) -> Self {
        match error {
            mirage_api::export::Error::Output(error) => error.into(),
            mirage_api::export::Error::Problem(problem) => Self::Problem(problem),
        }
    }
}

macro_rules! failures {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Problem(Box::new(error.into()))
            }
        })+
    };
}
failures!(
    Problem,
    mirage_log::ReadError,
    mirage_log::AppendError,
    mirage_log::OpenError,
    mirage_log::archive::Error,
    mirage_log::archive::ImportError,
    mirage_log::backup::Error,
    mirage_log::evidence::CitedError,
    mirage_log::evidence::Error,
    mirage_projections::Error
);
