//! A checker that was never seen to refuse proves nothing: planted faults have to be found.

use anyhow::{Result, bail, ensure};
use futures::StreamExt;
use mirage_domain::event::Event;
use mirage_domain::id::Position;
use mirage_faults::Ledger;
use mirage_faults::scan::Scanned;
use mirage_log::contract::commit_of;
use mirage_log::{EventLog, Filter, Read};

use crate::rig::check;

/// Changes the log for good.
pub(crate) async fn are_found(
    log: &dyn EventLog,
    mut ledger: Ledger,
    wanted: &Scanned,
) -> Result<()> {
    let mut short = wanted.clone();
    short.claims.pop_first();
    refuses(log, &ledger, &short, "gained").await?;
    end_a_task_again(log).await?;
    refuses(log, &ledger, wanted, "did not end once").await?;
    ledger.plant("00000000-0000-0000-0000-000000000000", 1);
    refuses(log, &ledger, wanted, "acknowledged and lost").await
}

async fn refuses(
    log: &dyn EventLog,
    ledger: &Ledger,
    wanted: &Scanned,
    reason: &str,
) -> Result<()> {
    match check(log, ledger, wanted).await {
        Ok(()) => bail!("a planted fault is not found: {reason}"),
        Err(found) => ensure!(format!("{found:#}").contains(reason), "{found:#}"),
    }
    Ok(())
}

/// Appends to a task's stream the end that it has already.
async fn end_a_task_again(log: &dyn EventLog) -> Result<()> {
    let mut read = log.read(Position(0), Filter::All);
    while let Some(Read::Commit(recorded)) = read.next().await.transpose()? {
        let mut events = recorded.commit.events.iter().map(|entry| &entry.event);
        let end = events.find(|event| matches!(event, Event::Task(task) if task.is_terminal()));
        let Some(end) = end else { continue };
        let tip = Some(recorded.tip());
        let twice = commit_of(recorded.commit.stream.clone(), tip, vec![end.clone()]);
        log.append(mirage_log::commit::encode(&twice)?, tip).await?;
        return Ok(());
    }
    bail!("no task has ended")
}
