//! Events: every fact that Mirage keeps, by the stream that carries it.
//!
//! To add one: its variant in its aggregate's `events.rs`, its golden file `schemas/events/<kind>.v<N>.json`, and, if it
//! cites evidence, its arm in [`Event::evidence`].
//! **Invariant:** a kind and version never change meaning; a changed shape is a new version with an upcast.

use std::borrow::Cow;

use serde::Deserializer;
use serde_json::value::RawValue;

use crate::id::Digest;
use crate::sealed::Sealable;
use crate::{
    audit, delivery, identity, log, mark, plan, scan, session, subscription, task, team, upcast,
    user, workspace,
};

/// Declares an aggregate's events: variant, wire kind, schema version. The variant's name is its data's type.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $kind:literal v $version:literal),+ $(,)?) => {
        /// One fact of this stream.
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[allow(clippy::large_enum_variant, reason = "events are handled one at a time")]
        pub enum Event { $($(#[$doc])* $name($name)),+ }

        impl Event {
            /// Wire kind and newest schema version of each event.
            pub const KINDS: &'static [(&'static str, u32)] = &[$(($kind, $version)),+];

            pub fn kind(&self) -> &'static str {
                match self { $(Self::$name(_) => $kind),+ }
            }
            pub fn version(&self) -> u32 {
                match self { $(Self::$name(_) => $version),+ }
            }
            /// The data as JSON, in the newest version's shape.
            pub fn data(&self) -> serde_json::Result<Box<serde_json::value::RawValue>> {
                match self { $(Self::$name(data) => serde_json::value::to_raw_value(data)),+ }
            }
            /// The newest version of a kind; `None` if the kind is not of this stream.
            pub fn newest(kind: &str) -> Option<u32> {
                match kind {
                    $($kind => Some($version),)+
                    _ => None,
                }
            }
            /// Reads data of the newest version where they stand; `None` if the kind is not of this stream.
            pub fn deserialize_data<'de, D: serde::Deserializer<'de>>(
                kind: &str,
                data: D,
            ) -> Option<Result<Self, D::Error>> {
                match kind {
                    $($kind => Some(serde::Deserialize::deserialize(data).map(Self::$name)),)+
                    _ => None,
                }
            }
        }

        impl cqrs_es::DomainEvent for Event {
            fn event_type(&self) -> String {
                self.kind().to_owned()
            }
            fn event_version(&self) -> String {
                self.version().to_string()
            }
        }

        $(impl From<$name> for Event {
            fn from(data: $name) -> Self {
                Self::$name(data)
            }
        })+

        impl From<Event> for crate::event::Event {
            fn from(event: Event) -> Self {
                crate::event::Event::of(event)
            }
        }
    };
}
pub(crate) use events;

/// Any event, by the kind of stream that carries it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Log(log::Event),
    Workspace(workspace::Event),
    Scan(scan::Event),
    Plan(plan::Event),
    Task(task::Event),
    Mark(mark::Event),
    User(user::Event),
    Identity(identity::Event),
    Team(team::Event),
    Session(session::Event),
    Audit(audit::Event),
    Subscription(subscription::Event),
    Delivery(delivery::Event),
}

/// Why an event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("event {kind} v{version} is not known to this program; upgrade this node")]
    Unknown { kind: String, version: u32 },
    #[error("reading event {kind} v{version}")]
    Data {
        kind: String,
        version: u32,
        #[source]
        source: serde_json::Error,
    },
}

/// Kinds that are spoken for and written by no version so far.
pub const RESERVED: &[&str] = &["log.time_corrected"];

macro_rules! each {
    ($event:expr, $inner:ident => $body:expr) => {
        match $event {
            Event::Log($inner) => $body,
            Event::Workspace($inner) => $body,
            Event::Scan($inner) => $body,
            Event::Plan($inner) => $body,
            Event::Task($inner) => $body,
            Event::Mark($inner) => $body,
            Event::User($inner) => $body,
            Event::Identity($inner) => $body,
            Event::Team($inner) => $body,
            Event::Session($inner) => $body,
            Event::Audit($inner) => $body,
            Event::Subscription($inner) => $body,
            Event::Delivery($inner) => $body,
        }
    };
}

/// Wraps an aggregate's event: the aggregates name their variant here, once.
pub(crate) trait OfStream {
    fn wrap(self) -> Event;
}

macro_rules! of_stream {
    ($($module:ident => $variant:ident),+) => {
        $(impl OfStream for $module::Event {
            fn wrap(self) -> Event {
                Event::$variant(self)
            }
        })+
    };
}
of_stream!(
    log => Log, workspace => Workspace, scan => Scan, plan => Plan, task => Task, mark => Mark, user => User,
    identity => Identity, team => Team,
    session => Session, audit => Audit, subscription => Subscription, delivery => Delivery
);

/// Asks the stream that carries a kind: a kind's family names its stream.
macro_rules! of_kind {
    ($kind:expr, $stream:ident => $body:expr) => {
        of_kind!($kind, $stream => $body;
            // `task.scheduled` is an event of the plan: the two share a family.
            "task" if task::Event::newest($kind).is_some() => task,
            "task" | "plan" => plan,
            "scan" => scan,
            "workspace" => workspace,
            "mark" => mark,
            "user" => user,
            "identity" => identity,
            "team" => team,
            "session" => session,
            "audit" => audit,
            "subscription" => subscription,
            "delivery" => delivery,
            _ => log
        )
    };
    ($kind:expr, $stream:ident => $body:expr; $($family:pat $(if $guard:expr)? => $module:ident),+) => {
        match $kind.split('.').next().unwrap_or_default() {
            $($family $(if $guard)? => {
                use crate::$module as $stream;
                $body
            })+
        }
    };
}

