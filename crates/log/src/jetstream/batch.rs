//! Many messages by one question: the server's batched direct get, which any replica answers.

use async_nats::{Message, StatusCode, header};
use futures::StreamExt;
use mirage_domain::id::Position;
use tokio::time::timeout;

use super::ask::{Asker, Cause, patiently};
use super::connect::ANSWER_MAX;
use super::raw::Raw;
use crate::ReadError;

/// Messages and bytes of one page.
const PAGE_COMMITS: usize = 1024;
const PAGE_BYTES: usize = 1024 * 1024;

/// Messages in order, and whether the replica that answered had no more.
pub(super) struct Answer {
    pub(super) messages: Vec<Raw>,
    pub(super) is_end: bool,
}

/// Which messages a page holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of<'a> {
    All,
    Subject(&'a str),
}

impl Asker {
    /// The messages from a position on, up to a page's bounds, from any replica.
    pub(super) async fn page(&self, of: Of<'_>, from: Position) -> Result<Answer, ReadError> {
        patiently(|| self.page_once(of, from)).await
    }

    async fn page_once(&self, of: Of<'_>, from: Position) -> Result<Answer, Cause> {
        let mut request = serde_json::json!({
            "seq": from.0,
            "batch": PAGE_COMMITS,
            "max_bytes": PAGE_BYTES,
        });
        if let Of::Subject(subject) = of {
            request["next_by_subj"] = subject.into();
        }
        let client = self.context.client();
        let inbox = client.new_inbox();
        let mut replies = client.subscribe(inbox.clone()).await?;
        let to = format!("$JS.API.DIRECT.GET.{}", self.name);
        client
            .publish_with_reply(to, inbox, request.to_string().into())
            .await?;
        let mut messages: Vec<Raw> = Vec::new();
        loop {
            let reply = timeout(ANSWER_MAX, replies.next()).await?;
            let reply = reply.ok_or("the connection was closed")?;
            match reply.status {
                None => match linked(&reply, messages.last())? {
                    Some(raw) => messages.push(raw),
                    // The client dropped some; what came before them is good, the rest is asked for again.
                    None => return Ok(cut(messages)),
                },
                Some(StatusCode::NOT_FOUND) => {
                    return Ok(Answer {
                        messages,
                        is_end: true,
                    });
                }
                Some(status) if status.as_u16() == 204 => return Ok(ended(&reply, messages)),
                Some(status) => return Err(format!("{status} {:?}", reply.description).into()),
            }
        }
    }
}

fn cut(messages: Vec<Raw>) -> Answer {
    Answer {
        messages,
        is_end: false,
    }
}

/// The page after its end mark, which names the last message and how many are left.
fn ended(mark: &Message, messages: Vec<Raw>) -> Answer {
    let last = messages.last().map_or(0, |raw| raw.position.0);
    let is_whole = number(mark, header::NATS_LAST_SEQUENCE.as_ref()) == Some(last);
    let pending = number(mark, "Nats-Num-Pending");
    Answer {
        messages,
        is_end: is_whole && pending == Some(0),
    }
}

/// A message of a page, if it follows on the one before it: each names the position of its predecessor in the page.
fn linked(message: &Message, before: Option<&Raw>) -> Result<Option<Raw>, Cause> {
    let headers = message
        .headers
        .as_ref()
        .ok_or("a message without headers")?;
    let position = number(message, header::NATS_SEQUENCE.as_ref()).ok_or("no position")?;
    let subject = headers.get(header::NATS_SUBJECT).ok_or("no subject")?;
    let previous = number(message, header::NATS_LAST_SEQUENCE.as_ref()).unwrap_or_default();
    if previous != before.map_or(0, |raw| raw.position.0) {
        return Ok(None);
    }
    let raw = Raw::new(position, subject.as_str(), headers, &message.payload);
    Ok(Some(raw))
}

/// The newest value of a header: the server appends its own after the writer's.
fn number(message: &Message, name: &str) -> Option<u64> {
    let headers = message.headers.as_ref()?;
    headers.get_all(name).last()?.as_str().parse().ok()
}
