//! Restoring the log alone, from an archive: keys and evidence are those that lie in the directory.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use mirage_domain::id::{Position, WorkspaceId};

use super::commits::Group;
use super::restore::{Restored, Target};
use super::{Carried, Error, Folders};
use crate::archive::{self, Header, Reader};
use crate::sqlite::Sqlite;
use crate::{Head, keys};

/// Restores a log from an archive of all of it. An interrupted restore is begun again.
///
/// The archive is read twice: it is proven to its end before anything is written.
pub async fn restore_archive(path: &Path, to: &Folders) -> Result<Restored, Error> {
    let reader = open(path)?;
    let header = reader.header().clone();
    if header.after > Position(0) {
        let (path, after) = (path.to_owned(), header.after);
        return Err(Error::Partial { path, after });
    }
    let target = Target::look(to).await?;
    target.must_be_of(header.log_id)?;
    let head = prove(reader, &target)?;
    let (end, set_back) = target.prepare(head, header.log_id)?;
    let restored = Sqlite::open_behind(&to.data)?;
    let mut carried = Carried {
        keyless: keyless(&header, to),
        ..Carried::default()
    };
    let mut group = Group::to(&restored);
    for archived in open(path)? {
        let archived = archived?;
        if archived.position > target.here.position {
            carried.commits += 1;
            group.push(archived.position, archived.commit).await?;
        }
    }
    group.end().await?;
    Ok(Restored {
        carried,
        head: end,
        set_back,
    })
}

fn open(path: &Path) -> Result<Reader<BufReader<File>>, Error> {
    let file = File::open(path).map_err(archive::Error::Read)?;
    Ok(Reader::open(BufReader::with_capacity(256 * 1024, file))?)
}

/// Reads an archive to its end; it must say the same as the target, as far as both go.
fn prove(mut reader: Reader<BufReader<File>>, target: &Target<'_>) -> Result<Head, Error> {
    let known: Vec<Head> = target.known().collect();
    for archived in reader.by_ref() {
        let archived = archived?;
        let is_other = |known: &&Head| {
            known.position == archived.position && known.log_hash != archived.log_hash
        };
        if known.iter().any(|known| is_other(&known)) {
            return Err(target.other(archived.position));
        }
    }
    Ok(reader.proven())
}

/// The workspaces whose key the directory does not have.
fn keyless(header: &Header, to: &Folders) -> Vec<WorkspaceId> {
    let all = header.keys.iter();
    all.filter_map(|(name, fingerprint)| Some((WorkspaceId::new(name).ok()?, *fingerprint)))
        .filter(|(workspace, fingerprint)| !keys::is_right(&to.keys, workspace, *fingerprint))
        .map(|(workspace, _)| workspace)
        .collect()
}
