//! What a node tells Prometheus, and when somebody is woken, held against `promtool`.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use mirage_ecosystem::root;
use mirage_scenarios::{Place, serve};
use mirage_servers::promtool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::ran::ran;

/// The body of a plain request.
async fn get(url: &str, path: &str) -> Result<String> {
    let address = url.strip_prefix("http://").context("a plain listener")?;
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("a head")?;
    ensure!(head.contains(" 200 "), "{head}");
    Ok(body.to_owned())
}

fn check_metrics(mut promtool: Command, text: &str) -> Result<(bool, String)> {
    let mut child = promtool
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .context("its stdin")?
        .write_all(text.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_measures_keeps_to_the_habits_of_prometheus() -> Result<()> {
    let Some(checker) = promtool() else {
        return Ok(());
    };
    let place = Place::new()?;
    place
        .objects(&["api-keys", "issue", "test", "--role", "viewer"])
        .await?;
    let (_node, url) = serve(&place).await?;
    get(&url, "/api/v1/openapi.json").await?;
    let metrics = get(&url, "/metrics").await?;
    let (is_good, said) = check_metrics(checker, &metrics)?;
    ensure!(is_good, "{said}");
    for name in named_in_rules()? {
        ensure!(
            metrics.contains(&format!("\n{name}")),
            "no {name} in {metrics}"
        );
    }
    let is_help = |line: &&str| !line.starts_with("# HELP");
    let bare: Vec<&str> = metrics.lines().filter(is_help).collect();
    let checker = promtool().context("promtool is there")?;
    let (is_good, said) = check_metrics(checker, &(bare.join("\n") + "\n"))?;
    ensure!(!is_good && said.contains("no help text"), "{said}");
    Ok(())
}

/// Names of metrics that rules ask for.
fn named_in_rules() -> Result<Vec<String>> {
    let rules = fs::read_to_string(root().join("deploy/alerts.yaml"))?;
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut names: Vec<String> = words
        .filter(|word| word.starts_with("mirage_"))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    ensure!(names.len() >= 5, "{names:?}");
    Ok(names)
}

/// A copy of rules and their tests, changed in one place.
fn changed(file: &str, from: &str, to: &str) -> Result<tempfile::TempDir> {
    let copy = tempfile::tempdir()?;
    for name in ["alerts.yaml", "alerts_test.yaml"] {
        let text = fs::read_to_string(root().join("deploy").join(name))?;
        ensure!(
            name != file || text.contains(from),
            "{file} has no `{from}`"
        );
        let text = if name == file {
            text.replacen(from, to, 1)
        } else {
            text
        };
        fs::write(copy.path().join(name), text)?;
    }
    Ok(copy)
}

fn told(words: &[&str], folder: &Path) -> Option<Result<(bool, String)>> {
    let mut command = promtool()?;
    command.args(words).current_dir(folder);
    Some(ran(command))
}

#[test]
fn rules_are_sound_and_wake_somebody_when_they_should() -> Result<()> {
    let deploy = root().join("deploy");
    let check = ["check", "rules", "alerts.yaml"];
    let test = ["test", "rules", "alerts_test.yaml"];
    for words in [&check, &test] {
        let Some(told) = told(words, &deploy) else {
            return Ok(());
        };
        let (is_good, said) = told?;
        ensure!(is_good, "{said}");
    }
    let unsound = changed("alerts.yaml", "mirage_log_up ==", "mirage_log_up = =")?;
    let (is_good, said) = told(&check, unsound.path()).context("promtool is there")??;
    ensure!(!is_good, "{said}");
    let deaf = changed("alerts.yaml", "mirage_log_up == 0", "mirage_log_up == 2")?;
    let (is_good, said) = told(&test, deaf.path()).context("promtool is there")??;
    ensure!(!is_good && said.contains("LogUnreachable"), "{said}");
    Ok(())
}
