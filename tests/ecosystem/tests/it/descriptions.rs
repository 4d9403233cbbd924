//! The descriptions of REST and of the live streams, held against those who read such descriptions.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use mirage_ecosystem::{node, npm, root};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ran::ran;

const OPENAPI: &str = "schemas/openapi.json";
const ASYNCAPI: &str = "schemas/asyncapi.json";

/// What of the recommended rules says nothing here: a switch of protocols is an answer, too, and so is the way to somebody
/// else's page; parts of a schema that others take in whole are described beside them.
const NO_FAULTS: [(&str, &str); 3] = [
    (
        "operation-2xx-response",
        "#/paths/~1events~1ws/get/responses",
    ),
    (
        "operation-2xx-response",
        "#/paths/~1oidc~1start/get/responses",
    ),
    ("no-unused-components", ""),
];

/// A copy of a description, changed.
fn changed(file: &str, change: impl FnOnce(&mut Value)) -> Result<TempDir> {
    let mut document = serde_json::from_slice(&fs::read(root().join(file))?)?;
    change(&mut document);
    let copy = tempfile::tempdir()?;
    fs::create_dir(copy.path().join("schemas"))?;
    fs::write(copy.path().join(file), document.to_string())?;
    Ok(copy)
}

/// Rules that the description of REST breaks.
fn lint(folder: &Path) -> Option<Result<Vec<String>>> {
    let mut command = npm("lint of the description of REST", "redocly")?;
    command.args(["lint", OPENAPI, "--extends", "recommended"]);
    command.args(["--format", "json"]).current_dir(folder);
    // It would tell its makers that it ran, and ask them for a newer one.
    command.env("REDOCLY_TELEMETRY", "off");
    command.env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true");
    Some(broken(command))
}

fn broken(mut command: std::process::Command) -> Result<Vec<String>> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let told: Value = serde_json::from_slice(&output.stdout).with_context(|| said.into_owned())?;
    let problems = told["problems"].as_array().context("problems")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let problems = problems.iter().map(|problem| {
        let pointer = text(&problem["location"][0]["pointer"]);
        (text(&problem["ruleId"]), pointer)
    });
    let is_fault = |(rule, at): &(String, String)| {
        !NO_FAULTS
            .iter()
            .any(|(none, there)| rule == none && at.starts_with(there))
    };
    let problems = problems.filter(is_fault);
    Ok(problems
        .map(|(rule, at)| format!("{rule} at {at}"))
        .collect())
}

#[test]
fn the_description_of_rest_keeps_to_the_habits_of_the_trade() -> Result<()> {
    let Some(good) = lint(root()) else {
        return Ok(());
    };
    let broken = good?;
    ensure!(broken.is_empty(), "{broken:?}");
    let bad = changed(OPENAPI, |document| {
        let twin = document["paths"]["/scans"]["get"]["operationId"].clone();
        document["paths"]["/views"]["get"]["operationId"] = twin;
        document["paths"]["/entities/{entity}"]["get"]["parameters"] = json!([]);
    })?;
    let broken = lint(bad.path()).context("redocly is there")??;
    for rule in ["operation-operationId-unique", "path-parameters-defined"] {
        let is_found = broken.iter().any(|line| line.starts_with(rule));
        ensure!(is_found, "{rule} is not among {broken:?}");
    }
    Ok(())
}

#[test]
fn the_description_of_streams_is_sound_for_who_reads_such() -> Result<()> {
    let parse = |folder: &Path| {
        let what = "the description of streams by its specification's parser";
        let mut command = node(what, "parse_asyncapi.cjs")?;
        command.arg(folder.join(ASYNCAPI));
        Some(ran(command))
    };
    let Some(good) = parse(root()) else {
        return Ok(());
    };
    let (is_good, said) = good?;
    ensure!(is_good && said.contains("2 channels"), "{said}");
    let lost = changed(ASYNCAPI, |document| {
        document["components"]["messages"]["reset"] = Value::Null;
        document["operations"]["stream"]["action"] = json!("shout");
    })?;
    let (is_good, said) = parse(lost.path()).context("node is there")??;
    ensure!(
        !is_good && said.contains("operations/stream/action"),
        "{said}"
    );
    Ok(())
}
