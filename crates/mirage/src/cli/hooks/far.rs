//! The same over a server.

use mirage_api::error::Exit;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Add, CHANGED, Command, DELIVERIES, LISTING, MADE, One, RESENT, told_once};
use crate::cli::{Answer, Context};
use crate::output::{Failure, Listing, values};
use crate::wire::remote::Remote;

const PATH: &str = "subscriptions";

pub(super) async fn run(context: &Context, remote: &Remote, command: &Command) -> Answer {
    match command {
        Command::Ls => {
            let all = remote.get(&[PATH], &Vec::new()).await?;
            list(context, &LISTING, &all)
        }
        Command::Get { subscription } => {
            let one = remote.get(&[PATH, subscription], &Vec::new()).await?;
            let output = context.output.in_full(&LISTING);
            output.thing(&LISTING, values(&LISTING, &one))?;
            Ok(Exit::Done)
        }
        Command::Add(arguments) => add(context, remote, arguments).await,
        Command::Pause(one) => pause(context, remote, one, true).await,
        Command::Resume(one) => pause(context, remote, one, false).await,
        Command::Rm(one) => {
            let path = [PATH, &one.subscription];
            let removed = remote.delete(&path, &Vec::new(), one.key.text()).await?;
            tell(context, &CHANGED, &removed)
        }
        Command::Rotate(one) => {
            let path = [PATH, &one.subscription, "secret"];
            let made = post(remote, &path, None, one.key.text()).await?;
            tell(context, &MADE, &made)?;
            told_once(context);
            Ok(Exit::Done)
        }
        Command::Deliveries { subscription } => {
            let path = [PATH, subscription, "deliveries"];
            let all = remote.get(&path, &Vec::new()).await?;
            list(context, &DELIVERIES, &all)
        }
        Command::Resend { one, cursor } => {
            let cursor = cursor.to_string();
            let path = [PATH, &one.subscription, "deliveries", &cursor, "resend"];
            let asked = post(remote, &path, None, one.key.text()).await?;
            tell(context, &RESENT, &asked)
        }
    }
}

async fn add(context: &Context, remote: &Remote, arguments: &Add) -> Answer {
    let body = json!({
        "name": arguments.name(),
        "url": arguments.url,
        "filter": arguments.filter(),
    });
    let made = post(remote, &[PATH], Some(body), arguments.key.text()).await?;
    tell(context, &MADE, &made)?;
    told_once(context);
    Ok(Exit::Done)
}

/// A person at a terminal means the subscription as it is, whatever happened since they looked.
async fn pause(context: &Context, remote: &Remote, one: &One, is_paused: bool) -> Answer {
    let path = [PATH, &one.subscription];
    let body = Some(json!({ "is_paused": is_paused }));
    let key = one.key.text();
    let changed = remote.change(Method::PATCH, &path, body, key, Some("*"));
    tell(context, &CHANGED, &changed.await?)
}

async fn post(
    remote: &Remote,
    path: &[&str],
    body: Option<Value>,
    key: Option<&str>,
) -> Result<Value, Failure> {
    remote.change(Method::POST, path, body, key, None).await
}

fn list(context: &Context, listing: &'static Listing, all: &Value) -> Answer {
    let mut rows = context.output.rows(listing)?;
    for item in all["items"].as_array().into_iter().flatten() {
        rows.push(values(listing, item))?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

fn tell(context: &Context, listing: &'static Listing, thing: &Value) -> Answer {
    context.output.thing(listing, values(listing, thing))?;
    Ok(Exit::Done)
}