impl Event {
    pub(crate) fn of(event: impl OfStream) -> Self {
        event.wrap()
    }

    /// Whether who may read what was found is told of it by and by. Who read what is for few, and asked for.
    pub fn is_streamed(&self) -> bool {
        !matches!(self, Self::Audit(_))
    }

    /// The kinds of those, with the newest version.
    pub fn streamed_kinds() -> impl Iterator<Item = (&'static str, u32)> {
        let is_streamed = |(kind, _): &(&str, u32)| audit::Event::newest(kind).is_none();
        Self::kinds().filter(is_streamed)
    }

    /// The event as it may be told to others than the log's own readers: what proves who somebody is stands as if erased,
    /// and so does where and in whose name subscribers are spoken to.
    pub fn told(&self) -> Cow<'_, Self> {
        if !matches!(self, Self::User(_) | Self::Subscription(_)) {
            return Cow::Borrowed(self);
        }
        let mut told = self.clone();
        match &mut told {
            Self::User(user::Event::PasswordSet(set)) => set.phc = Sealable::Erased,
            Self::User(user::Event::TotpSet(set)) => set.secret = Sealable::Erased,
            Self::Subscription(subscription::Event::Created(created)) => {
                created.url = Sealable::Erased;
                created.secret = Sealable::Erased;
            }
            Self::Subscription(subscription::Event::Changed(changed)) => {
                changed.url = Sealable::Erased;
            }
            Self::Subscription(subscription::Event::SecretRotated(rotated)) => {
                rotated.secret = Sealable::Erased;
            }
            _ => {}
        }
        Cow::Owned(told)
    }

    /// The wire kind, `scan.started`.
    pub fn kind(&self) -> &'static str {
        each!(self, event => event.kind())
    }

    /// The schema version that this program writes.
    pub fn version(&self) -> u32 {
        each!(self, event => event.version())
    }

    /// The data as JSON.
    pub fn data(&self) -> serde_json::Result<Box<RawValue>> {
        each!(self, event => event.data())
    }

    /// The evidence that it cites: what must be in the store as long as the event stands.
    pub fn evidence(&self) -> Vec<Digest> {
        match self {
            Self::Scan(scan::Event::Requested(requested)) => {
                let file = match requested.origin {
                    scan::Origin::Import { file } => Some(file),
                    scan::Origin::Scan { .. } | scan::Origin::Rederivation { .. } => None,
                };
                let own = [requested.seeds.list, requested.settings];
                own.into_iter().chain(file).collect()
            }
            Self::Plan(plan::Event::Scheduled(task)) => task
                .inputs
                .iter()
                .filter_map(|input| input.evidence)
                .collect(),
            Self::Task(task::Event::Found(finding)) => finding.evidence.clone(),
            Self::Log(_)
            | Self::Workspace(_)
            | Self::Scan(_)
            | Self::Plan(_)
            | Self::Task(_)
            | Self::Mark(_)
            | Self::User(_)
            | Self::Identity(_)
            | Self::Team(_)
            | Self::Session(_)
            | Self::Audit(_)
            | Self::Subscription(_)
            | Self::Delivery(_) => Vec::new(),
        }
    }

    /// Every kind that this program knows, with the newest version.
    pub fn kinds() -> impl Iterator<Item = (&'static str, u32)> {
        let all = [
            log::Event::KINDS,
            workspace::Event::KINDS,
            scan::Event::KINDS,
            plan::Event::KINDS,
            task::Event::KINDS,
            mark::Event::KINDS,
            user::Event::KINDS,
            identity::Event::KINDS,
            team::Event::KINDS,
            session::Event::KINDS,
            audit::Event::KINDS,
            subscription::Event::KINDS,
            delivery::Event::KINDS,
        ];
        all.into_iter().flatten().copied()
    }

    /// The schema version that this program writes of a kind, if it knows the kind.
    pub fn newest(kind: &str) -> Option<u32> {
        of_kind!(kind, stream => stream::Event::newest(kind))
    }

    /// Reads an event of any version that was ever written, upcasting old data.
    pub fn read(kind: &str, version: u32, data: &RawValue) -> Result<Self, ReadError> {
        match Self::newest(kind) {
            Some(newest) if newest == version => Self::read_newest(kind, version, data.get()),
            Some(newest) if version < newest => {
                let lifted = upcast::lift(upcast::ALL, kind, version, newest, data)?;
                Self::read_newest(kind, version, &lifted)
            }
            _ => Err(unknown(kind, version)),
        }
    }

    fn read_newest(kind: &str, version: u32, data: &str) -> Result<Self, ReadError> {
        let mut json = serde_json::Deserializer::from_str(data);
        let read = Self::deserialize_data(kind, &mut json);
        read.ok_or_else(|| unknown(kind, version))?
            .map_err(|source| ReadError::Data {
                kind: kind.to_owned(),
                version,
                source,
            })
    }

    /// Reads data of a kind's newest version where they stand; `None` if this program does not know the kind.
    pub fn deserialize_data<'de, D: Deserializer<'de>>(
        kind: &str,
        data: D,
    ) -> Option<Result<Self, D::Error>> {
        of_kind!(kind, stream => {
            let read = stream::Event::deserialize_data(kind, data);
            read.map(|read| read.map(Self::of))
        })
    }
}

fn unknown(kind: &str, version: u32) -> ReadError {
    ReadError::Unknown {
        kind: kind.to_owned(),
        version,
    }
}

#[cfg(test)]
mod tests;
