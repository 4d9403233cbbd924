//! `mirage watch`: the events of a scan as they come, resumable by position.

use std::io::{IsTerminal, stdout};

use futures::StreamExt;
use mirage_api::error::Exit;
use mirage_domain::id::Position;
use mirage_log::{Filter, Read};

use super::tally::Tally;
use super::{Answer, Context, ids, known, log};
use crate::output::Form;

/// Follow the events of a scan until it is over; a pipe gets jsonl
///
/// Every event has a cursor; --since POSITION goes on after it.
///
/// Exit codes: 0 the scan is over, 2 not an id or position, 3 no such scan, 6 the log is damaged, 8 still running at --timeout
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "SCAN")]
    scan: String,
    /// Begin after this position instead of at the scan's beginning
    #[arg(long, value_name = "POSITION")]
    since: Option<u64>,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    let views = context.views().await?;
    let scan = ids::scan(&views.reader(None)?, &arguments.scan)?;
    let log = views.log;
    let since = Position(arguments.since.unwrap_or(0));
    let mut output = context.output.clone();
    if context.is_form_open() && !stdout().is_terminal() {
        output.form = Form::Jsonl;
    }
    let mut rows = output.rows(&log::EVENTS)?;
    let mut tally = Tally::default();
    let mut read = log.read(Position(0), Filter::Scan(scan));
    while let Some(next) = read.next().await {
        match next? {
            Read::Commit(recorded) => {
                tally.apply(&recorded);
                if recorded.position > since {
                    log::push(&mut rows, &recorded)?;
                }
            }
            Read::CaughtUp(_) => rows.settle()?,
        }
        if tally.is_over() {
            break;
        }
    }
    rows.end(Some(tally.position.0))?;
    Ok(Exit::Done)
}
