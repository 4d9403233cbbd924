//! Progress on stderr: lines that are redrawn on a terminal, elsewhere a short line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use mirage_log::Recorded;

use super::super::Context;
use super::super::tally::{self, Module, Tally};
use super::super::time;
use crate::output::{Output, SafeText};

/// Between two drawings on a terminal.
const TERMINAL: Duration = Duration::from_millis(200);
/// Between two lines elsewhere.
const ELSEWHERE: Duration = Duration::from_secs(5);
/// Findings that one drawing shows; more are counted.
const NEWEST: usize = 5;

/// See the module's doc.
pub(super) struct Progress {
    output: Output,
    lines: Option<Lines>,
    is_live: bool,
    next: tokio::time::Instant,
    began: Instant,
    newest: Vec<String>,
    unshown: u64,
    before: Rate,
}

/// The lines on a terminal.
struct Lines {
    all: MultiProgress,
    total: ProgressBar,
    modules: Vec<(String, ProgressBar)>,
}

/// What was scheduled and done at the last drawing.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    done: u64,
    open: u64,
    findings: u64,
}

impl Progress {
    pub(super) fn new(context: &Context) -> Self {
        let is_terminal = std::io::stderr().is_terminal() && !context.output.is_quiet;
        let lines = is_terminal.then(|| {
            let all = MultiProgress::new();
            let total = all.add(plain_bar());
            Lines {
                all,
                total,
                modules: Vec::new(),
            }
        });
        Self {
            output: context.output.clone(),
            lines,
            is_live: false,
            next: tokio::time::Instant::now() + if is_terminal { TERMINAL } else { ELSEWHERE },
            began: Instant::now(),
            newest: Vec::new(),
            unshown: 0,
            before: Rate::default(),
        }
    }

    fn pause(&self) -> Duration {
        if self.lines.is_some() {
            TERMINAL
        } else {
            ELSEWHERE
        }
    }

    /// What was found before this process came is history, and is not shown again.
    pub(super) fn caught_up(&mut self) {
        self.is_live = true;
    }

    pub(super) fn found(&mut self, recorded: &Recorded) {
        if self.lines.is_none() || !self.is_live {
            return;
        }
        for finding in tally::found(recorded) {
            let Some(entity) = finding.entity() else {
                continue;
            };
            match self.newest.len() {
                NEWEST.. => self.unshown += 1,
                _ => self.newest.push(SafeText(&entity.to_string()).to_string()),
            }
        }
    }

    /// Ready when it is time to draw.
    pub(super) async fn due(&self) {
        tokio::time::sleep_until(self.next).await;
    }

    pub(super) fn draw(&mut self, tally: &Tally) {
        let pause = self.pause();
        let now = Rate {
            done: tally.tasks_done(),
            open: tally.open.len() as u64,
            findings: tally.claims,
        };
        let total = self.total(tally, now, pause);
        match &mut self.lines {
            None => self.output.say(total),
            Some(lines) => {
                for newest in self.newest.drain(..) {
                    let _ = lines.all.println(format!("  {newest}"));
                }
                if self.unshown > 0 {
                    let _ = lines.all.println(format!("  and {} more", self.unshown));
                }
                lines.draw(tally, &total);
            }
        }
        self.unshown = 0;
        self.before = now;
        self.next = tokio::time::Instant::now() + pause;
    }

    fn total(&self, tally: &Tally, now: Rate, pause: Duration) -> String {
        let per_second = |count: u64| count as f64 / pause.as_secs_f64();
        let rate = per_second(now.findings.saturating_sub(self.before.findings));
        format!(
            "{} claims ({rate:.0}/s), {} tasks done, {} open, {} requests, {} received, {} so far, left: {}",
            tally.claims,
            now.done,
            now.open,
            tally.cost.requests,
            bytes(tally.cost.bytes_received),
            time::shown(self.began.elapsed()),
            self.left(now, pause),
        )
    }

    /// Honest: while more is scheduled than done, nobody knows.
    fn left(&self, now: Rate, pause: Duration) -> String {
        let done = now.done.saturating_sub(self.before.done);
        if done == 0 || now.open >= self.before.open {
            return "unknown".to_owned();
        }
        let seconds = now.open as f64 * pause.as_secs_f64() / done as f64;
        time::shown(Duration::from_secs_f64(seconds))
    }

    pub(super) fn end(&mut self) {
        if let Some(lines) = self.lines.take() {
            let modules = lines.modules.iter().map(|(_, bar)| bar);
            modules
                .chain([&lines.total])
                .for_each(ProgressBar::finish_and_clear);
        }
    }
}

impl Lines {
    fn draw(&mut self, tally: &Tally, total: &str) {
        self.total.set_message(total.to_owned());
        self.total.tick();
        for (name, module) in &tally.modules {
            let at = self.modules.iter().position(|(known, _)| known == name);
            let at = at.unwrap_or_else(|| {
                self.modules.push((name.clone(), self.all.add(plain_bar())));
                self.modules.len() - 1
            });
            self.modules[at].1.set_message(line(name, module));
            self.modules[at].1.tick();
        }
    }
}

fn line(name: &str, module: &Module) -> String {
    format!(
        "  {name:<16} {:>6} done {:>5} open {:>4} failed {:>7} findings",
        module.done,
        module.open,
        module.failed + module.inputs_failed,
        module.findings
    )
}

fn plain_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg}").expect("the template is valid");
    ProgressBar::new_spinner().with_style(style)
}

/// Bytes for people, in decimal units.
pub(super) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}
