//! Collecting: takes tasks from the queue and runs each, from its claim to its terminal event.
//!
//! A collector knows a task by its id and the plan's position alone: what to run stands in the plan, how in the scan's
//! request and evidence. A host's and a source's pace is kept per process: several collectors ask as many times as fast.
//! Inputs of a task are asked about side by side; what they report is committed within a second, evidence first.
//! **Invariant:** a redelivered task is claimed by `task.restarted`; whoever meets a conflict lets go.
//! **Invariant:** findings have deterministic ids: what already stands in the task's stream is not written again.

mod buffer;
pub(crate) mod context;
mod role;
mod scans;
mod writer;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use mirage_domain::id::{Digest, ModuleName, ScanId};
use mirage_domain::module::{Manifest, Profile};
use mirage_domain::plan::{Input, Scheduled};
use mirage_domain::scope::Scope;
use mirage_domain::task;
use mirage_log::commit::Causation;
use mirage_log::trace::{TARGET, Trace};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span};

use crate::collectors::{self, CollectError, Collector, Found, Frame, Settings};
use crate::node::Node;
use crate::probe::network::Network;
use crate::probe::store_failures::StoreFailures;
use crate::seed;
use buffer::Buffer;
pub use context::LoadError;
pub(crate) use role::Service;
pub use role::{Limits, serve};
pub use writer::Error;
use writer::Writer;

/// Findings wait at most this long for their commit.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// What the tasks of one scan share.
pub struct ScanContext {
    pub node: Arc<Node>,
    pub scan: ScanId,
    pub scope: Arc<Scope>,
    /// Evidence of the scan's settings; stands in the context of each task's commits.
    pub settings: Digest,
    pub seeds: Digest,
    pub profile: Profile,
    pub network: Network,
    /// Settings of each module of the scan.
    pub modules: Vec<(&'static dyn Collector, Arc<Settings>)>,
}

/// A task as its worker knows it.
#[derive(Debug, Clone)]
pub struct Task {
    pub scheduled: Scheduled,
    /// The plan's event that scheduled it.
    pub cause: Causation,
    /// Within the plan's span.
    pub trace: Trace,
    /// Somebody may have run it before.
    pub is_again: bool,
    pub cancel: CancellationToken,
}

/// How a worker's part in a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The task's stream is over.
    Over,
    /// Somebody else writes into the task's stream; nothing more was written here.
    Lost,
    /// The worker was asked to leave; what was found so far is committed.
    Left,
}

/// Runs a task to its end, or lets go of it.
pub async fn run(context: &ScanContext, task: Task) -> Result<Ended, Error> {
    let span = span(context, &task);
    let ended = run_in_span(context, task).instrument(span.clone()).await;
    if ended.is_err() {
        span.record("otel.status", "error");
    }
    ended
}

/// What a task is within its trace; it does not name what is asked about.
fn span(context: &ScanContext, task: &Task) -> Span {
    let Task {
        scheduled, trace, ..
    } = task;
    tracing::error_span!(
        target: TARGET,
        "task",
        trace_id = trace.id(),
        span_id = trace.span(),
        parent_id = trace.parent(),
        is_sampled = trace.is_sampled(),
        otel.kind = "consumer",
        otel.name = format!("task {}", scheduled.module),
        otel.status = Empty,
        scan.id = %context.scan,
        task.id = %scheduled.task,
        task.module = scheduled.module.as_str(),
        task.inputs = scheduled.inputs.len(),
        task.is_again = task.is_again,
    )
}

async fn run_in_span(context: &ScanContext, task: Task) -> Result<Ended, Error> {
    let Some(mut writer) = Writer::claim(context, &task).await? else {
        return Ok(Ended::Over);
    };
    let buffer = Arc::new(Buffer::new(writer.already()));
    if task.scheduled.module.as_str() == seed::NAME {
        return run_seed(context, writer, &buffer).await;
    }
    let name = task.scheduled.module.as_str();
    let Some((collector, settings)) = context
        .modules
        .iter()
        .find(|(collector, _)| collector.manifest().name == name)
    else {
        return writer.fail(&buffer, "unknown-module", name).await;
    };
    run_module(context, writer, &buffer, *collector, settings.clone(), task).await
}

async fn run_seed(
    context: &ScanContext,
    writer: Writer<'_>,
    buffer: &Arc<Buffer>,
) -> Result<Ended, Error> {
    let node = &context.node;
    let list = node
        .evidence
        .get(&node.workspace, context.seeds)
        .await
        .map_err(|error| Error::Evidence(error.into()))?;
    let Some(Ok(seeds)) = list.as_deref().map(seed::decode) else {
        return writer
            .fail(buffer, "no-seed-list", &context.seeds.to_string())
            .await;
    };
    let mut writer = writer;
    for seed in &seeds {
        let finding = seed::finding(
            &context.scan,
            &node.key,
            &context.scope,
            seed,
            context.seeds,
        );
        buffer.add(finding, (node.now)());
        if buffer.is_full() && !writer.commit(buffer).await? {
            return Ok(Ended::Lost);
        }
    }
    writer
        .finish(buffer, task::Cost::default(), Vec::new())
        .await
}

