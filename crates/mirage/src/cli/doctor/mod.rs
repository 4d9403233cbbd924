//! `mirage doctor`: whether everything is as it must be, and how to mend what is not.
//!
//! **Never:** a change, or a packet: what would have to ask the network is only read from its configuration.

mod log;
mod machine;

use mirage_api::error::{Exit, Problem};

use super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape};

/// Look whether everything is as it must be, and say the fix where it is not
///
/// Exit codes: 0 nothing failed, 1 something did
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One line.
struct Check {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    fix: String,
}

fn ok(check: &'static str, detail: impl ToString) -> Check {
    let (detail, fix) = (detail.to_string(), String::new());
    Check {
        check,
        verdict: Verdict::Ok,
        detail,
        fix,
    }
}
fn warn(check: &'static str, detail: impl ToString, fix: impl ToString) -> Check {
    let (detail, fix) = (detail.to_string(), fix.to_string());
    Check {
        check,
        verdict: Verdict::Warn,
        detail,
        fix,
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

pub(crate) async fn run(context: &Context) -> Answer {
    let mut rows = context.output.rows(&LISTING)?;
    let mut is_failed = false;
    for line in checks(context).await {
        is_failed |= line.verdict == Verdict::Fail;
        let verdict = match line.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        rows.push(vec![
            verdict.into(),
            line.check.into(),
            line.detail.into(),
            line.fix.into(),
        ])?;
    }
    rows.end(None)?;
    Ok(if is_failed { Exit::Failed } else { Exit::Done })
}

async fn checks(context: &Context) -> Vec<Check> {
    let mut all = vec![configuration(context)];
    match context.data.log() {
        Ok(log) => all.extend(log::checks(context, &log).await),
        Err(failure) => all.push(refused("log", &failure)),
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
