//! The commands that people give: to scans, about findings, and about who is told.
//!
//! They append and nothing else; a scan is run by whoever reads of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use mirage_domain::delivery::{self, Deliveries};
use mirage_domain::entity::Entity;
use mirage_domain::id::{
    Cursor, Digest, FindingId, IdKey, ModuleName, Position, ScanId, StreamId, SubscriptionId,
    Version, WorkspaceId,
};
use mirage_domain::mark::{self, Mark};
use mirage_domain::module::Profile;
use mirage_domain::scan::{self, Consent, Limits, Origin, Requested, Scan, Seeds, StartScan};
use mirage_domain::scope::{RuleError, Scope};
use mirage_domain::sealed::Sealable;
use mirage_domain::subscription::{self, Subscriptions};
use mirage_log::EventLog;
use mirage_log::commit::{Actor, ActorKind, CommandKey};
use mirage_log::evidence::{self, EvidenceStore};
use mirage_log::execute::{self, Envelope, Store};

use crate::seed;
use crate::settings::ScanSettings;

/// Gives commands within one workspace.
pub struct Commands {
    pub workspace: WorkspaceId,
    pub log: Arc<dyn EventLog>,
    pub evidence: Arc<dyn EvidenceStore>,
    /// The workspace's id key.
    pub key: IdKey,
    pub scans: Store<Scan>,
    pub marks: Store<Mark>,
    pub subscriptions: Store<Subscriptions>,
    pub deliveries: Store<Deliveries>,
    pub now: fn() -> Timestamp,
}

/// What somebody wants scanned; every field is checked before anything is written.
#[derive(Debug, Clone)]
pub struct ScanRequest {
    pub name: String,
    pub seeds: Vec<Entity>,
    pub profile: Profile,
    pub modules: BTreeSet<ModuleName>,
    /// Rules beside those that the seeds imply.
    pub scope: Vec<String>,
    pub limits: Limits,
    pub consent: Option<Consent>,
    pub allow_private: Vec<IpNet>,
    pub settings: ScanSettings,
    pub origin: Origin,
}

/// Who asks, and under which idempotency key.
#[derive(Debug, Clone)]
pub struct Caller {
    pub actor: Actor,
    /// The key and the request as the client sent it, before defaults, clock and ids.
    pub key: Option<(String, Vec<u8>)>,
    /// Only if the stream ends with this event.
    pub at_version: Option<Version>,
    /// W3C Trace Context of the request.
    pub traceparent: Option<String>,
}