async fn run_module(
    context: &ScanContext,
    mut writer: Writer<'_>,
    buffer: &Arc<Buffer>,
    collector: &'static dyn Collector,
    settings: Arc<Settings>,
    task: Task,
) -> Result<Ended, Error> {
    let manifest = collector.manifest();
    let network = context.network.task(manifest);
    let failures_before = network.store_failures().count();
    let frame = frame(context, manifest, buffer, network.store_failures());
    let started = tokio::time::Instant::now();
    let ask = |input| {
        ask(
            collector,
            input,
            &settings,
            network.probe(),
            Found::of(&frame, input).map(|found| found.within(buffer.clone())),
        )
        .boxed()
    };
    // Boxed and collected: the compiler cannot name the lifetimes of a lazy iterator of futures across an await.
    let asked: Vec<BoxFuture<'_, _>> = task.scheduled.inputs.iter().map(ask).collect();
    let mut asked = futures::stream::iter(asked).buffer_unordered(manifest.parallel.max(1));
    let mut failures = Vec::new();
    let mut tick = tokio::time::interval(WAIT_MAX);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        tokio::select! {
            biased;
            // What was found so far stays; the plan says how the task ends.
            () = task.cancel.cancelled() => {
                let has_landed = writer.commit(buffer).await?;
                return Ok(if has_landed { Ended::Left } else { Ended::Lost });
            }
            outcome = asked.next() => match outcome {
                Some(failure) => failures.extend(failure),
                None => break,
            },
            () = buffer.full() => {}
            _ = tick.tick() => {}
        }
        let is_due = || buffer.is_full() || buffer.oldest().is_some_and(|age| age >= WAIT_MAX);
        while is_due() {
            if !writer.commit(buffer).await? {
                return Ok(Ended::Lost);
            }
        }
    }
    drop(asked);
    // What is in the buffer is found again: the attempt that comes next asks everything once more.
    if let Some(error) = network.store_failures().beyond(failures_before) {
        return Err(Error::Evidence(error));
    }
    for (rule, detail) in network.refusals() {
        buffer.remark("egress-refused", rule, None, detail);
    }
    let (requests, bytes_received) = network.cost();
    let duration_ms = started.elapsed().as_millis() as u64;
    let cost = task::Cost {
        requests,
        bytes_received,
        duration_ms,
    };
    tracing::debug!(task.id = %task.scheduled.task, module.name = manifest.name, duration_ms, "task done");
    writer.finish(buffer, cost, failures).await
}

fn frame(
    context: &ScanContext,
    manifest: &'static Manifest,
    buffer: &Arc<Buffer>,
    failures: &Arc<StoreFailures>,
) -> Arc<Frame> {
    let (buffer, now) = (buffer.clone(), context.node.now);
    let (node, failures) = (context.node.clone(), failures.clone());
    Arc::new(Frame {
        scan: context.scan.clone(),
        module: ModuleName::new(manifest.name).expect("a manifest's name is an id"),
        manifest,
        profile: context.profile,
        key: context.node.key.clone(),
        scope: context.scope.clone(),
        sink: Arc::new(move |reported| buffer.take(reported, now())),
        keep: Arc::new(move |bytes| keep(node.clone(), failures.clone(), bytes).boxed()),
    })
}

async fn keep(
    node: Arc<Node>,
    failures: Arc<StoreFailures>,
    bytes: Vec<u8>,
) -> Result<Digest, CollectError> {
    failures.noted(node.evidence.put(&node.workspace, bytes).await)
}

/// Asks about one input; a failure, a panic or the deadline is its own and no other's.
async fn ask(
    collector: &'static dyn Collector,
    input: &Input,
    settings: &Arc<Settings>,
    probe: &dyn crate::probe::Probe,
    found: Option<Found>,
) -> Option<task::Failure> {
    let failed = |reason: &str, detail: &str| task::Failure {
        entity: input.entity,
        finding: input.finding,
        reason: reason.to_owned(),
        detail: buffer::short(detail).into(),
    };
    let (Some(entity), Some(found)) = (input.entity(), found) else {
        return Some(failed("erased", ""));
    };
    let settings = settings.clone();
    let asked = collectors::Input {
        entity,
        evidence: input.evidence,
        is_in_scope: input.in_scope,
        settings,
    };
    let limit = Duration::from_secs(collector.manifest().deadline_s);
    let asking = AssertUnwindSafe(collector.collect(&asked, probe, &found)).catch_unwind();
    match tokio::time::timeout(limit, asking).await {
        Ok(Ok(Ok(()))) => None,
        Ok(Ok(Err(error))) => Some(failed(error.reason(), error.detail())),
        Ok(Err(panic)) => Some(failed("panicked", panic_text(&*panic))),
        Err(_) => Some(failed("deadline", &format!("{} s", limit.as_secs()))),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic")
}
