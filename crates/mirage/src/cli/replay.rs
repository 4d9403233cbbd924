//! `mirage replay`: how a scan unfolded; or the whole log into a fresh data directory.

mod far;
mod into;

use std::io::{BufRead, IsTerminal, Read as _, stderr, stdin, stdout};
use std::path::PathBuf;

use futures::StreamExt;
use mirage_api::error::{Exit, Problem};
use mirage_api::pace::{Pace, Speed};
use mirage_domain::id::Position;
use mirage_log::{Filter, Read, Recorded};

use super::{Answer, Context, ids, known, log};
use crate::output::{Failure, Form, Rows};

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64;

/// Show how a scan unfolded, in its own time, faster, or step by step; a pipe gets the events at once
///
/// Time is that at which each commit was recorded. A wait is never longer than 5 seconds, unless --speed 1 is given; where a
/// clock went back nothing waits. The events are those of `watch`, up to where the log ends now.
///
/// With --into the whole log goes into a fresh data directory: the same bytes, hashes and positions, keys and evidence with
/// it, and views are folded there. A run that was cut short goes on where it stopped.
///
/// Exit codes: 0 ok, 2 usage, 3 no such scan or position, 5 DIR holds another log, 6 the log is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The scan: its id, the beginning of it, or @last
    #[arg(add = known::scans(), value_name = "SCAN", required_unless_present = "into")]
    scan: Option<String>,
    /// The first position
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// The last position
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// So many times as fast; 1 is its own time, whatever the gaps
    #[arg(long, value_name = "N")]
    speed: Option<Speed>,
    /// Wait for the enter key before each commit, on a terminal
    #[arg(long, conflicts_with = "speed")]
    step: bool,
    /// Replay the whole log into this directory: an empty one, or one that holds a beginning of the log
    #[arg(long, value_name = "DIR", conflicts_with_all = ["scan", "from", "speed", "step"])]
    into: Option<PathBuf>,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    match (&arguments.into, &arguments.scan) {
        (Some(dir), _) => into::run(context, dir, arguments.to.map(Position)).await,
        (None, Some(scan)) => show(context, scan, &arguments).await,
        (None, None) => Err(Problem::new("usage", "no scan is named").into()),
    }
}

async fn show(context: &Context, scan: &str, arguments: &Arguments) -> Answer {
    if let Some(remote) = context.remote()? {
        return far::show(context, &remote, scan, arguments).await;
    }
    let views = context.views().await?;
    let scan = ids::scan(&views.reader(None)?, scan)?;
    let log = views.log;
    let head = log.head().await?.position;
    let from = Position(arguments.from.unwrap_or(1).max(1));
    let to = Position(arguments.to.unwrap_or(head.0));
    if from.max(to) > head {
        let detail = format!("{}: the log ends at {head}", from.max(to));
        return Err(Problem::new("no_such_position", detail).into());
    }
    let mut screen = Screen::begin(context, arguments)?;
    let mut read = log.read(Position(from.0 - 1), Filter::Scan(scan));
    while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
        if recorded.position > to || !screen.give(&recorded).await? {
            break;
        }
    }
    screen.end(to)
}

/// Where the events are shown, each in its time.
struct Screen {
    rows: Rows,
    pace: Option<Pace>,
    is_stepped: bool,
}

impl Screen {
    fn begin(context: &Context, arguments: &Arguments) -> Result<Self, Failure> {
        let is_terminal = stdout().is_terminal();
        let mut output = context.output.clone();
        if context.is_form_open() && !is_terminal {
            output.form = Form::Jsonl;
        }
        let is_paced = is_terminal && !arguments.step;
        Ok(Self {
            rows: output.rows(&log::EVENTS)?,
            pace: is_paced.then(|| Pace::new(arguments.speed)),
            is_stepped: arguments.step && is_terminal && context.may_ask(),
        })
    }

    /// Shows a commit when its time has come; answers whether more is wanted.
    async fn give(&mut self, recorded: &Recorded) -> Result<bool, Failure> {
        let recorded_at = recorded.commit.recorded_at;
        let pause = self.pace.as_mut().map(|pace| pace.until(recorded_at));
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            self.rows.settle()?;
            tokio::time::sleep(pause).await;
        }
        log::push(&mut self.rows, recorded)?;
        if !self.is_stepped {
            return Ok(true);
        }
        self.rows.settle()?;
        is_next_wanted().await
    }

    fn end(self, to: Position) -> Answer {
        self.rows.end(Some(to.0))?;
        Ok(Exit::Done)
    }
}

/// Waits for a line; the end of the input, or a q, ends the replay.
async fn is_next_wanted() -> Result<bool, Failure> {
    let ask = || {
        use std::io::Write;
        // Who cannot be asked sees the events all the same.
        let _ = write!(stderr(), "enter: the next, q: the end ");
        let mut answer = String::new();
        let input = stdin().lock();
        let bytes = input.take(ANSWER_BYTES_MAX).read_line(&mut answer)?;
        Ok(bytes > 0 && !answer.trim().eq_ignore_ascii_case("q"))
    };
    let asked = tokio::task::spawn_blocking(ask).await;
    asked.map_err(|error| Problem::of("internal", &error))?
}