impl Caller {
    /// The person at the command line.
    pub fn user(id: impl Into<String>) -> Self {
        Self {
            actor: Actor {
                kind: ActorKind::User,
                id: id.into(),
                version: None,
            },
            key: None,
            at_version: None,
            traceparent: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Scope(#[from] RuleError),
    #[error(transparent)]
    Evidence(#[from] evidence::Error),
    #[error(transparent)]
    Read(#[from] mirage_log::ReadError),
    #[error("there is no scan {0}")]
    Absent(ScanId),
    #[error("the {what} of scan {scan} is not what was stored")]
    Damaged { what: &'static str, scan: ScanId },
    #[error(transparent)]
    Command(#[from] execute::Error<scan::Error>),
}

impl Commands {
    /// Commands within the workspace whose id key this is.
    pub fn new(
        workspace: WorkspaceId,
        log: Arc<dyn EventLog>,
        evidence: Arc<dyn EvidenceStore>,
        key: IdKey,
        now: fn() -> Timestamp,
    ) -> Self {
        Self {
            workspace,
            evidence,
            key,
            scans: Store::new(log.clone()),
            marks: Store::new(log.clone()),
            subscriptions: Store::new(log.clone()),
            deliveries: Store::new(log.clone()),
            now,
            log,
        }
    }

    fn envelope(&self, caller: &Caller, belongs_to: Option<&ScanId>) -> Envelope {
        let command = caller.key.as_ref().map(|(key, request)| CommandKey {
            key: key.clone(),
            digest: self.key.mac(request),
        });
        Envelope {
            command,
            correlation: belongs_to.map(ToString::to_string),
            at_version: caller.at_version,
            traceparent: caller.traceparent.clone(),
            ..Envelope::new(caller.actor.clone(), self.now)
        }
    }

    /// Starts a scan, or answers as the first time if this caller's key did so before.
    pub async fn start(
        &self,
        request: ScanRequest,
        caller: &Caller,
    ) -> Result<(ScanId, Position), Error> {
        let key = match &caller.key {
            Some((key, _)) => key.clone(),
            None => uuid::Uuid::now_v7().to_string(),
        };
        let scan = ScanId::derive(&self.workspace, &caller.actor.id, &key);
        let position = self.start_as(&scan, request, caller).await?;
        Ok((scan, position))
    }

    /// Starts the scan that has this id.
    pub(super) async fn start_as(
        &self,
        scan: &ScanId,
        request: ScanRequest,
        caller: &Caller,
    ) -> Result<Position, Error> {
        Scope::new(&request.seeds, &request.scope)?;
        let count = request.seeds.len() as u64;
        let list = self
            .evidence
            .put(&self.workspace, seed::encode(&request.seeds))
            .await?;
        let settings = self
            .evidence
            .put(&self.workspace, request.settings.encode())
            .await?;
        self.evidence.flush().await?;
        let requested = requested(request, Seeds { list, count }, settings);
        let command = scan::Command::Start(Box::new(StartScan { request: requested }));
        self.command(scan, command, caller).await
    }

    /// Gives a command to a scan and answers the position after which its effect can be read.
    pub async fn command(
        &self,
        scan: &ScanId,
        command: scan::Command,
        caller: &Caller,
    ) -> Result<Position, Error> {
        let stream = StreamId::scan(&self.workspace, scan);
        Ok(self
            .scans
            .execute(&stream, command, self.envelope(caller, Some(scan)))
            .await?)
    }

    /// Says something about a finding, which is known to exist, and answers the position after which it holds.
    pub async fn mark(
        &self,
        scan: &ScanId,
        finding: FindingId,
        command: mark::Command,
        caller: &Caller,
    ) -> Result<Position, execute::Error<mark::Error>> {
        let stream = StreamId::mark(&self.workspace, scan, finding);
        let envelope = self.envelope(caller, Some(scan));
        self.marks.execute(&stream, command, envelope).await
    }

    /// The id of a subscription that this caller creates: the same key names the same one.
    pub fn new_subscription(&self, caller: &Caller) -> SubscriptionId {
        let key = match &caller.key {
            Some((key, _)) => key.clone(),
            None => uuid::Uuid::now_v7().to_string(),
        };
        SubscriptionId::derive(&self.workspace, &caller.actor.id, &key)
    }

    /// The subscriptions as they are now.
    pub async fn subscriptions(&self) -> Result<Subscriptions, mirage_log::ReadError> {
        let stream = StreamId::subscriptions(&self.workspace);
        Ok(self.subscriptions.state(&stream).await?.0)
    }

    /// Gives a command to the subscriptions and answers the position after which its effect can be read.
    pub async fn subscribe(
        &self,
        command: subscription::Command,
        caller: &Caller,
    ) -> Result<Position, execute::Error<subscription::Error>> {
        let stream = StreamId::subscriptions(&self.workspace);
        let envelope = self.envelope(caller, None);
        self.subscriptions.execute(&stream, command, envelope).await
    }

    /// What came of a subscription's deliveries.
    pub async fn deliveries(
        &self,
        subscription: &SubscriptionId,
    ) -> Result<Deliveries, mirage_log::ReadError> {
        let stream = StreamId::delivery(&self.workspace, subscription);
        Ok(self.deliveries.state(&stream).await?.0)
    }

    /// Asks for an event to be sent once more.
    pub async fn resend(
        &self,
        subscription: &SubscriptionId,
        cursor: Cursor,
        caller: &Caller,
    ) -> Result<Position, execute::Error<delivery::Error>> {
        let stream = StreamId::delivery(&self.workspace, subscription);
        let command = delivery::Command::Resend { cursor };
        let envelope = self.envelope(caller, None);
        self.deliveries.execute(&stream, command, envelope).await
    }
}

fn requested(request: ScanRequest, seeds: Seeds, settings: Digest) -> Requested {
    Requested {
        name: Sealable::Open(request.name),
        seeds,
        profile: request.profile,
        modules: request.modules,
        scope: Sealable::Open(request.scope),
        limits: request.limits,
        consent: request.consent,
        allow_private: request.allow_private,
        settings,
        origin: request.origin,
    }
}
