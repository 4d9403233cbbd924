//! `mirage doctor`: whether everything is as it must be, and how to mend what is not.
//!
//! **Never:** a packet: what would have to ask the network is only read from its configuration.
//! **Never:** a change, but for what `--fix` may make: see `repair`.

mod data;
mod log;
mod machine;
mod remote;
mod repair;
mod servers;

use std::sync::Arc;

use mirage_api::error::{Exit, Problem};
use mirage_log::EventLog;

use super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape};
use repair::Repair;

/// Commits, and evidence of commits, that are looked at unless all are.
const NEWEST: u64 = 1000;

/// Look whether everything is as it must be, and say the fix where it is not
///
/// The configuration decides what there is to look at: a data directory, or the servers of a cluster with its nodes. Of the log
/// and its evidence the newest thousand commits are looked at, with --deep all. --fix makes the repairs that lose
/// nothing: views made anew, key files closed to others, stale leases given back. With --server the node there is asked
/// what it needs, how far its views are, and whether the credential is good.
///
/// Exit codes: 0 nothing failed, 1 something did
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Hold the whole log and all evidence against their hashes
    #[arg(long)]
    deep: bool,
    /// Make the repairs that are safe
    #[arg(long)]
    fix: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
    /// It was wrong, and `--fix` has mended it.
    Fixed,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Fixed => "fixed",
        }
    }
}

/// One line.
struct Check {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    fix: String,
    repair: Option<Repair>,
}

impl Check {
    /// What `--fix` may do about it.
    fn or(self, repair: Repair) -> Self {
        let repair = Some(repair);
        Self { repair, ..self }
    }

    /// Better advice.
    fn try_this(self, fix: &str) -> Self {
        let fix = fix.to_owned();
        Self { fix, ..self }
    }

    /// Mends it, if that is safe; a repair that fails leaves it as it was and says why.
    async fn mended(self, context: &Context) -> Self {
        let Some(repair) = &self.repair else {
            return self;
        };
        match repair.make(context).await {
            Ok(done) => Self {
                verdict: Verdict::Fixed,
                detail: format!("{}: {done}", self.detail),
                fix: String::new(),
                repair: None,
                ..self
            },
            Err(failure) => {
                let why = refused(self.check, &failure).detail;
                let detail = format!("{}; mending failed: {why}", self.detail);
                Self { detail, ..self }
            }
        }
    }
}

fn ok(check: &'static str, detail: impl ToString) -> Check {
    let (detail, fix) = (detail.to_string(), String::new());
    Check {
        check,
        verdict: Verdict::Ok,
        detail,
        fix,
        repair: None,
    }
}
fn warn(check: &'static str, detail: impl ToString, fix: impl ToString) -> Check {
    let (detail, fix) = (detail.to_string(), fix.to_string());
    Check {
        check,
        verdict: Verdict::Warn,
        detail,
        fix,
        repair: None,
    }
}
fn fail(check: &'static str, detail: impl ToString, fix: impl ToString) -> Check {
    let verdict = Verdict::Fail;
    Check {
        verdict,
        ..warn(check, detail, fix)
    }
}

static LISTING: Listing = Listing {
    key: "check",
    fields: &[
        Field::new("verdict", Shape::Text),
        Field::new("check", Shape::Text),
        Field::new("detail", Shape::Text),
        Field::new("fix", Shape::Text),
    ],
};

pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Answer {
    if arguments.deep || arguments.fix {
        context.must_be_here()?;
    }
    let mut rows = context.output.rows(&LISTING)?;
    let mut is_failed = false;
    for mut line in checks(context, arguments.deep).await {
        if arguments.fix {
            line = line.mended(context).await;
        }
        is_failed |= line.verdict == Verdict::Fail;
        rows.push(vec![
            line.verdict.as_str().into(),
            line.check.into(),
            line.detail.into(),
            line.fix.into(),
        ])?;
    }
    rows.end(None)?;
    Ok(if is_failed { Exit::Failed } else { Exit::Done })
}

async fn checks(context: &Context, is_deep: bool) -> Vec<Check> {
    let mut all = vec![configuration(context)];
    match context.remote() {
        Ok(None) => {}
        Ok(Some(remote)) => {
            all.extend(remote::checks(&remote).await);
            return all;
        }
        Err(failure) => {
            all.push(refused("server", &failure));
            return all;
        }
    }
    let opened = match context.jetstream().await {
        None => context.log().await.map_err(|why| refused("log", &why)),
        Some(Ok(log)) => {
            all.extend(servers::checks(context, &log).await);
            Ok(Arc::new(log) as Arc<dyn EventLog>)
        }
        Some(Err(error)) => Err(servers::unfit(error)),
    };
    match opened {
        Ok(log) => {
            all.extend(log::checks(context, &*log, is_deep).await);
            all.extend(data::checks(context, &log, is_deep).await);
        }
        Err(check) => all.push(check),
    }
    all.push(machine::disk(&context.data.dir));
    all.push(machine::resolvers(context));
    all.push(machine::open_files());
    all
}

fn refused(check: &'static str, failure: &Failure) -> Check {
    match failure {
        Failure::Problem(problem) | Failure::Beside(problem) => of_problem(check, problem),
        Failure::ClosedPipe => fail(check, "the output is closed", ""),
    }
}

fn of_problem(check: &'static str, problem: &Problem) -> Check {
    fail(check, problem, problem.hint())
}

fn configuration(context: &Context) -> Check {
    match context.config.faults.len() {
        0 => ok("configuration", "valid"),
        faults => fail(
            "configuration",
            format_args!("{faults} faults"),
            "mirage config check",
        ),
    }
}
