//! `/device`: a program without a browser is let in by somebody who is in (RFC 8628).
//!
//! The program asks for two codes, shows one, and polls with the other; a person types the one that is shown.
//! **Never:** a device that is allowed by an API key: what it gets is a session, and a key has none to give.

use std::net::IpAddr;
use std::time::Instant;

use axum::Json;
use axum::extract::{Extension, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Refusal;
use super::body::Body;
use super::sign_in::{Grant, Source, no_session};
use super::{Shared, Writer};
use crate::admit;
use crate::audit::Asked;
use crate::auth::Principal;
use crate::auth::devices::{Allowed, Device, Error, INTERVAL, LIFETIME};
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::trace::Trace;

/// Longest name of a device, in bytes.
const NAME_BYTES_MAX: usize = 64;

/// A program that wants in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    /// What the person who decides is shown beside the address.
    #[schema(min_length = 1, max_length = 64)]
    client_name: String,
}

/// The two codes, as RFC 8628 §3.2 names them.
#[derive(Serialize, ToSchema)]
pub(crate) struct Codes {
    /// What to poll with.
    device_code: String,
    /// What the person types.
    user_code: String,
    /// Seconds for which both are good.
    expires_in: u64,
    /// Seconds between two polls.
    interval: u64,
}

/// A poll.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Poll {
    #[schema(format = Password)]
    device_code: String,
}

/// A code as it was typed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Typed {
    user_code: String,
}

/// A decision.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    user_code: String,
    is_allowed: bool,
}

/// Who wants in.
#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceRow {
    /// As the program calls itself; nobody has checked it.
    client_name: String,
    address: String,
}

impl From<Device> for DeviceRow {
    fn from(device: Device) -> Self {
        Self {
            client_name: device.name,
            address: device.address.to_string(),
        }
    }
}

/// Ask to be let in as a device: two codes that are good for ten minutes
#[utoipa::path(post, path = "/device", operation_id = "begin_device", tag = "access", security(()),
    request_body = Begin, responses((status = 200, body = Codes)))]
pub(crate) async fn begin(
    State(gateway): Shared,
    Source(address): Source,
    Body { value, .. }: Body<Begin>,
) -> Result<Json<Codes>, Refusal> {
    Ok(Json(wait(&gateway, value.client_name, address)?))
}

/// Lets a device wait under a name that can be shown.
pub(super) fn wait(gateway: &Gateway, name: String, address: IpAddr) -> Result<Codes, Problem> {
    let is_plain = |c: char| c == ' ' || c.is_ascii_graphic();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(is_plain) {
        let detail = format!("a client has 1 to {NAME_BYTES_MAX} printable ASCII characters");
        return Err(Problem::new("bad_value", detail));
    }
    let device = Device { name, address };
    let codes = gateway.devices.begin(device, Instant::now());
    let codes = codes.map_err(problem)?;
    Ok(Codes {
        device_code: codes.device,
        user_code: codes.user,
        expires_in: LIFETIME.as_secs(),
        interval: INTERVAL.as_secs(),
    })
}

/// Ask whether the device was let in, and get its tokens once it was
#[utoipa::path(post, path = "/device/token", operation_id = "poll_device", tag = "access", security(()),
    request_body = Poll, responses((status = 200, body = Grant)))]
pub(crate) async fn poll(
    State(gateway): Shared,
    Body { value, .. }: Body<Poll>,
) -> Result<Json<Grant>, Refusal> {
    let allowed = gateway.devices.poll(&value.device_code, Instant::now());
    let granted = gateway
        .identities
        .let_device_in(allowed.map_err(problem)?)
        .await?;
    Ok(Json(granted.into()))
}

/// Which device waits with this code
#[utoipa::path(post, path = "/device/show", operation_id = "show_device", tag = "access",
    request_body = Typed, responses((status = 200, body = DeviceRow)))]
pub(crate) async fn show(
    State(gateway): Shared,
    who: Principal,
    knock: Knock,
    Body { value, .. }: Body<Typed>,
) -> Result<Json<DeviceRow>, Refusal> {
    let (user, _) = who.session().ok_or_else(no_session)?;
    let shown = gateway.devices.show(user, &value.user_code, Instant::now());
    Ok(Json(
        recorded(&gateway, &who, "show_device", knock, shown).await?,
    ))
}

/// Let the device with this code in to this workspace, or refuse it
#[utoipa::path(post, path = "/device/confirm", operation_id = "confirm_device", tag = "access",
    request_body = Decision, responses((status = 200, body = DeviceRow)))]
pub(crate) async fn confirm(
    State(gateway): Shared,
    writer: Writer,
    knock: Knock,
    Body { value, .. }: Body<Decision>,
) -> Result<Json<DeviceRow>, Refusal> {
    let (user, session) = writer.who.session().ok_or_else(no_session)?;
    let allowed = Allowed {
        user: user.clone(),
        session: session.clone(),
        workspace: writer.who.workspace().clone(),
    };
    let now = Instant::now();
    let decided = gateway
        .devices
        .decide(allowed, &value.user_code, value.is_allowed, now);
    Ok(Json(
        recorded(&gateway, &writer.who, "confirm_device", knock, decided).await?,
    ))
}

/// Where a request came from, and its trace: what a record of its refusal says.
type Knock = (Source, Option<Extension<Trace>>);

/// The device; a code that is none is on record, for somebody may be guessing.
async fn recorded(
    gateway: &Gateway,
    who: &Principal,
    operation: &'static str,
    (Source(from), trace): Knock,
    found: Result<Device, Error>,
) -> Result<DeviceRow, Problem> {
    let refusal = match found {
        Ok(device) => return Ok(device.into()),
        Err(error) => problem(error),
    };
    let asked = Asked {
        operation,
        subject: String::new(),
        from,
        traceparent: trace.map(|Extension(trace)| trace.to_string()),
    };
    Err(admit::refused(gateway, Some(who), refusal, &asked).await)
}

pub(super) fn problem(error: Error) -> Problem {
    let (code, wait) = match error {
        Error::Full => ("too_many_requests", Some(LIFETIME.as_secs())),
        Error::NoRandom => ("internal", None),
        Error::Pending => ("authorization_pending", None),
        Error::SlowDown(wait) => ("slow_down", Some(wait)),
        Error::Denied => ("access_denied", None),
        Error::Expired => ("expired_token", None),
        Error::NoDevice => ("bad_user_code", None),
        Error::TooManyGuesses(wait) => ("too_many_requests", Some(wait)),
    };
    let problem = Problem::of(code, &error);
    match wait {
        Some(wait) => problem.retry_after(wait),
        None => problem,
    }
}
