//! The resources, one a file: path, handlers, request and answer types.
//!
//! To add one: its file, its lines in `router.rs`, its rows in `auth/operations.rs`.
//! Answer types are of this crate, field by field, so that nothing leaves which nobody chose to show.

pub mod answer;
pub mod api_keys;
pub mod audit;
pub mod body;
pub mod deliveries;
pub mod devices;
pub mod diff;
pub mod entities;
pub mod evidence;
pub mod exports;
pub mod findings;
pub mod flow;
pub mod graph;
pub mod identities;
pub mod ids;
pub mod imports;
pub mod log;
pub mod marks;
pub mod members;
pub mod modules;
pub mod moment;
pub mod oauth;
pub mod oidc;
pub mod query;
pub mod rederivations;
pub mod scans;
pub mod search;
pub mod sessions;
pub mod sign_in;
pub mod subscriptions;
pub mod teams;
pub mod tickets;
pub mod users;
pub mod views;
pub mod whoami;
pub mod why;
pub mod workspaces;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path as AxumPath};
use axum::http::request::Parts;
use mirage_domain::id::Version;
use mirage_log::commit::Actor;
use mirage_log::execute::Envelope;
use mirage_workers::node::Caller;
use serde::de::DeserializeOwned;

use crate::auth::Principal;
use crate::error::Problem;
use crate::gateway::Gateway;
use crate::trace::Trace;
use answer::Refusal;

pub(crate) type Shared = axum::extract::State<Arc<Gateway>>;

impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Refusal;
    /// Put there by the router once operation and role were found to fit.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let who = parts.extensions.get::<Self>().cloned();
        Ok(who.ok_or_else(|| Problem::new("sign_in_needed", "nobody was let in"))?)
    }
}

/// The parameters of the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let read = AxumPath::<T>::from_request_parts(parts, state).await;
        let wrong = |error| Problem::new("bad_id", error);
        Ok(Self(read.map_err(wrong)?.0))
    }
}

/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 200;

/// A principal who changes something: with the key of the request, and the trace that it belongs to.
pub struct Writer {
    pub who: Principal,
    key: Option<String>,
    traceparent: Option<String>,
}

impl Writer {
    pub(crate) fn new(
        who: Principal,
        key: Option<&str>,
        trace: Option<&Trace>,
    ) -> Result<Self, Problem> {
        let is_sound = |key: &str| {
            (1..=KEY_BYTES_MAX).contains(&key.len())
                && key.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
        };
        if key.is_some_and(|key| !is_sound(key)) {
            let detail = "an Idempotency-Key has 1 to 200 printable characters";
            return Err(Problem::new("bad_value", detail));
        }
        Ok(Self {
            who,
            key: key.map(str::to_owned),
            traceparent: trace.map(ToString::to_string),
        })
    }

    /// The caller of a command, and the request as it was sent.
    pub fn caller(&self, sent: &[u8], at_version: Option<Version>) -> Caller {
        Caller {
            actor: Actor {
                kind: self.who.kind(),
                id: self.who.actor().to_owned(),
                version: None,
            },
            key: self.key.clone().map(|key| (key, sent.to_vec())),
            at_version,
            traceparent: self.traceparent.clone(),
        }
    }
}

impl Writer {
    /// What goes with a command to a stream that keeps no keys of requests.
    pub fn envelope(&self, gateway: &Gateway) -> Envelope {
        let caller = self.caller(&[], None);
        Envelope {
            traceparent: caller.traceparent,
            ..Envelope::new(caller.actor, gateway.now)
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Writer {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let who = Principal::from_request_parts(parts, state).await?;
        let key = parts.headers.get("idempotency-key");
        // What is no text is no sound key either.
        let key = key.map(|value| value.to_str().unwrap_or_default());
        Ok(Self::new(who, key, parts.extensions.get::<Trace>())?)
    }
}
