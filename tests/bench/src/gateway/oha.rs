//! `oha`, a load generator of others, and what it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Where `cargo xtask bench` installs it, beside this program's target folder.
const INSTALLED: &str = "tools/bin/oha";

/// What was measured.
pub(super) struct Said {
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// How a load is put on.
pub(super) struct Load<'a> {
    pub(super) key: &'a str,
    pub(super) connections: usize,
    pub(super) requests: usize,
    /// None: GET.
    pub(super) post: Option<&'a str>,
}

/// The program, as it was installed or as the machine has it.
pub(super) fn find() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.parent().and_then(Path::parent);
    let installed = target.context("a target folder")?.join(INSTALLED);
    let found = match installed.exists() {
        true => installed,
        false => "oha".into(),
    };
    let asked = Command::new(&found).arg("--version").output();
    asked.context("oha is missing: `cargo xtask bench --only gateway` installs it")?;
    Ok(found)
}

/// Asks for these addresses in turns; every answer must be a good one.
pub(super) fn run(oha: &Path, urls: &[String], load: &Load<'_>) -> Result<Said> {
    let list = tempfile::NamedTempFile::new()?;
    std::fs::write(list.path(), urls.join("\n"))?;
    let mut command = Command::new(oha);
    command.args(["--no-tui", "--output-format", "json"]);
    command.args(["-c", &load.connections.to_string()]);
    command.args(["-n", &load.requests.to_string()]);
    command.args(["-H", &format!("authorization: Bearer {}", load.key)]);
    if let Some(body) = load.post {
        command.args(["-m", "POST", "-T", "application/json", "-d", body]);
    }
    command.arg("--urls-from-file").arg(list.path());
    let ran = command.output().context("running oha")?;
    ensure!(
        ran.status.success(),
        "oha ended with {}: {}",
        ran.status,
        String::from_utf8_lossy(&ran.stderr)
    );
    let said: Value = serde_json::from_slice(&ran.stdout).context("what oha says")?;
    let codes = said["statusCodeDistribution"].as_object();
    let good = codes.is_some_and(|codes| codes.keys().all(|code| code.starts_with('2')));
    let counted: u64 = codes.map_or(0, |codes| codes.values().filter_map(Value::as_u64).sum());
    ensure!(
        good && counted == load.requests as u64,
        "{}: {counted} answers: {codes:?}; errors {}",
        urls[0],
        said["errorDistribution"]
    );
    let number = |value: &Value| value.as_f64().context("a number of oha");
    Ok(Said {
        per_second: number(&said["summary"]["requestsPerSec"])?,
        p50_ms: number(&said["latencyPercentiles"]["p50"])? * 1e3,
        p99_ms: number(&said["latencyPercentiles"]["p99"])? * 1e3,
    })
}
