//! The same over a server: its commits come at once, and each is shown in its time here.

use std::io::{BufRead, BufReader, BufWriter, Seek};

use mirage_api::error::Problem;
use mirage_domain::id::{Digest, Position};
use mirage_log::Recorded;
use mirage_log::commit::decode;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Arguments, Screen};
use crate::cli::{Answer, Context};
use crate::output::Failure;
use crate::wire::remote::Remote;

/// A message of the stream.
#[derive(Deserialize)]
struct Message {
    position: Position,
    commit: Box<RawValue>,
}

pub(super) async fn show(
    context: &Context,
    remote: &Remote,
    scan: &str,
    arguments: &Arguments,
) -> Answer {
    let head = remote.get(&["log"], &Vec::new()).await?;
    let head = head["position"].as_u64().unwrap_or_default();
    let to = arguments.to.unwrap_or(head);
    let query = vec![
        ("from", arguments.from.map(|from| from.to_string())),
        ("to", Some(to.to_string())),
        ("speed", Some("max".to_owned())),
        ("shape", Some("commits".to_owned())),
    ];
    // A server does not wait for somebody who reads in a scan's own time.
    let kept = tempfile::tempfile()?;
    let mut out = BufWriter::new(&kept);
    let path = ["scans", scan, "replay"];
    remote.bytes(&path, &query, &mut out).await?;
    drop(out);
    let mut screen = Screen::begin(context, arguments)?;
    let (mut kept, mut is_closing) = (BufReader::new(kept), None);
    kept.rewind()?;
    let mut line = String::new();
    while kept.read_line(&mut line)? > 0 {
        match line.trim_end().split_once(": ") {
            Some(("event", "close")) => is_closing = Some(false),
            Some(("data", data)) if is_closing.is_some() => {
                let data: Value = serde_json::from_str(data).unwrap_or_default();
                is_closing = Some(data["reason"] == "over");
            }
            Some(("data", data)) => {
                let is_more_wanted = screen.give(&recorded(data)?).await?;
                if !is_more_wanted {
                    return screen.end(Position(to));
                }
            }
            _ => {}
        }
        line.clear();
    }
    match is_closing {
        Some(true) => screen.end(Position(to)),
        _ => Err(foreign("it broke off").into()),
    }
}

/// The commit of a message.
fn recorded(data: &str) -> Result<Recorded, Failure> {
    let message: Message = serde_json::from_str(data).map_err(foreign)?;
    let bytes = message.commit.get().as_bytes();
    Ok(Recorded {
        position: message.position,
        hash: Digest::of(bytes),
        // Of one scan alone nothing can be chained.
        log_hash: Digest::EMPTY,
        commit: decode(bytes).map_err(foreign)?,
        bytes: bytes.to_vec().into(),
    })
}

fn foreign(why: impl std::fmt::Display) -> Problem {
    Problem::new("server_unreachable", format!("the replay: {why}"))
}
