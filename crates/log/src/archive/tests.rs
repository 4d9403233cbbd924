//! Archives read back, go on after any cut, and are refused where they were changed.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::contract::{encoded, noon};
use crate::memory::Memory;

async fn log_of(commits: u64) -> Memory {
    let log = Memory::default();
    let actor = crate::commit::Actor {
        kind: crate::commit::ActorKind::Service,
        id: "test".into(),
        version: None,
    };
    keys::begin(&log, actor, noon()).await.unwrap();
    for n in 2..=commits {
        log.append(encoded(n, None), None).await.unwrap();
    }
    log
}

async fn archive(log: &Memory, after: u64, upto: u64) -> Vec<u8> {
    let nowhere = Path::new("/nonexistent");
    let header = Header::of(log, nowhere, Position(after)).await.unwrap();
    let writer = Writer::begin(Vec::new(), header).unwrap();
    export(log, writer, Position(upto)).await.unwrap().0
}

fn read(bytes: &[u8]) -> Result<Vec<Archived>, Error> {
    Reader::open(bytes)?.collect()
}

#[tokio::test]
async fn an_archive_reads_back_commit_by_commit_with_every_hash() {
    let log = log_of(150).await;
    for (after, upto) in [
        (0, 150),
        (0, 0),
        (0, 1),
        (0, 64),
        (63, 65),
        (100, 150),
        (150, 150),
    ] {
        let bytes = archive(&log, after, upto).await;
        let reader = Reader::open(&*bytes).unwrap();
        assert_eq!(reader.header().after, Position(after));
        assert!(reader.header().log_id.is_some());
        let archived = read(&bytes).unwrap();
        assert_eq!(archived.len() as u64, upto - after, "{after} to {upto}");
        for archived in archived {
            let there = log.commit(archived.position).await.unwrap();
            assert_eq!(archived.commit.bytes, there.bytes);
            let recorded = archived.recorded().unwrap();
            assert_eq!(recorded.log_hash, there.log_hash);
            assert_eq!(recorded.commit, there.commit);
        }
    }
}

#[tokio::test]
async fn each_commit_is_a_line_of_its_exact_bytes() {
    let log = log_of(3).await;
    let bytes = archive(&log, 0, 3).await;
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 1 + 3 + 1 + 1 + 1);
    let third = log.commit(Position(3)).await.unwrap();
    assert_eq!(lines[3], &*third.bytes);
}

#[tokio::test]
async fn an_archive_cut_anywhere_says_so_and_goes_on_to_the_same_bytes() {
    let log = log_of(140).await;
    let whole = archive(&log, 10, 140).await;
    for cut in (0..whole.len())
        .step_by(997)
        .chain(whole.len() - 3..whole.len())
    {
        let torn = &whole[..cut];
        let error = read(torn).unwrap_err();
        if cut == 0 {
            assert!(matches!(error, Error::Foreign), "{cut}: {error}");
            continue;
        }
        assert!(matches!(error, Error::Cut { .. }), "{cut}: {error}");
        let Ok((header, at)) = resumable(torn) else {
            assert!(!torn.contains(&b'\n'), "{cut}");
            continue;
        };
        assert_eq!(header.after, Position(10));
        let kept = torn[..at.bytes as usize].to_vec();
        let writer = Writer::resume(kept, at);
        let again = export(&log, writer, Position(140)).await.unwrap().0;
        assert!(again == whole, "{cut}");
    }
}

#[tokio::test]
async fn an_archive_that_ended_earlier_grows_to_the_same_bytes() {
    let log = log_of(140).await;
    let (shorter, whole) = (archive(&log, 0, 100).await, archive(&log, 0, 140).await);
    let (_, at) = resumable(&*shorter).unwrap();
    assert_eq!(at.head.position, Position(64));
    let writer = Writer::resume(shorter[..at.bytes as usize].to_vec(), at);
    assert!(export(&log, writer, Position(140)).await.unwrap().0 == whole);
}

#[tokio::test]
async fn a_changed_byte_is_refused_with_its_place_before_its_block_is_given_out() {
    let log = log_of(130).await;
    let whole = archive(&log, 0, 130).await;
    for at in (0..whole.len()).step_by(211) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let line = 1 + changed[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        let mut given = 0;
        let error = match Reader::open(&*changed) {
            Err(error) => error,
            Ok(reader) => {
                let mut last = None;
                for read in reader {
                    match read {
                        Ok(archived) => {
                            given = archived.position.0;
                            let there = log.commit(archived.position).await.unwrap();
                            assert_eq!(archived.commit.bytes, there.bytes);
                        }
                        Err(error) => last = Some(error),
                    }
                }
                last.unwrap_or_else(|| panic!("byte {at} was changed and nobody noticed"))
            }
        };
        if let Error::Damaged { line: said, .. } | Error::Decode { line: said, .. } = error {
            // A changed line end joins two lines; a changed first line shows at the first mark.
            assert!(
                said.abs_diff(line) <= 1 || line == 1,
                "{at} in line {line}: {error}"
            );
        }
        assert!(
            given.is_multiple_of(64) || line == 1 || given == 130,
            "{at}: {given}"
        );
    }
}

#[tokio::test]
async fn lines_that_are_missing_added_or_swapped_are_refused() {
    let log = log_of(10).await;
    let whole = archive(&log, 0, 10).await;
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let missing = [&lines[..4], &lines[5..]].concat();
    let twice = [&lines[..4], &lines[3..]].concat();
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let more = [&lines[..], &lines[1..2]].concat();
    for bad in [missing, twice, swapped, more] {
        let error = read(&bad.concat()).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_newer_archive_says_upgrade_and_another_file_says_what_it_is() {
    let log = log_of(2).await;
    let text = String::from_utf8(archive(&log, 0, 2).await).unwrap();
    let newer = text.replacen("\"format\":1,", "\"format\":2,\"fresh\":true,", 1);
    assert!(matches!(read(newer.as_bytes()), Err(Error::Newer(2))));
    for other in ["", "{\"type\":\"DNS_NAME\"}\n", "\n\n"] {
        assert!(matches!(read(other.as_bytes()), Err(Error::Foreign)));
    }
    let endless = [b"{\"archive\":".as_slice(), &vec![b' '; 1 << 20]].concat();
    assert!(read(&endless).is_err());
}

/// A whole archive of two blocks and a half, for tests that are not async.
static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let made = async { archive(&log_of(150).await, 0, 150).await };
    runtime.unwrap().block_on(made)
});

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..400), is_begun in any::<bool>()) {
        let begin: &[u8] = if is_begun { b"{\"archive\":" } else { b"" };
        let bytes = [begin, &bytes].concat();
        prop_assert!(read(&bytes).is_err());
        prop_assert!(resumable(&*bytes).is_err());
    }

    #[test]
    fn an_archive_with_anything_put_in_is_refused(
        at in any::<prop::sample::Index>(), cut in 0..300usize, put in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let at = at.index(WHOLE.len());
        let end = (at + cut).min(WHOLE.len());
        let changed = [&WHOLE[..at], &put, &WHOLE[end..]].concat();
        prop_assume!(changed != *WHOLE);
        prop_assert!(read(&changed).is_err());
        // What may be gone on with is a beginning of the whole one.
        if let Ok((_, whole)) = resumable(&*changed) {
            prop_assert_eq!(&changed[..whole.bytes as usize], &WHOLE[..whole.bytes as usize]);
        }
    }
}
