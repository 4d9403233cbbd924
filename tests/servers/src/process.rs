//! One server process: folder, log, signals, and the guard that ends it when we are gone.
//!
//! The guard is a shell that reads our pid lines from a pipe. The pipe closes when this process ends, however it
//! ends, and then the guard ends the server and removes its folder. (A signal that the kernel sends on a parent's
//! death comes when the *thread* ends that started the server, and a test is a thread.)
//!
//! **Invariant:** one guard per process, told of each start and each end before anybody else is.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::user::{self, User};

/// Between two looks at a server that starts.
const POLL: Duration = Duration::from_millis(20);
/// For a server that ends by itself; the killed ones take none of it.
const END: Duration = Duration::from_secs(5);
/// Of a log, in a message.
const TAIL_LINES: usize = 30;

/// Reads pids until the pipe closes; `-` stands for "none". 50 × 0.1 s is [`END`].
const GUARD: &str = r#"
while read -r line; do pid=$line; done
if [ "${pid:--}" != - ]; then
    kill -"$1" "$pid"; kill -CONT "$pid"
    tries=0
    while kill -0 "$pid" && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -KILL "$pid"
fi
rm -rf -- "$2"
"#;

/// How to start a server.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// User and group that it runs as, where they are not ours.
    pub(crate) user: User,
    pub(crate) end: End,
}

/// How a server is ended for good.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum End {
    Kill,
    /// For one that would leave children or shared memory behind; killed if it takes too long.
    Quit,
}

/// A server that did not start, and why.
pub(crate) struct Failure(String);

/// A running server, or one that was killed and can be started again.
pub struct Process {
    name: String,
    launch: Launch,
    folder: PathBuf,
    child: Mutex<Option<Child>>,
    guard: Mutex<Child>,
}

impl Process {
    /// Starts a server that keeps all it has below `folder`; the folder is removed with it.
    pub(crate) fn start(name: &str, folder: PathBuf, launch: Launch) -> Self {
        let guard = guard(&folder, launch.end).expect("a POSIX shell starts");
        let process = Self {
            name: name.to_owned(),
            launch,
            folder,
            child: Mutex::new(None),
            guard: Mutex::new(guard),
        };
        process.spawn();
        process
    }

    /// Starts it again with the same ports and folder; one that runs is killed first.
    pub(crate) fn spawn(&self) {
        self.kill();
        let mut child = self.child();
        let started = self.command().spawn();
        let started = started.unwrap_or_else(|error| {
            panic!("{} does not start: {error}", self.launch.program.display())
        });
        self.tell_guard(&started.id().to_string());
        *child = Some(started);
    }

    /// # Panics
    /// If it was killed and not started again.
    pub fn pid(&self) -> u32 {
        let child = self.child();
        child.as_ref().expect("the server runs").id()
    }

    pub fn is_running(&self) -> bool {
        let mut child = self.child();
        let running = child.as_mut();
        running.is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL, as a power cut of the process: nothing is flushed, and it is gone on return.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
            self.tell_guard("-");
        }
    }

    /// SIGSTOP: it keeps its connections and does not answer.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT, after [`Process::stop`].
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// What it keeps on disk; removed when this is dropped.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Waits until `is_ready`, but no longer than `limit` and only while it runs.
    pub(crate) fn until(
        &self,
        limit: Duration,
        is_ready: impl Fn() -> bool,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            if !self.is_running() {
                return Err(self.failure("ended while it started"));
            }
            if is_ready() {
                return Ok(());
            }
            let failure = self.failure("cannot listen");
            if failure.is_taken_port() {
                // Not each of them ends then.
                return Err(failure);
            }
            if started.elapsed() > limit {
                return Err(self.failure(&format!("was not ready after {limit:?}")));
            }
            std::thread::sleep(POLL);
        }
    }

    pub(crate) fn failure(&self, what: &str) -> Failure {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
        Failure(format!("{} {what}; its log ends with:\n{tail}", self.name))
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn command(&self) -> Command {
        let log = || -> io::Result<File> {
            let mut options = OpenOptions::new();
            options.append(true).create(true).open(self.log())
        };
        let mut command = Command::new(&self.launch.program);
        command
            .args(&self.launch.arguments)
            .envs(
                self.launch
                    .environment
                    .iter()
                    .map(|(key, value)| (key, value)),
            )
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log().expect("a file in our own folder"))
            .stderr(log().expect("a file in our own folder"))
            // Ctrl-C ends us, and the guard ends the server.
            .process_group(0);
        user::run_as(&mut command, self.launch.user);
        command
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("a child's pid is positive");
        kill_process(pid, signal).expect("our own child takes signals");
    }

    fn end(&self) {
        if self.launch.end == End::Quit && self.is_running() {
            self.signal(Signal::QUIT);
            self.cont();
            let started = Instant::now();
            while self.is_running() && started.elapsed() < END {
                std::thread::sleep(POLL);
            }
        }
        self.kill();
    }

    fn tell_guard(&self, pid: &str) {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        let pipe = guard.stdin.as_mut().expect("the pipe closes with us");
        // Somebody may have killed the guard; we still end the server ourselves.
        let _ = writeln!(pipe, "{pid}");
    }

    /// A panic of another test leaves nothing half done here.
    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        // Closes the pipe, too; it returns once the folder is gone.
        let _ = guard.wait();
    }
}

fn guard(folder: &Path, end: End) -> io::Result<Child> {
    let signal = match end {
        End::Kill => "KILL",
        End::Quit => "QUIT",
    };
    Command::new("sh")
        .args(["-c", GUARD, "guard", signal])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

impl Failure {
    /// All of these servers say it in these words.
    pub(crate) fn is_taken_port(&self) -> bool {
        self.says("address already in use")
    }

    /// Whether the end of its log says it, in upper or lower case.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.0.to_lowercase().contains(words)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
