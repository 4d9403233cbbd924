//! `/subscriptions`: who is told by webhook; a secret is shown once, when it is made.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use mirage_domain::id::{ModuleName, Position, ScanId, SubscriptionId, Version};
use mirage_domain::subscription::{self, Change, Command, Create, Filter, Reason, Rotate};
use mirage_workers::node::Commands;
use mirage_workers::notify::signature::{ROTATION, fresh_secret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Refusal, etag, if_match};
use super::body::Body;
use super::query::{Nothing, Query};
use super::{Path, Shared, Writer};
use crate::auth::Principal;
use crate::error::Problem;

/// Which events are told; an empty member is no condition.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wanted {
    /// Of this scan; its whole id.
    #[schema(value_type = Option<String>)]
    scan: Option<ScanId>,
    /// Of these kinds: `task.found`.
    kinds: BTreeSet<String>,
    /// Of tasks of these modules.
    #[schema(value_type = Vec<String>)]
    modules: BTreeSet<ModuleName>,
}

impl From<Wanted> for Filter {
    fn from(wanted: Wanted) -> Self {
        Self {
            scan: wanted.scan,
            kinds: wanted.kinds,
            modules: wanted.modules,
        }
    }
}

/// A subscription, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Subscription {
    #[schema(value_type = String)]
    subscription_id: SubscriptionId,
    /// Null once it was erased, as is the URL.
    name: Option<String>,
    url: Option<String>,
    filter: Wanted,
    is_paused: bool,
    /// `asked`, or `gone`: the receiver answered 410.
    paused_because: Option<&'static str>,
    /// What happened up to here is not told.
    #[schema(value_type = u64)]
    after: Position,
}

impl Subscription {
    fn of(subscription_id: SubscriptionId, known: &subscription::Subscription) -> Self {
        let filter = known.filter.clone();
        Self {
            subscription_id,
            name: known.name.open().cloned(),
            url: known.url.open().cloned(),
            filter: Wanted {
                scan: filter.scan,
                kinds: filter.kinds,
                modules: filter.modules,
            },
            is_paused: known.paused.is_some(),
            paused_because: known.paused.map(Reason::as_str),
            after: known.after,
        }
    }
}

/// The subscriptions of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Subscriptions {
    items: Vec<Subscription>,
}

/// What came of a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscriptionChanged {
    #[schema(value_type = String)]
    subscription_id: SubscriptionId,
    #[schema(value_type = u64)]
    position: Position,
}

/// The whole id of a subscription, by its beginning.
pub(super) async fn find(commands: &Commands, text: &str) -> Result<SubscriptionId, Problem> {
    let all = commands.subscriptions().await?;
    match all.beginning_with(text).as_slice() {
        [] => Err(Problem::new("no_such_subscription", format!("`{text}`"))),
        [one] => Ok((*one).clone()),
        several => {
            let detail = format!("`{text}` fits {} subscriptions", several.len());
            Err(Problem::new("ambiguous_id", detail))
        }
    }
}

/// The subscriptions of the workspace
#[utoipa::path(get, path = "/subscriptions", operation_id = "list_subscriptions", tag = "webhooks",
    responses((status = 200, body = Subscriptions)))]
pub(crate) async fn list(
    State(gateway): Shared,
    who: Principal,
    _: Query<Nothing>,
) -> Result<Json<Subscriptions>, Refusal> {
    let all = gateway.commands(&who).await?.subscriptions().await?;
    let items = all.all.iter();
    let items = items.map(|(id, known)| Subscription::of(id.clone(), known));
    Ok(Json(Subscriptions {
        items: items.collect(),
    }))
}

/// One subscription; its entity tag is for changing it
#[utoipa::path(get, path = "/subscriptions/{subscription}", operation_id = "get_subscription", tag = "webhooks",
    params(("subscription" = String, Path, description = "Its id, or the beginning of it")),
    responses((status = 200, body = Subscription, headers(("etag" = String, description = "For If-Match")))))]
pub(crate) async fn get(
    State(gateway): Shared,
    who: Principal,
    Path(text): Path<String>,
    _: Query<Nothing>,
) -> Result<Response, Refusal> {
    let commands = gateway.commands(&who).await?;
    let id = find(&commands, &text).await?;
    let all = commands.subscriptions().await?.all;
    let absent = || Problem::new("no_such_subscription", format!("`{text}`"));
    let known = all.get(&id).ok_or_else(absent)?;
    let tag = etag(Version(known.revision));
    Ok((tag, Json(Subscription::of(id, known))).into_response())
}

/// A subscription to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSubscription {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Where each event is posted: `http` or `https`, without a name or a password.
    #[schema(max_length = 2048)]
    url: String,
    #[serde(default)]
    filter: Wanted,
}

/// A secret that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretMade {
    #[schema(value_type = String)]
    subscription_id: SubscriptionId,
    /// What each request is signed with, shown this once.
    secret: String,
    #[schema(value_type = u64)]
    position: Position,
}

/// Tell somebody from now on; the same idempotency key with the same body answers as the first time
#[utoipa::path(post, path = "/subscriptions", operation_id = "create_subscription", tag = "webhooks",
    params(("idempotency-key" = Option<String>, Header, description = "The same key creates the same subscription, once")),
    request_body = CreateSubscription,
    responses((status = 201, body = SecretMade, headers(("location" = String, description = "The subscription")))))]
