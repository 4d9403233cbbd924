//! A scan asked for once more: its request put together again, or its evidence read anew.

use std::collections::BTreeSet;

use mirage_domain::event::Event;
use mirage_domain::id::{Digest, ModuleName, Position, ScanId, StreamId};
use mirage_domain::scan::{self, Limits, Origin, Requested};

use super::{Caller, Commands, Error, ScanRequest};
use crate::seed;
use crate::settings::ScanSettings;

impl Commands {
    /// What was asked for when a scan was started.
    pub async fn requested(&self, scan: &ScanId) -> Result<Requested, Error> {
        let stream = StreamId::scan(&self.workspace, scan);
        let commits = self.log.read_stream(&stream, Position(0)).await?;
        let mut events = commits.iter().flat_map(|recorded| &recorded.commit.events);
        let requested = events.find_map(|entry| match &entry.event {
            Event::Scan(scan::Event::Requested(requested)) => Some(requested.clone()),
            _ => None,
        });
        requested.ok_or_else(|| Error::Absent(scan.clone()))
    }

    /// The request of a scan, put together again; consent is to be asked for anew.
    pub async fn request_of(&self, scan: &ScanId) -> Result<ScanRequest, Error> {
        let requested = self.requested(scan).await?;
        let damaged = |what| Error::Damaged {
            what,
            scan: scan.clone(),
        };
        let list = self.kept(requested.seeds.list).await?;
        let seeds = list.and_then(|list| seed::decode(&list).ok());
        let settings = self.kept(requested.settings).await?;
        let settings = settings.and_then(|bytes| ScanSettings::decode(&bytes).ok());
        let scope = requested.scope.open().cloned();
        Ok(ScanRequest {
            name: requested.name.open().cloned().unwrap_or_default(),
            seeds: seeds.ok_or_else(|| damaged("seed list"))?,
            profile: requested.profile,
            modules: requested.modules,
            scope: scope.ok_or_else(|| damaged("scope"))?,
            limits: requested.limits,
            consent: None,
            allow_private: requested.allow_private,
            settings: settings.ok_or_else(|| damaged("settings"))?,
            origin: Origin::Scan {
                rerun_of: Some(scan.clone()),
            },
        })
    }

    /// Starts a scan that runs the modules of a finished one, and further ones, over what it kept: nothing is sent.
    pub async fn rederive(
        &self,
        of: &ScanId,
        modules: impl IntoIterator<Item = ModuleName>,
        caller: &Caller,
    ) -> Result<(ScanId, Position), Error> {
        let request = self.request_of(of).await?;
        let modules: BTreeSet<_> = request.modules.into_iter().chain(modules).collect();
        let request = ScanRequest {
            modules,
            // Nothing is sent, so nothing is to be spared.
            limits: Limits {
                depth: request.limits.depth,
                ..Limits::default()
            },
            origin: Origin::Rederivation { of: of.clone() },
            ..request
        };
        self.start(request, caller).await
    }

    async fn kept(&self, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.evidence.get(&self.workspace, digest).await?)
    }
}
