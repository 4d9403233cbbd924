//! `mirage users`: who can sign in; the first owner is made here, beside the log.
//!
//! **Never:** a password as an argument, where every process of the machine could read it.

pub(in crate::cli) mod secret;

use mirage_api::auth::identities::Identities;
use mirage_api::auth::identities::manage::NewUser;
use mirage_api::auth::oidc::Named;
use mirage_api::error::{Exit, Problem};
use mirage_domain::id::{Position, StreamId, UserId, WorkspaceId};
use mirage_domain::role::Role;
use mirage_domain::user::{Command as OfUser, Reinstate, Suspend, User, sign_in_name};
use mirage_domain::workspace::Workspace;
use mirage_log::execute::{Envelope, Store};
use mirage_workers::node::{Node, Place};

use super::{Answer, Context};
use crate::output::{Failure, Field, Listing, Shape};
use crate::wire;

/// The issuer of tokens is of no account where none are signed.
const NO_ISSUER: &str = "mirage";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Create a user, with a role in the workspace; asks for the password, or reads it from stdin
    ///
    /// There are no default passwords: the first owner of an installation is made with --owner.
    ///
    /// Exit codes: 0 ok, 2 name, role or password is not acceptable, 5 the user exists
    Create(Create),
    /// Who may do what in the workspace
    ///
    /// Exit codes: 0 ok, 3 no log
    Ls,
    /// Give a user a role in the workspace, or another one
    ///
    /// Exit codes: 0 ok, 2 no such role, 3 no such user, 5 it is the last owner
    Role {
        #[arg(value_name = "NAME")]
        name: String,
        /// owner, analyst, viewer, auditor, service
        #[arg(value_name = "ROLE")]
        role: Role,
    },
    /// Take a user's role in the workspace away
    ///
    /// Exit codes: 0 ok, 3 not a member, 5 it is the last owner
    Remove {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Set another password and end every session of the user; asks for it, or reads it from stdin
    ///
    /// Exit codes: 0 ok, 2 the password is not acceptable, 3 no such user
    Password {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// End every session of a user, who may not sign in any more
    ///
    /// Exit codes: 0 ok, 3 no such user
    Suspend {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Let whom an issuer of OpenID Connect names sign in as a user
    ///
    /// The subject is what the issuer calls them, never a mail address; who tries to sign in is told it.
    ///
    /// Exit codes: 0 ok, 2 issuer or subject is not acceptable, 3 no such user, 5 it is linked to another user
    Link(Linked),
    /// Let whom an issuer names sign in no more, and end every session of the user
    ///
    /// Exit codes: 0 ok, 3 no such user, or it is not linked
    Unlink(Linked),
    /// Let a suspended user sign in again
    ///
    /// Exit codes: 0 ok, 3 no such user
    Reinstate {
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct Linked {
    /// The sign-in name
    #[arg(value_name = "NAME")]
    name: String,
    /// The issuer, as it names itself
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// Whom the issuer means by it
    #[arg(long, value_name = "SUBJECT")]
    subject: String,
}

#[derive(Debug, clap::Args)]
struct Create {
    /// The sign-in name: a-z 0-9 . _ - @ +
    #[arg(value_name = "NAME")]
    name: String,
    /// What the user may do: owner, analyst, viewer, auditor, service
    #[arg(
        long,
        value_name = "ROLE",
        conflicts_with = "owner",
        required_unless_present = "owner"
    )]
    role: Option<Role>,
    /// The user may do everything
    #[arg(long)]
    owner: bool,
    /// The mail address
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    email: String,
}

static LISTING: Listing = Listing {
    key: "user_id",
    fields: &[
        Field::new("user_id", Shape::Text),
        Field::new("name", Shape::Text),
        Field::new("role", Shape::Text),
        Field::new("has_totp", Shape::Text),
        Field::new("is_suspended", Shape::Text),
        Field::new("sessions", Shape::Number),
        Field::more("email", Shape::Text),
    ],
};

static CHANGED: Listing = Listing {
    key: "user_id",
    fields: &[
        Field::new("user_id", Shape::Text),
        Field::new("name", Shape::Text),
        Field::new("position", Shape::Number),
    ],
};

/// The node whose log is changed, and the identities over it.
struct Desk {
    node: Node,
    identities: Identities,
}

pub(crate) async fn run(context: &Context, arguments: Arguments) -> Answer {
    match arguments.command {
        Command::Ls => list(context).await,
        Command::Create(arguments) => create(context, &arguments).await,
        Command::Role { name, role } => {
            let desk = Desk::open(context).await?;
            let user = desk.user(&name).await?;
            let (workspace, envelope) = (&desk.node.workspace, desk.envelope());
            let set = desk.identities.set_member(workspace, &user, role, envelope);
            changed(context, &user, &name, set.await?)
        }
        Command::Remove { name } => {
            let desk = Desk::open(context).await?;
            let user = desk.user(&name).await?;
            let (workspace, envelope) = (&desk.node.workspace, desk.envelope());
            let removed = desk.identities.remove_member(workspace, &user, envelope);
            changed(context, &user, &name, removed.await?)
        }
        Command::Password { name } => {
            let desk = Desk::open(context).await?;
            let user = desk.user(&name).await?;
            let password = secret::read(context)?;
            let set = desk
                .identities
                .set_password(&user, password, desk.envelope());
            changed(context, &user, &name, set.await?)
        }
        Command::Link(linked) => {
            let desk = Desk::open(context).await?;
            let user = desk.user(&linked.name).await?;
            let link = desk.identities.link(&user, linked.named(), desk.envelope());
            changed(context, &user, &linked.name, link.await?)
        }
        Command::Unlink(linked) => {
            let desk = Desk::open(context).await?;
            let user = desk.user(&linked.name).await?;
            let identity = desk.identities.identity(&linked.named()).await?;
            let unlink = desk.identities.unlink(&user, identity, desk.envelope());
            changed(context, &user, &linked.name, unlink.await?)
        }
        Command::Suspend { name } => tell(context, &name, OfUser::Suspend(Suspend)).await,
        Command::Reinstate { name } => tell(context, &name, OfUser::Reinstate(Reinstate)).await,
    }
}

async fn create(context: &Context, arguments: &Create) -> Answer {
    sign_in_name(&arguments.name).map_err(|error| Problem::of("bad_value", &error))?;
    let role = arguments.role.unwrap_or(Role::Owner);
    let password = secret::read(context)?;
    let desk = Desk::open(context).await?;
    let new = NewUser {
        name: &arguments.name,
        email: &arguments.email,
        password,
    };
    let (user, _) = desk.identities.create(new, desk.envelope()).await?;
    let workspace = &desk.node.workspace;
    let set = desk
        .identities
        .set_member(workspace, &user, role, desk.envelope());
    let position = set.await?;
    // Whoever owns the first workspace looks after the users, too: somebody must.
    if role == Role::Owner && desk.has_no_keeper().await? {
        let system = WorkspaceId::system();
        let set = desk
            .identities
            .set_member(&system, &user, role, desk.envelope());
        set.await?;
        context.output.say("the user may also suspend users and set their passwords: sign in to the workspace `system`");
    }
    changed(context, &user, &arguments.name, position)
}

async fn list(context: &Context) -> Answer {
    let log = context.log().await?;
    let stream = StreamId::workspace(&context.workspace()?);
    let (workspace, _) = Store::<Workspace>::new(log.clone()).state(&stream).await?;
    let users = Store::<User>::new(log);
    let mut rows = context.output.rows(&LISTING)?;
    for (id, role) in workspace.members {
        let (user, _) = users.state(&StreamId::user(&id)).await?;
        rows.push(vec![
            id.to_string().into(),
            user.name
                .as_ref()
                .and_then(|name| name.open())
                .cloned()
                .into(),
            role.as_str().into(),
            user.totp.is_some().into(),
            user.is_suspended.into(),
            (user.sessions.len() as u64).into(),
            user.email.open().cloned().into(),
        ])?;
    }
    rows.end(None)?;
    Ok(Exit::Done)
}

async fn tell(context: &Context, name: &str, command: OfUser) -> Answer {
    let desk = Desk::open(context).await?;
    let user = desk.user(name).await?;
    let told = desk.identities.command(&user, command, desk.envelope());
    changed(context, &user, name, told.await?)
}

fn changed(context: &Context, user: &UserId, name: &str, position: Position) -> Answer {
    let values = vec![user.to_string().into(), name.into(), position.0.into()];
    context.output.thing(&CHANGED, values)?;
    Ok(Exit::Done)
}

impl Linked {
    fn named(&self) -> Named {
        Named {
            issuer: self.issuer.clone(),
            subject: self.subject.clone(),
        }
    }
}

impl Desk {
    async fn open(context: &Context) -> Result<Self, Failure> {
        let node = context.node().await?;
        let keys = Place(context.data.dir.clone()).keys();
        let identities = Identities::new(node.log.clone(), keys, NO_ISSUER.to_owned(), node.now);
        Ok(Self { node, identities })
    }

    fn envelope(&self) -> Envelope {
        Envelope::new(wire::caller().actor, self.node.now)
    }

    /// The user of a sign-in name.
    async fn user(&self, name: &str) -> Result<UserId, Problem> {
        let absent = || Problem::new("no_such_user", format!("`{name}`"));
        let normal = sign_in_name(name).map_err(|_| absent())?;
        let user = self.identities.user_id(&normal).await?.ok_or_else(absent)?;
        self.identities.known(&user).await?;
        Ok(user)
    }

    async fn has_no_keeper(&self) -> Result<bool, Problem> {
        let stream = StreamId::workspace(&WorkspaceId::system());
        let (system, _) = self.identities.workspaces.state(&stream).await?;
        Ok(system.members.is_empty())
    }
}