pub(crate) async fn create(
    State(gateway): Shared,
    writer: Writer,
    Body { value, sent }: Body<CreateSubscription>,
) -> Result<Response, Refusal> {
    let commands = gateway.commands(&writer.who).await?;
    let caller = writer.caller(&sent, None);
    let id = commands.new_subscription(&caller);
    let command = Command::Create(Create {
        subscription: id.clone(),
        name: value.name,
        url: value.url,
        filter: value.filter.into(),
        secret: fresh()?,
        after: gateway.log.head().await?.position,
    });
    let created = commands.subscribe(command, &caller).await;
    let position = created.map_err(Problem::from)?;
    let location = [(header::LOCATION, format!("/api/v1/subscriptions/{id}"))];
    let made = made(commands, id, position).await?;
    Ok((StatusCode::CREATED, location, Json(made)).into_response())
}

fn fresh() -> Result<String, Problem> {
    fresh_secret().map_err(|error| Problem::of("internal", &error))
}

/// The secret as it stands: of a request that is repeated, the one that was made the first time.
async fn made(
    commands: Arc<Commands>,
    subscription_id: SubscriptionId,
    position: Position,
) -> Result<SecretMade, Problem> {
    let all = commands.subscriptions().await?.all;
    let known = all.get(&subscription_id);
    let secret = known.and_then(|known| known.secret.open().cloned());
    let absent = || Problem::new("no_such_subscription", format!("`{subscription_id}`"));
    Ok(SecretMade {
        secret: secret.ok_or_else(absent)?,
        subscription_id,
        position,
    })
}

/// A change of a subscription: what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeSubscription {
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    #[serde(default)]
    #[schema(max_length = 2048)]
    url: Option<String>,
    #[serde(default)]
    filter: Option<Wanted>,
    /// What happens while it is paused is sent when it is not any more.
    #[serde(default)]
    is_paused: Option<bool>,
}

/// Change, pause or resume a subscription
#[utoipa::path(patch, path = "/subscriptions/{subscription}", operation_id = "change_subscription", tag = "webhooks",
    params(("subscription" = String, Path, description = "Its id, or the beginning of it"),
        ("if-match" = String, Header, description = "The entity tag that was read, or *"),
        ("idempotency-key" = Option<String>, Header, description = "The same key changes it once")),
    request_body = ChangeSubscription, responses((status = 200, body = SubscriptionChanged)))]
pub(crate) async fn change(
    State(gateway): Shared,
    writer: Writer,
    Path(text): Path<String>,
    headers: HeaderMap,
    Body { value, sent }: Body<ChangeSubscription>,
) -> Result<Json<SubscriptionChanged>, Refusal> {
    let at_revision = if_match(&headers)?.map(|version| version.0);
    let commands = gateway.commands(&writer.who).await?;
    let subscription_id = find(&commands, &text).await?;
    let command = Command::Change(Change {
        subscription: subscription_id.clone(),
        at_revision,
        name: value.name,
        url: value.url,
        filter: value.filter.map(Filter::from),
        is_paused: value.is_paused,
    });
    give(&commands, &writer, subscription_id, (command, &sent)).await
}

/// Tell it nothing any more
#[utoipa::path(delete, path = "/subscriptions/{subscription}", operation_id = "remove_subscription", tag = "webhooks",
    params(("subscription" = String, Path, description = "Its id, or the beginning of it")),
    responses((status = 200, body = SubscriptionChanged)))]
pub(crate) async fn remove(
    State(gateway): Shared,
    writer: Writer,
    Path(text): Path<String>,
) -> Result<Json<SubscriptionChanged>, Refusal> {
    let commands = gateway.commands(&writer.who).await?;
    let subscription_id = find(&commands, &text).await?;
    let subscription = subscription_id.clone();
    let command = Command::Remove { subscription };
    give(&commands, &writer, subscription_id, (command, b"remove")).await
}

async fn give(
    commands: &Commands,
    writer: &Writer,
    subscription_id: SubscriptionId,
    (command, sent): (Command, &[u8]),
) -> Result<Json<SubscriptionChanged>, Refusal> {
    // One key for two subscriptions is a key for two requests.
    let sent = [subscription_id.as_str().as_bytes(), b" ", sent].concat();
    let caller = writer.caller(&sent, None);
    let given = commands.subscribe(command, &caller).await;
    let position = given.map_err(Problem::from)?;
    Ok(Json(SubscriptionChanged {
        subscription_id,
        position,
    }))
}

/// A secret that took the place of another one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rotated {
    #[serde(flatten)]
    made: SecretMade,
    /// Until then each request is signed with the earlier one, too.
    #[schema(value_type = Option<String>, format = DateTime)]
    earlier_until: Option<Timestamp>,
}

/// Make another secret; for a day each request is signed with both
#[utoipa::path(post, path = "/subscriptions/{subscription}/secret", operation_id = "rotate_secret", tag = "webhooks",
    params(("subscription" = String, Path, description = "Its id, or the beginning of it"),
        ("idempotency-key" = Option<String>, Header, description = "The same key makes one secret")),
    responses((status = 200, body = Rotated)))]
pub(crate) async fn rotate(
    State(gateway): Shared,
    writer: Writer,
    Path(text): Path<String>,
) -> Result<Json<Rotated>, Refusal> {
    let commands = gateway.commands(&writer.who).await?;
    let id = find(&commands, &text).await?;
    let now = (gateway.now)();
    let command = Command::Rotate(Rotate {
        subscription: id.clone(),
        secret: fresh()?,
        earlier_until: now.checked_add(ROTATION).unwrap_or(now),
    });
    let caller = writer.caller(format!("{id} rotate").as_bytes(), None);
    let rotated = commands.subscribe(command, &caller).await;
    let position = rotated.map_err(Problem::from)?;
    let all = commands.subscriptions().await?.all;
    let earlier = all.get(&id).and_then(|known| known.earlier.as_ref());
    let earlier_until = earlier.map(|(_, until)| *until);
    let made = made(commands, id, position).await?;
    Ok(Json(Rotated {
        made,
        earlier_until,
    }))
}
