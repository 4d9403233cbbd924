//! `mirage hooks`: who is told by webhook, beside the log or over a server.

mod far;

use std::collections::BTreeSet;
use std::sync::Arc;

use mirage_api::error::{Exit, Problem};
use mirage_domain::delivery::Row;
use mirage_domain::id::{Cursor, ModuleName, Position, ScanId, SubscriptionId};
use mirage_domain::subscription::{
    Change, Command as Asked, Create, Filter, Reason, Rotate, Subscription, Subscriptions,
};
use mirage_workers::node::{Caller, Commands, Node};
use mirage_workers::notify::signature::{ROTATION, fresh_secret};

use super::global::KeyArgument;
use super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every subscription of the workspace
    ///
    /// Exit codes: 0 ok, 3 no log
    Ls,
    /// Post each event from now on to a URL, and show the secret that it is signed with, this once
    ///
    /// Exit codes: 0 ok, 2 URL, kind or module is not acceptable, 5 there are too many
    Add(Add),
    /// One subscription
    ///
    /// Exit codes: 0 ok, 2 ambiguous, 3 no such subscription
    Get {
        #[arg(value_name = "SUBSCRIPTION")]
        subscription: String,
    },
    /// Send nothing until it is resumed; what happens meanwhile is sent then
    ///
    /// Exit codes: 0 ok, 2 ambiguous, 3 no such subscription
    Pause(One),
    /// Go on where it stopped
    ///
    /// Exit codes: 0 ok, 2 ambiguous, 3 no such subscription
    Resume(One),
    /// Remove a subscription
    ///
    /// Exit codes: 0 ok, 2 ambiguous, 3 no such subscription
    Rm(One),
    /// Make another secret and show it, this once; for a day both sign
    ///
    /// Exit codes: 0 ok, 2 ambiguous, 3 no such subscription
    Rotate(One),
    /// What came of the last thousand events, the newest first
    ///
    /// Exit codes: 0 ok, 2 ambiguous, 3 no such subscription
    Deliveries {
        #[arg(value_name = "SUBSCRIPTION")]
        subscription: String,
    },
    /// Send an event once more, or at once if it waits for another try
    ///
    /// Exit codes: 0 ok, 2 ambiguous, 3 no such delivery
    Resend {
        #[command(flatten)]
        one: One,
        /// Of the event: POSITION.INDEX, as `deliveries` lists it
        #[arg(value_name = "CURSOR")]
        cursor: Cursor,
    },
}

#[derive(Debug, clap::Args)]
struct Add {
    /// Where to post: http or https, without a name or a password
    #[arg(value_name = "URL")]
    url: String,
    /// What it is for [default: the URL's host]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Only events of this scan; its whole id
    #[arg(long, value_name = "SCAN")]
    scan: Option<ScanId>,
    /// Only events of these kinds, such as task.found
    #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
    kind: Vec<String>,
    /// Only events of tasks of these modules
    #[arg(long, value_name = "MODULE,…", value_delimiter = ',')]
    module: Vec<ModuleName>,
    #[command(flatten)]
    key: KeyArgument,
}

#[derive(Debug, clap::Args)]
struct One {
    /// The id of a subscription, or the beginning of it
    #[arg(value_name = "SUBSCRIPTION")]
    subscription: String,
    #[command(flatten)]
    key: KeyArgument,
}

impl Add {
    fn name(&self) -> String {
        let host = self.url.split('/').nth(2).unwrap_or(&self.url);
        self.name.clone().unwrap_or_else(|| host.to_owned())
    }

    fn filter(&self) -> Filter {
        Filter {
            scan: self.scan.clone(),
            kinds: self.kind.iter().cloned().collect(),
            modules: self.module.iter().cloned().collect::<BTreeSet<_>>(),
        }
    }
}

static LISTING: Listing = Listing {
    key: "subscription_id",
    fields: &[
        Field::new("subscription_id", Shape::Text),
        Field::new("name", Shape::Text),
        Field::new("url", Shape::Text),
        Field::new("is_paused", Shape::Text),
        Field::more("paused_because", Shape::Text),
        Field::new("filter", Shape::Text),
        Field::more("after", Shape::Number),
    ],
};

