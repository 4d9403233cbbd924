//! `/teams`: users who are let into the workspace together.
//!
//! A team belongs to one workspace, and is listed there as long as it has a role.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use mirage_domain::id::{Position, StreamId, TeamId, UserId};
use mirage_domain::role::Role;
use mirage_domain::team::{self, Command};
use mirage_domain::workspace::{self, RemoveTeam, SetTeam};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::Refusal;
use super::body::Body;
use super::query::{Nothing, Query};
use super::{Path, Shared, Writer};
use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Gateway;

/// A team with a role in the workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Team {
    #[schema(value_type = String)]
    team_id: TeamId,
    /// Null once it was erased.
    name: Option<String>,
    #[schema(value_type = String)]
    role: Role,
    /// In order of their ids.
    #[schema(value_type = Vec<String>)]
    members: Vec<UserId>,
}

/// The teams of a workspace, by their ids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Teams {
    items: Vec<Team>,
}

/// What came of a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangedTeam {
    #[schema(value_type = String)]
    team_id: TeamId,
    #[schema(value_type = u64)]
    position: Position,
}

/// The teams that have a role in the workspace
#[utoipa::path(get, path = "/teams", operation_id = "list_teams", tag = "access",
    responses((status = 200, body = Teams)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    _: Query<Nothing>,
) -> Result<Json<Teams>, Refusal> {
    let stream = StreamId::workspace(who.workspace());
    let (workspace, _) = gateway.identities.workspaces.state(&stream).await?;
    let mut items = Vec::with_capacity(workspace.teams.len());
    for (team_id, role) in workspace.teams {
        let stream = StreamId::team(&team_id);
        let (team, _) = gateway.identities.teams.state(&stream).await?;
        items.push(Team {
            name: team.name.open().cloned(),
            role,
            members: team.members.into_iter().collect(),
            team_id,
        });
    }
    Ok(Json(Teams { items }))
}

/// A team that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTeam {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// `analyst`, `viewer`, `auditor` or `service`: only users by name own a workspace.
    #[schema(value_type = String)]
    role: Role,
}

/// Make a team and give it a role
#[utoipa::path(post, path = "/teams", operation_id = "create_team", tag = "access",
    request_body = CreateTeam,
    responses((status = 201, body = ChangedTeam, headers(("location" = String, description = "The team")))))]
pub(crate) async fn create(
    State(gateway): Shared,
    writer: Writer,
    Body { value, .. }: Body<CreateTeam>,
) -> Result<Response, Refusal> {
    // Before anything is written: a team without a role would be listed nowhere.
    if value.role == Role::Owner {
        let error = workspace::SetTeamError::Owner;
        return Err(Problem::of("bad_value", &error).into());
    }
    let team_id = begin(&gateway, &writer, value.name).await?;
    let set = set(&gateway, &writer, team_id, value.role).await?;
    let location = [(header::LOCATION, format!("/api/v1/teams/{}", set.team_id))];
    Ok((StatusCode::CREATED, location, Json(set)).into_response())
}

/// What a team is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeTeam {
    /// `analyst`, `viewer`, `auditor` or `service`.
    #[schema(value_type = String)]
    role: Role,
}

/// Give a team another role; it holds from its members' next requests on
#[utoipa::path(put, path = "/teams/{team}", operation_id = "set_team", tag = "access",
    params(("team" = String, Path, description = "Its id")),
    request_body = ChangeTeam, responses((status = 200, body = ChangedTeam)))]
pub(crate) async fn change(
    State(gateway): Shared,
    writer: Writer,
    Path(team): Path<String>,
    Body { value, .. }: Body<ChangeTeam>,
) -> Result<Json<ChangedTeam>, Refusal> {
    let team_id = known(&gateway, &writer.who, &team).await?;
    Ok(Json(set(&gateway, &writer, team_id, value.role).await?))
}

/// Take a team's role away; it is listed no more
#[utoipa::path(delete, path = "/teams/{team}", operation_id = "remove_team", tag = "access",
    params(("team" = String, Path, description = "Its id")), responses((status = 204)))]
