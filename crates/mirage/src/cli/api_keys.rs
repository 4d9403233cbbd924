//! `mirage api-keys`: keys for programs that speak to the gateway.
//!
//! The first one is issued here, beside the log.

use jiff::Timestamp;
use mirage_api::auth::api_key::Secret;
use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{KeyId, Position, StreamId};
use mirage_domain::role::Role;
use mirage_domain::workspace::{Command as Asked, IssueKey, RevokeKey, Workspace};
use mirage_log::execute::{Envelope, Store};

use super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape};
use crate::wire;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Issue a key and show it, this once
    ///
    /// Exit codes: 0 ok, 2 not a role or a name, 5 there are too many
    Issue(Issue),
    /// Every key of the workspace, revoked ones too
    ///
    /// Exit codes: 0 ok, 3 no log
    Ls,
    /// Make a key open nothing any more
    ///
    /// Exit codes: 0 ok, 3 no such key
    Revoke {
        #[arg(value_name = "KEY")]
        key: String,
    },
}

#[derive(Debug, clap::Args)]
struct Issue {
    /// What it is for
    #[arg(value_name = "NAME")]
    name: String,
    /// What whoever holds it may do: owner, analyst, viewer, auditor, service
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// After this time it opens nothing (30d, 12h) [default: until it is revoked]
    #[arg(long, value_name = "TIME")]
    expires_in: Option<String>,
}

static ISSUED: Listing = Listing {
    key: "api_key",
    fields: &[
        Field::new("key_id", Shape::Text),
        Field::new("role", Shape::Text),
        Field::new("expires_at", Shape::Time),
        Field::new("api_key", Shape::Text),
        Field::more("position", Shape::Number),
    ],
};

static LISTING: Listing = Listing {
    key: "key_id",
    fields: &[
        Field::new("key_id", Shape::Text),
        Field::new("name", Shape::Text),
        Field::new("role", Shape::Text),
        Field::new("issued_at", Shape::Time),
        Field::new("expires_at", Shape::Time),
        Field::new("is_revoked", Shape::Text),
    ],
};

static REVOKED: Listing = Listing {
    key: "key_id",
    fields: &[
        Field::new("key_id", Shape::Text),
        Field::new("position", Shape::Number),
    ],
};

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    match arguments.command {
        Command::Issue(arguments) => issue(context, &arguments).await,
        Command::Ls => list(context).await,
        Command::Revoke { key } => revoke(context, &key).await,
    }
}

async fn issue(context: &Context, arguments: &Issue) -> Answer {
    let now = Timestamp::now();
    let expires_at = arguments.expires_in.as_deref().map(|span| end(now, span));
    let expires_at = expires_at.transpose()?;
    let secret = Secret::random(&context.workspace()?)?;
    let command = Asked::IssueKey(IssueKey {
        key: secret.key.clone(),
        name: arguments.name.clone(),
        role: arguments.role,
        secret: secret.digest(),
        now,
        expires_at,
    });
    let position = give(context, command).await?;
    let values = vec![
        secret.key.to_string().into(),
        arguments.role.as_str().into(),
        expires_at.map(|end| end.to_string()).into(),
        secret.reveal().into(),
        position.0.into(),
    ];
    context.output.thing(&ISSUED, values)?;
    context.output.say("it is shown this once and kept nowhere");
    Ok(Exit::Done)
}

fn end(now: Timestamp, span: &str) -> Result<Timestamp, Problem> {
    let span = super::time::span(span).map_err(|error| Problem::new("bad_time", error))?;
    let end = now.checked_add(span);
    end.map_err(|error| Problem::new("bad_time", error))
}

async fn list(context: &Context) -> Answer {
    let stream = StreamId::workspace(&context.workspace()?);
    let store = Store::<Workspace>::new(context.log().await?);
    let (workspace, _) = store.state(&stream).await?;
    let mut rows = context.output.rows(&LISTING)?;
    for (id, key) in workspace.keys {
        rows.push(vec![
            id.to_string().into(),
            key.name.open().cloned().into(),
            key.role.as_str().into(),
            key.issued_at.to_string().into(),
            key.expires_at.map(|end| end.to_string()).into(),
            key.is_revoked.into(),
        ])?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

async fn revoke(context: &Context, key: &str) -> Answer {
    let absent = |_| Problem::new("no_such_api_key", format!("`{key}`"));
    let id = KeyId::new(key).map_err(absent)?;
    let position = give(context, Asked::RevokeKey(RevokeKey { key: id })).await?;
    let values = vec![key.into(), position.0.into()];
    context.output.thing(&REVOKED, values)?;
    Ok(Exit::Done)
}

/// Gives a command to the workspace, which begins where it has not yet.
async fn give(context: &Context, command: Asked) -> Result<Position, Failure> {
    let node = context.node().await?;
    let store = Store::<Workspace>::new(node.log.clone());
    let envelope = Envelope::new(wire::caller().actor, node.now);
    let stream = StreamId::workspace(&node.workspace);
    let given = store.execute(&stream, command, envelope).await;
    Ok(given.map_err(Problem::from)?)
}