static MADE: Listing = Listing {
    key: "secret",
    fields: &[
        Field::new("subscription_id", Shape::Text),
        Field::new("secret", Shape::Text),
        Field::new("position", Shape::Number),
    ],
};

static CHANGED: Listing = Listing {
    key: "subscription_id",
    fields: &[
        Field::new("subscription_id", Shape::Text),
        Field::new("position", Shape::Number),
    ],
};

static DELIVERIES: Listing = Listing {
    key: "cursor",
    fields: &[
        Field::new("cursor", Shape::Text),
        Field::new("kind", Shape::Text),
        Field::new("state", Shape::Text),
        Field::new("attempts", Shape::Number),
        Field::new("status", Shape::Number),
        Field::new("at", Shape::Time),
        Field::new("next_at", Shape::Time),
        Field::new("reason", Shape::Text),
    ],
};

static RESENT: Listing = Listing {
    key: "cursor",
    fields: &[
        Field::new("cursor", Shape::Text),
        Field::new("position", Shape::Number),
    ],
};

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    if let Some(remote) = context.remote()? {
        return far::run(context, &remote, &arguments.command).await;
    }
    match arguments.command {
        Command::Ls => list(context).await,
        Command::Add(arguments) => add(context, &arguments).await,
        Command::Get { subscription } => get(context, &subscription).await,
        Command::Pause(one) => pause(context, &one, true).await,
        Command::Resume(one) => pause(context, &one, false).await,
        Command::Rm(one) => remove(context, &one).await,
        Command::Rotate(one) => rotate(context, &one).await,
        Command::Deliveries { subscription } => deliveries(context, &subscription).await,
        Command::Resend { one, cursor } => resend(context, &one, cursor).await,
    }
}

/// The commands of the node, which opens for work.
async fn desk(context: &Context) -> Result<(Node, Arc<Commands>), Failure> {
    let node = context.node().await?;
    let commands = node.commands.clone();
    Ok((node, commands))
}

fn find(all: &Subscriptions, text: &str) -> Result<SubscriptionId, Problem> {
    match all.beginning_with(text).as_slice() {
        [] => Err(Problem::new("no_such_subscription", format!("`{text}`"))),
        [one] => Ok((*one).clone()),
        several => {
            let detail = format!("`{text}` fits {} subscriptions", several.len());
            Err(Problem::new("ambiguous_id", detail))
        }
    }
}

fn row(id: &SubscriptionId, known: &Subscription) -> Vec<serde_json::Value> {
    vec![
        id.to_string().into(),
        known.name.open().cloned().into(),
        known.url.open().cloned().into(),
        known.paused.is_some().into(),
        known.paused.map(Reason::as_str).into(),
        serde_json::json!(known.filter),
        known.after.0.into(),
    ]
}