pub(crate) async fn remove(
    State(gateway): Shared,
    writer: Writer,
    Path(team): Path<String>,
    _: Query<Nothing>,
) -> Result<StatusCode, Refusal> {
    let team = known(&gateway, &writer.who, &team).await?;
    let command = workspace::Command::RemoveTeam(RemoveTeam { team });
    let stream = StreamId::workspace(writer.who.workspace());
    let envelope = writer.envelope(&gateway);
    let removed = gateway
        .identities
        .workspaces
        .execute(&stream, command, envelope);
    removed.await.map_err(Problem::from)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Put a user into a team; one that is in it stays
#[utoipa::path(put, path = "/teams/{team}/members/{user}", operation_id = "add_to_team", tag = "access",
    params(("team" = String, Path, description = "Its id"), ("user" = String, Path, description = "The user's id")),
    responses((status = 200, body = ChangedTeam)))]
pub(crate) async fn add(
    State(gateway): Shared,
    writer: Writer,
    Path((team, user)): Path<(String, String)>,
    _: Query<Nothing>,
) -> Result<Json<ChangedTeam>, Refusal> {
    let team_id = known(&gateway, &writer.who, &team).await?;
    let user = user_of(&user)?;
    gateway.identities.known(&user).await?;
    let command = Command::AddMember { user };
    let position = execute(&gateway, &writer, &team_id, command).await?;
    Ok(Json(ChangedTeam { team_id, position }))
}

/// Take a user out of a team
#[utoipa::path(delete, path = "/teams/{team}/members/{user}", operation_id = "remove_from_team", tag = "access",
    params(("team" = String, Path, description = "Its id"), ("user" = String, Path, description = "The user's id")),
    responses((status = 204)))]
pub(crate) async fn leave(
    State(gateway): Shared,
    writer: Writer,
    Path((team, user)): Path<(String, String)>,
    _: Query<Nothing>,
) -> Result<StatusCode, Refusal> {
    let team_id = known(&gateway, &writer.who, &team).await?;
    let user = user_of(&user)?;
    let command = Command::RemoveMember { user };
    execute(&gateway, &writer, &team_id, command).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The team that this request makes, or made when it was sent before: its id hangs on the request's key.
async fn begin(gateway: &Gateway, writer: &Writer, name: String) -> Result<TeamId, Problem> {
    let caller = writer.caller(&[], None);
    let key = caller.key.map(|(key, _)| key);
    let key = key.unwrap_or_else(|| Uuid::now_v7().to_string());
    let workspace = writer.who.workspace().clone();
    let team = TeamId::derive(&workspace, &caller.actor.id, &key);
    let (known, _) = gateway
        .identities
        .teams
        .state(&StreamId::team(&team))
        .await?;
    match known.workspace {
        None => {
            let command = Command::Create { workspace, name };
            execute(gateway, writer, &team, command).await?;
        }
        Some(_) if known.name.open() == Some(&name) => {}
        Some(_) => {
            let detail = "it made a team of another name";
            return Err(Problem::new("key_reused", detail));
        }
    }
    Ok(team)
}

async fn set(
    gateway: &Gateway,
    writer: &Writer,
    team_id: TeamId,
    role: Role,
) -> Result<ChangedTeam, Problem> {
    let team = team_id.clone();
    let command = workspace::Command::SetTeam(SetTeam { team, role });
    let stream = StreamId::workspace(writer.who.workspace());
    let envelope = writer.envelope(gateway);
    let workspaces = &gateway.identities.workspaces;
    let position = workspaces.execute(&stream, command, envelope).await?;
    Ok(ChangedTeam { team_id, position })
}

async fn execute(
    gateway: &Gateway,
    writer: &Writer,
    team: &TeamId,
    command: team::Command,
) -> Result<Position, Problem> {
    let (stream, envelope) = (StreamId::team(team), writer.envelope(gateway));
    let teams = &gateway.identities.teams;
    Ok(teams.execute(&stream, command, envelope).await?)
}

/// A team of the workspace that asks; of others nothing is told.
async fn known(gateway: &Gateway, who: &Principal, text: &str) -> Result<TeamId, Problem> {
    let absent = || Problem::new("no_such_team", format!("`{text}`"));
    let team = TeamId::new(text).map_err(|_| absent())?;
    let stream = StreamId::workspace(who.workspace());
    let (workspace, _) = gateway.identities.workspaces.state(&stream).await?;
    match workspace.teams.contains_key(&team) {
        true => Ok(team),
        false => Err(absent()),
    }
}

fn user_of(text: &str) -> Result<UserId, Problem> {
    UserId::new(text).map_err(|_| Problem::new("no_such_user", format!("`{text}`")))
}
