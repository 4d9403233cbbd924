//! Files come from pipes, and leave through pipes that somebody closes early.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use mirage_scenarios::{Place, Ran, Running};

/// Bytes that a pipe of Linux never holds, so that a writer meets its end: pipe(7).
const PIPE_BYTES: usize = 1024 * 1024;

/// Names enough that a scan's events overflow a pipe.
fn events(many: usize) -> String {
    let event = |n: usize| {
        let id = format!(r#""id":"DNS_NAME:{n}","uuid":"DNS_NAME:{n}","parent":"DNS_NAME:0""#);
        format!(r#"{{"type":"DNS_NAME",{id},"data":"n{n}.company.example","module":"crt"}}"#)
    };
    (0..many).map(event).collect::<Vec<_>>().join("\n")
}

async fn import_stdin(place: &Place, format: &str, bytes: Vec<u8>) -> Result<Ran> {
    let (from, mut to) = std::io::pipe()?;
    let mut command = place.command(&["import", "--format", format, "-"])?;
    command.stdin(from);
    let writing = std::thread::spawn(move || to.write_all(&bytes));
    let ran = Running::start_reading(command)?.end().await?.expect(&[0])?;
    writing.join().expect("the writer does not panic")?;
    Ok(ran)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_from_stdin_is_the_same_import_as_the_file() -> Result<()> {
    let place = Place::new()?;
    let text = events(100);
    import_stdin(&place, "bbot", text.clone().into_bytes()).await?;
    ensure!(place.scanned().await?.claims.len() == 1 + 100);
    let path = place.home().join("file");
    std::fs::write(&path, text)?;
    let path = path.to_str().context("a path")?;
    let words = ["import", "--format", "bbot", path];
    let again = place.mirage(&words).await?.expect(&[0])?;
    ensure!(again.err.contains("nothing is added"), "{}", again.err);
    // Commits are read more than once, from a pipe as well.
    let words = ["export", "--format", "commits"];
    let commits = place.mirage(&words).await?.expect(&[0])?.out;
    let other = Place::new()?;
    for times in 0..2 {
        let ran = import_stdin(&other, "commits", commits.clone()).await?;
        ensure!(
            ran.err.contains("nothing is added") == (times == 1),
            "{}",
            ran.err
        );
    }
    ensure!(other.scanned().await?.claims.len() == 1 + 101);
    Ok(())
}

/// Runs a command whose output is closed after its first byte.
fn closed_early(mut command: Command, errors: &Path) -> Result<(Option<i32>, String)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(std::fs::File::create(errors)?).spawn()?;
    let mut out = child.stdout.take().context("a pipe")?;
    let mut first = [0];
    out.read_exact(&mut first)?;
    drop(out);
    let code = child.wait()?.code();
    Ok((code, std::fs::read_to_string(errors)?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_ends_quietly_when_its_reader_has_seen_enough() -> Result<()> {
    let place = Place::new()?;
    import_stdin(&place, "bbot", events(6_000).into_bytes()).await?;
    let errors = place.home().join("errors");
    for format in ["jsonl", "csv", "commits", "graphml", "gexf"] {
        let words = ["export", "@last", "--format", format, "--out", "-"];
        let whole = place.mirage(&words).await?.expect(&[0])?;
        ensure!(
            whole.out.len() > PIPE_BYTES,
            "{format}: {}",
            whole.out.len()
        );
        let (code, said) = closed_early(place.command(&words)?, &errors)?;
        ensure!(
            code == Some(0) && said.is_empty(),
            "{format}: {code:?} {said}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_is_the_same_by_both_commands() -> Result<()> {
    let place = Place::new()?;
    import_stdin(&place, "bbot", events(30).into_bytes()).await?;
    for format in ["graphml", "gexf"] {
        let graph = ["graph", "export", "--format", format];
        let wanted = place.mirage(&graph).await?.expect(&[0])?;
        let out = place.home().join(format);
        let path = out.to_str().context("a path")?;
        let words = ["export", "@last", "--format", format, "--out", path];
        let ran = place.mirage(&words).await?.expect(&[0])?;
        ensure!(ran.err.contains("nodes and edges"), "{}", ran.err);
        ensure!(std::fs::read(out)? == wanted.out && !wanted.out.is_empty());
    }
    Ok(())
}