async fn list(context: &Context) -> Answer {
    let (_, commands) = desk(context).await?;
    let mut rows = context.output.rows(&LISTING)?;
    for (id, known) in &commands.subscriptions().await?.all {
        rows.push(row(id, known))?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

async fn get(context: &Context, text: &str) -> Answer {
    let (_, commands) = desk(context).await?;
    let all = commands.subscriptions().await?;
    let id = find(&all, text)?;
    let output = context.output.in_full(&LISTING);
    output.thing(&LISTING, row(&id, &all.all[&id]))?;
    Ok(Exit::Done)
}

async fn add(context: &Context, arguments: &Add) -> Answer {
    let (node, commands) = desk(context).await?;
    let (name, filter) = (arguments.name(), arguments.filter());
    let asked = serde_json::json!([name, arguments.url, filter]).to_string();
    let caller = arguments.key.caller(&["add", &asked]);
    let id = commands.new_subscription(&caller);
    let command = Asked::Create(Create {
        subscription: id.clone(),
        name,
        url: arguments.url.clone(),
        filter,
        secret: fresh()?,
        after: node.log.head().await?.position,
    });
    let position = give(&commands, command, &caller).await?;
    made(context, &commands, &id, position).await
}

fn fresh() -> Result<String, Problem> {
    fresh_secret().map_err(|error| Problem::of("internal", &error))
}

async fn give(commands: &Commands, command: Asked, caller: &Caller) -> Result<Position, Problem> {
    Ok(commands.subscribe(command, caller).await?)
}

async fn made(
    context: &Context,
    commands: &Commands,
    id: &SubscriptionId,
    position: Position,
) -> Answer {
    let all = commands.subscriptions().await?;
    let known = all.all.get(id);
    let secret = known.and_then(|known| known.secret.open().cloned());
    let values = vec![id.to_string().into(), secret.into(), position.0.into()];
    context.output.thing(&MADE, values)?;
    told_once(context);
    Ok(Exit::Done)
}

fn told_once(context: &Context) {
    context.output.say("the secret is shown this once");
}

fn changed(context: &Context, id: &SubscriptionId, position: Position) -> Answer {
    let values = vec![id.to_string().into(), position.0.into()];
    context.output.thing(&CHANGED, values)?;
    Ok(Exit::Done)
}

async fn pause(context: &Context, one: &One, is_paused: bool) -> Answer {
    let (_, commands) = desk(context).await?;
    let id = find(&commands.subscriptions().await?, &one.subscription)?;
    let word = if is_paused { "pause" } else { "resume" };
    let command = Asked::Change(Change {
        subscription: id.clone(),
        at_revision: None,
        name: None,
        url: None,
        filter: None,
        is_paused: Some(is_paused),
    });
    let caller = one.key.caller(&[word, id.as_str()]);
    changed(context, &id, give(&commands, command, &caller).await?)
}

async fn remove(context: &Context, one: &One) -> Answer {
    let (_, commands) = desk(context).await?;
    let id = find(&commands.subscriptions().await?, &one.subscription)?;
    let subscription = id.clone();
    let caller = one.key.caller(&["rm", id.as_str()]);
    let command = Asked::Remove { subscription };
    changed(context, &id, give(&commands, command, &caller).await?)
}

async fn rotate(context: &Context, one: &One) -> Answer {
    let (node, commands) = desk(context).await?;
    let id = find(&commands.subscriptions().await?, &one.subscription)?;
    let now = (node.now)();
    let command = Asked::Rotate(Rotate {
        subscription: id.clone(),
        secret: fresh()?,
        earlier_until: now.checked_add(ROTATION).unwrap_or(now),
    });
    let caller = one.key.caller(&["rotate", id.as_str()]);
    let position = give(&commands, command, &caller).await?;
    made(context, &commands, &id, position).await
}

async fn deliveries(context: &Context, text: &str) -> Answer {
    let (_, commands) = desk(context).await?;
    let id = find(&commands.subscriptions().await?, text)?;
    let mut rows = context.output.rows(&DELIVERIES)?;
    for (cursor, row) in commands.deliveries(&id).await?.rows.into_iter().rev() {
        rows.push(of_delivery(cursor, row))?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

fn of_delivery(cursor: Cursor, row: Row) -> Vec<serde_json::Value> {
    vec![
        cursor.to_string().into(),
        row.kind.into(),
        row.state.as_str().into(),
        row.attempts.into(),
        row.status.into(),
        row.at.to_string().into(),
        row.next_at.map(|at| at.to_string()).into(),
        row.reason.into(),
    ]
}

async fn resend(context: &Context, one: &One, cursor: Cursor) -> Answer {
    let (_, commands) = desk(context).await?;
    let id = find(&commands.subscriptions().await?, &one.subscription)?;
    let caller = one.key.caller(&["resend", &cursor.to_string()]);
    let asked = commands.resend(&id, cursor, &caller).await;
    let position = asked.map_err(Problem::from)?;
    let values = vec![cursor.to_string().into(), position.0.into()];
    context.output.thing(&RESENT, values)?;
    Ok(Exit::Done)
}
