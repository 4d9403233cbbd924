//! The JetStream stream: what is asked of the server, and held against what it says it has.
//!
//! **Invariant:** a log lies in a JetStream stream that forgets nothing; one that may is refused, field by field.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{
    Context, CreateStreamError, CreateStreamErrorKind, GetStreamErrorKind,
};
use async_nats::jetstream::stream::{
    Compression, Config, DiscardPolicy, Info, PersistenceMode, RetentionPolicy, StorageType, Stream,
};

use super::connect::Proven;
use super::early;
use super::options::Options;
use crate::OpenError;

/// What the log's JetStream stream must be.
pub(super) fn wanted(options: &Options) -> Config {
    Config {
        name: options.name.clone(),
        subjects: vec![format!("{}.>", options.prefix)],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        max_bytes: i64::try_from(options.bytes_max).unwrap_or(i64::MAX),
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        num_replicas: options.replicas,
        deny_delete: true,
        deny_purge: true,
        allow_direct: true,
        compression: Some(Compression::S2),
        ..Config::default()
    }
}

/// Finds the JetStream stream, or makes it; refuses another configuration than the wanted one.
pub(super) async fn ensure(context: &Context, options: &Options) -> Result<Info, OpenError> {
    let wanted = wanted(options);
    let fail = |source| OpenError::Server {
        doing: "making the log",
        source,
    };
    let found = match early::patiently(|| context.get_stream(&wanted.name)).await {
        Ok(stream) => stream.cached_info().clone(),
        Err(error) if is_absent(error.kind()) => match make(context, &wanted).await {
            Ok(made) => made.cached_info().clone(),
            // Another starter made it; what it made is compared like any other.
            Err(error) => match context.get_stream(&wanted.name).await {
                Ok(stream) => stream.cached_info().clone(),
                Err(_) if is_full(error.kind()) => {
                    return Err(OpenError::NoRoom {
                        bytes: options.bytes_max,
                    });
                }
                Err(_) => return Err(fail(error.into())),
            },
        },
        Err(error) => return Err(fail(error.into())),
    };
    match difference(&wanted, &found.config) {
        None => Ok(found),
        Some((field, wanted, found)) => Err(OpenError::Configuration {
            stream: options.name.clone(),
            field,
            wanted,
            found,
        }),
    }
}

async fn make(context: &Context, wanted: &Config) -> Result<Stream, CreateStreamError> {
    early::patiently(|| context.create_stream(wanted)).await
}

pub(crate) fn is_absent(kind: GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

/// The server sets aside all that a log may take when it is made.
pub(super) fn is_full(kind: CreateStreamErrorKind) -> bool {
    matches!(kind, CreateStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STORAGE_RESOURCES_EXCEEDED)
}

type Difference = (&'static str, String, String);

/// The first field that says something else than it must.
pub(super) fn difference(wanted: &Config, found: &Config) -> Option<Difference> {
    macro_rules! same {
        ($($name:literal: $get:expr),+ $(,)?) => {
            $({
                let get: fn(&Config) -> String = $get;
                let (wanted, found) = (get(wanted), get(found));
                if wanted != found {
                    return Some(($name, wanted, found));
                }
            })+
        };
    }
    same! {
        "subjects": |config| config.subjects.join(", "),
        "storage": |config| format!("{:?}", config.storage),
        "retention": |config| format!("{:?}", config.retention),
        "discard": |config| format!("{:?}", config.discard),
        "max_age": |config| format!("{:?}", config.max_age),
        "max_bytes": |config| config.max_bytes.to_string(),
        "max_msgs": |config| config.max_messages.to_string(),
        "max_msgs_per_subject": |config| config.max_messages_per_subject.to_string(),
        "discard_new_per_subject": |config| config.discard_new_per_subject.to_string(),
        "num_replicas": |config| config.num_replicas.to_string(),
        "deny_delete": |config| config.deny_delete.to_string(),
        "deny_purge": |config| config.deny_purge.to_string(),
        "allow_direct": |config| config.allow_direct.to_string(),
        "allow_rollup_hdrs": |config| config.allow_rollup.to_string(),
        "allow_msg_ttl": |config| config.allow_message_ttl.to_string(),
        "allow_msg_counter": |config| config.allow_message_counter.to_string(),
        "allow_msg_schedules": |config| config.allow_message_schedules.to_string(),
        "compression": |config| format!("{:?}", config.compression),
        "persist_mode": |config| match config.persist_mode {
            Some(PersistenceMode::Async) => "async".into(),
            _ => "default".into(),
        },
        "subject_transform": |config| format!("{:?}", config.subject_transform),
        "no_ack": |config| config.no_ack.to_string(),
        "sealed": |config| config.sealed.to_string(),
        "mirror": |config| config.mirror.is_some().to_string(),
        "sources": |config| config.sources.iter().flatten().count().to_string(),
    }
    None
}

/// The first node that keeps the stream and is not among the proven ones. A lone server keeps it by itself.
pub(super) fn unproven(info: &Info, server_id: &str, proven: &Proven) -> Option<String> {
    let Some(cluster) = info
        .cluster
        .as_ref()
        .filter(|cluster| cluster.leader.is_some())
    else {
        return (!proven.contains_key(server_id)).then(|| server_id.to_owned());
    };
    let is_proven = |name: &String| proven.values().any(|known| known == name);
    let replicas = cluster.replicas.iter().map(|peer| &peer.name);
    cluster
        .leader
        .iter()
        .chain(replicas)
        .find(|name| !is_proven(name))
        .cloned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A field that differs, and what makes it so.
    type Change = (&'static str, fn(&mut Config));

    #[test]
    fn every_setting_that_could_lose_a_commit_is_told_by_its_name() {
        let wanted = wanted(&Options::default());
        assert_eq!(difference(&wanted, &wanted.clone()), None);
        let changes: [Change; 12] = [
            ("max_age", |config| config.max_age = Duration::from_secs(9)),
            ("storage", |config| config.storage = StorageType::Memory),
            ("discard", |config| config.discard = DiscardPolicy::Old),
            ("retention", |config| {
                config.retention = RetentionPolicy::WorkQueue
            }),
            ("deny_delete", |config| config.deny_delete = false),
            ("deny_purge", |config| config.deny_purge = false),
            ("allow_direct", |config| config.allow_direct = false),
            ("allow_rollup_hdrs", |config| config.allow_rollup = true),
            ("allow_msg_ttl", |config| config.allow_message_ttl = true),
            ("max_msgs_per_subject", |config| {
                config.max_messages_per_subject = 1
            }),
            ("num_replicas", |config| config.num_replicas = 3),
            ("persist_mode", |config| {
                config.persist_mode = Some(PersistenceMode::Async)
            }),
        ];
        for (field, change) in changes {
            let mut found = wanted.clone();
            change(&mut found);
            let told = difference(&wanted, &found).map(|(field, ..)| field);
            assert_eq!(told, Some(field));
        }
    }
}
