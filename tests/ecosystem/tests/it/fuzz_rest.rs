//! Questions that nobody thought of, and whether their answers are as they are described.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use mirage_ecosystem::{python, root};
use mirage_scenarios::{Place, Running, listening};
use serde_json::{Value, json};

use crate::ran::ran;

/// Streams that do not end, and keys: the one that asks could be revoked.
const NOT_ASKED: [&str; 2] = ["/events", "/api-keys/"];
/// What chooses itself for each operation and phase; some seconds of questions.
const EXAMPLES: &str = "10";

fn ask() -> Option<Command> {
    let what = "answers of REST to made-up questions";
    python(what, "schemathesis", "fuzz_rest.py")
}

/// A gateway that runs nothing: made-up scans contact nobody, and asking often is what is meant.
async fn gateway(place: &Place) -> Result<(Running, String)> {
    let words = ["serve", "--role", "api,project", "--listen", "127.0.0.1:0"];
    let mut command = place.command(&words)?;
    for of in ["ADDRESS", "CALLER", "WORKSPACE"] {
        command.env(format!("MIRAGE_SERVE_RATE_{of}"), "1000000");
    }
    let mut node = Running::start(command)?;
    let url = listening(&mut node).await?;
    Ok((node, format!("{url}/api/v1")))
}

/// How many operations there are to ask.
fn asked(document: &Value) -> Result<usize> {
    let paths = document["paths"].as_object().context("paths")?;
    let is_asked = |path: &String| !NOT_ASKED.iter().any(|prefix| path.starts_with(prefix));
    let of = |operations: &Value| operations.as_object().map_or(0, serde_json::Map::len);
    let asked = paths.iter().filter(|(path, _)| is_asked(path));
    Ok(asked.map(|(_, operations)| of(operations)).sum())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_as_described_whatever_is_asked() -> Result<()> {
    let (Some(mut good), Some(mut bad)) = (ask(), ask()) else {
        return Ok(());
    };
    let place = Place::new()?;
    let words = ["api-keys", "issue", "test", "--role", "owner"];
    let issued = place.objects(&words).await?;
    let key = issued[0]["api_key"].as_str().context("a key")?;
    let (_node, base) = gateway(&place).await?;
    let description = root().join("schemas/openapi.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&description)?)?;
    let tested = format!("Tested: {}", asked(&document)?);
    good.arg(&description).arg(&base).env("MIRAGE_KEY", key);
    good.args(["--max-examples", EXAMPLES]);
    let not_asked = format!("^({})", NOT_ASKED.join("|"));
    good.args(["--exclude-path-regex", &not_asked]);
    good.current_dir(place.home());
    let (is_good, said) = ran(good)?;
    ensure!(
        is_good && said.contains(&tested),
        "{tested} of these: {said}"
    );

    let answer = "/paths/~1log/get/responses/200/content/application~1json/schema";
    let answer = document.pointer_mut(answer).context("an answer of /log")?;
    *answer = json!({"type": "array"});
    let faulty = place.home().join("faulty.json");
    fs::write(&faulty, document.to_string())?;
    bad.arg(&faulty).arg(&base).env("MIRAGE_KEY", key);
    bad.args(["--max-examples", "2", "--include-path", "/log"]);
    bad.current_dir(place.home());
    let (is_good, said) = ran(bad)?;
    ensure!(!is_good && said.contains("schema"), "{said}");
    Ok(())
}
