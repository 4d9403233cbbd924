//! Who holds what: a bucket of JetStream whose entries age by the server's clock.
//!
//! Hints, like the messages beside them: the bucket lies in memory and may be deleted at any moment.
//! **Invariant:** an entry changes hands only when it has aged or was given back.

use std::time::Duration;

use async_nats::jetstream::context::Context;
use async_nats::jetstream::kv::{self, CreateErrorKind, Entry, Operation, Store, UpdateErrorKind};
use async_nats::jetstream::stream::StorageType;
use tokio::sync::RwLock;

use super::Error;
use super::jetstream::{Config, failed};
use crate::jetstream::early::patiently;

/// See the module's doc.
pub struct Holders {
    context: Context,
    config: kv::Config,
    store: RwLock<Store>,
}

impl Holders {
    /// Opens the bucket `<name>-leases`, or makes it; what is not taken again within `age` is nobody's.
    pub(super) async fn open(
        context: Context,
        queue: &Config,
        age: Duration,
    ) -> Result<Self, Error> {
        let config = kv::Config {
            bucket: format!("{}-leases", queue.name),
            history: 1,
            max_age: age,
            storage: StorageType::Memory,
            num_replicas: queue.replicas,
            ..kv::Config::default()
        };
        let store = make(&context, &config).await?;
        Ok(Self {
            context,
            config,
            store: RwLock::new(store),
        })
    }

    /// Takes a thing or keeps it; `Err` in the answer names who holds it.
    pub async fn take(&self, what: &str, holder: &str) -> Result<Result<(), String>, Error> {
        let entry = self.entry(what).await?;
        let store = self.store.read().await.clone();
        let (value, doing) = (holder.to_owned().into(), "writing who holds beside");
        let is_taken = match entry {
            Some(entry) if entry.value != holder => return Ok(Err(name(&entry))),
            Some(entry) => match store.update(what, value, entry.revision).await {
                Ok(_) => true,
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => false,
                Err(error) => return Err(failed(doing)(error)),
            },
            None => match store.create(what, value).await {
                Ok(_) => true,
                Err(error) if error.kind() == CreateErrorKind::AlreadyExists => false,
                Err(error) => return Err(failed(doing)(error)),
            },
        };
        // Somebody else was there in between.
        let other = async || Ok(self.holder(what).await?.unwrap_or_default());
        Ok(if is_taken {
            Ok(())
        } else {
            Err(other().await?)
        })
    }

    /// Who holds a thing now, if anybody does.
    pub async fn holder(&self, what: &str) -> Result<Option<String>, Error> {
        let entry = self.entry(what).await?;
        Ok(entry.as_ref().map(name))
    }

    /// Gives a thing back, if it is this holder's.
    pub async fn release(&self, what: &str, holder: &str) -> Result<(), Error> {
        let entry = self.entry(what).await?;
        let Some(entry) = entry.filter(|entry| entry.value == holder) else {
            return Ok(());
        };
        let store = self.store.read().await.clone();
        let deleted = store.delete_expect_revision(what, Some(entry.revision));
        deleted.await.map_err(failed("giving back beside"))
    }

    /// The entry as it is now; a bucket that is gone is made again, and empty.
    async fn entry(&self, key: &str) -> Result<Option<Entry>, Error> {
        let store = self.store.read().await.clone();
        let entry = match store.entry(key).await {
            Ok(entry) => entry,
            Err(error) => {
                tracing::debug!(%error, "the bucket of leases could not be read");
                let store = make(&self.context, &self.config).await?;
                *self.store.write().await = store.clone();
                let entry = store.entry(key).await;
                entry.map_err(failed("reading who holds beside"))?
            }
        };
        Ok(entry.filter(|entry| entry.operation == Operation::Put))
    }
}

fn name(entry: &Entry) -> String {
    String::from_utf8_lossy(&entry.value).into_owned()
}

async fn make(context: &Context, config: &kv::Config) -> Result<Store, Error> {
    let make = || context.create_or_update_key_value(config.clone());
    patiently(make)
        .await
        .map_err(failed("making the bucket beside"))
}
