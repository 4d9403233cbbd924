//! geoip: where an address is said to be, by a MaxMind DB file of the user's.
//!
//! Without a file the module does nothing, and says so. Evidence is the record with the file's hash and build date.

mod record;

use async_trait::async_trait;
use jiff::Timestamp;
use maxminddb::Reader;
use mirage_domain::entity::Kind;
use mirage_domain::module::{Manifest, Setting};
use mirage_domain::relation::Relation;

use serde_json::Value;

use self::record::Record;
use super::{Claim, CollectError, Collector, Found, Input, kept};
use crate::probe::Probe;

pub(super) struct Geoip;

static MANIFEST: Manifest = Manifest {
    name: "geoip",
    summary: "Where an address is said to be, by a MaxMind DB file of yours",
    consumes: &[Kind::Ip],
    produces: &[Kind::Location],
    parallel: 64,
    settings: &[Setting {
        key: "database",
        help: "path of a MaxMind DB file (.mmdb) with countries or cities; without one nothing is looked up",
        default: "",
        is_secret: false,
        is_operators: true,
    }],
    ..Manifest::DEFAULT
};

/// Files of cities have some 60 to 130 MB; it is held in memory.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Addresses are assigned on paper and used elsewhere.
const CONFIDENCE: u8 = 60;

type Database = kept::Understood<Reader<Vec<u8>>>;

static DATABASE: kept::Kept<Reader<Vec<u8>>> = kept::Kept::new();

#[async_trait]
impl Collector for Geoip {
    fn manifest(&self) -> &'static Manifest {
        &MANIFEST
    }

    async fn collect(
        &self,
        input: &Input,
        _: &dyn Probe,
        found: &Found,
    ) -> Result<(), CollectError> {
        let path = input.setting("database");
        if path.is_empty() {
            found.remark("skipped", "no-database", "geoip.database names no file");
            return Ok(());
        }
        let Some(address) = input.entity.as_ip() else {
            return Ok(());
        };
        let database = DATABASE.read(path, FILE_BYTES_MAX, open).await?;
        let reader = &database.content;
        if address.is_ipv6() && reader.metadata().ip_version == 4 {
            return Ok(());
        }
        let wrong = |error| CollectError::Malformed(format!("{path}: {error}"));
        let result = reader.lookup(address).map_err(wrong)?;
        let Some(record) = result.decode::<Record>().map_err(wrong)? else {
            return Ok(());
        };
        let block = result.network().map_err(wrong)?.to_string();
        let Some(place) = record.place() else {
            return Ok(());
        };
        let document = document(&database, &block, &record);
        let evidence = found.document("geoip", document.to_string()).await?;
        let claim = Claim::out(Relation::LocatedAt, place, evidence).with("block", block);
        let claim = record
            .attributes()
            .into_iter()
            .fold(claim, |claim, (name, value)| claim.with(name, value));
        found.add(claim.confidence(CONFIDENCE));
        Ok(())
    }
}

/// What was looked up: the record, and the file that has it.
fn document(database: &Database, block: &str, record: &Record) -> Value {
    let metadata = database.content.metadata();
    let built = i64::try_from(metadata.build_epoch).ok();
    let built = built.and_then(|epoch| Timestamp::from_second(epoch).ok());
    serde_json::json!({
        "block": block,
        "record": record.0,
        "file_sha256": database.digest,
        "file_type": metadata.database_type,
        "file_built": built.map(|at| at.to_string()),
    })
}

fn open(bytes: Vec<u8>) -> Result<Reader<Vec<u8>>, String> {
    Reader::from_source(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
