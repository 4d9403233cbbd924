//! The same over a server, whose nodes read the file.

use std::fs::File;

use mirage_api::error::{Exit, Problem};
use serde_json::Value;

use super::{Arguments, Checked, name, tell};
use crate::cli::scan::started_there;
use crate::cli::{Answer, Context};
use crate::wire::remote::Remote;

pub(super) async fn send(
    context: &Context,
    remote: &Remote,
    arguments: &Arguments,
    file: File,
) -> Answer {
    if arguments.scope.iter().any(|rule| rule.contains(',')) {
        let detail = "a server takes rules between commas, so none of them may hold one";
        return Err(Problem::new("bad_scope", detail).into());
    }
    let rules = (!arguments.scope.is_empty()).then(|| arguments.scope.join(","));
    let query = vec![
        ("format", Some(arguments.format.clone())),
        ("name", Some(name(arguments))),
        ("scope", rules),
    ];
    let imported = remote.upload(&["imports"], &query, file).await?;
    tell(context, &checked(&imported));
    if imported["is_new"] != true {
        let talk = "this file was imported before: nothing is added";
        context.output.say(talk);
    }
    started_there(context, &imported)?;
    Ok(Exit::Done)
}

/// What the server found in the file.
fn checked(imported: &Value) -> Checked {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let named = imported["unreadable"].as_array();
    let named = named.into_iter().flatten().map(|record| {
        let why = record["why"].as_str().unwrap_or_default();
        (number(&record["line"]), why.to_owned())
    });
    Checked {
        records: number(&imported["records"]),
        bad: number(&imported["bad"]),
        named: named.collect(),
        ..Checked::default()
    }
}
