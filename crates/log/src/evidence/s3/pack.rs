//! A pack: small items in one object with its index in front, from which the whole index is made.
//!
//! `mirpack1`, the count (4 bytes, big-endian), per item its SHA-256 and its length (4 bytes), the SHA-256 of all that,
//! then the items one after the other: where one begins follows from the lengths, so none can overlap another.
//!
//! **Invariant:** what a pack claims is bounded before anything is allocated or asked for.

use mirage_domain::id::Digest;
use sha2::{Digest as _, Sha256};

use crate::evidence::files::SMALL_BYTES_MAX;

/// Items of one pack: 8 192 × 36 bytes of index.
pub(super) const ITEMS_MAX: usize = 8192;
/// Bytes of items after which a pack is closed.
pub(super) const BYTES_MAX: usize = 8 * 1024 * 1024;
/// A pack that is larger was not made here: it is closed by the item that makes it too large.
pub(super) const OBJECT_BYTES_MAX: u64 =
    (BYTES_MAX + SMALL_BYTES_MAX + header_bytes(ITEMS_MAX)) as u64;

const MAGIC: &[u8; 8] = b"mirpack1";
const FIXED_BYTES: usize = MAGIC.len() + 4;
const ENTRY_BYTES: usize = 32 + 4;
const HASH_BYTES: usize = 32;

/// An item in a pack: where its bytes begin and end, by the pack's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What the beginning of a pack tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Entries(Vec<Entry>),
    /// The index is longer than what was read, and the object has it.
    Needs(u64),
    /// The index is not what was written; what it says is only a hint.
    Damaged(Vec<Entry>),
}

const fn header_bytes(count: usize) -> usize {
    FIXED_BYTES + count * ENTRY_BYTES + HASH_BYTES
}

/// Makes a pack of at most [`ITEMS_MAX`] items.
pub(super) fn pack(items: &[(Digest, &[u8])]) -> (Vec<u8>, Vec<Entry>) {
    let header = header_bytes(items.len());
    let total: usize = items.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut packed = Vec::with_capacity(header + total);
    packed.extend_from_slice(MAGIC);
    packed.extend_from_slice(&(items.len() as u32).to_be_bytes());
    let mut entries = Vec::with_capacity(items.len());
    let mut start = header as u64;
    for (digest, bytes) in items {
        packed.extend_from_slice(&digest.0);
        packed.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        let end = start + bytes.len() as u64;
        entries.push(Entry {
            digest: *digest,
            start,
            end,
        });
        start = end;
    }
    let hash = Sha256::digest(&packed);
    packed.extend_from_slice(&hash);
    for (_, bytes) in items {
        packed.extend_from_slice(bytes);
    }
    (packed, entries)
}

/// Reads the index from the first `bytes` of an object of `size` bytes. Of a pack that was cut off all items are told
/// whose names are left; those whose bytes are gone end beyond `size`.
pub(super) fn read(bytes: &[u8], size: u64) -> Reading {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED_BYTES) else {
        return Reading::Damaged(Vec::new());
    };
    let (magic, count) = fixed.split_at(MAGIC.len());
    let count = u32::from_be_bytes(count.try_into().expect("4 bytes")) as usize;
    if magic != MAGIC || count > ITEMS_MAX {
        return Reading::Damaged(Vec::new());
    }
    let header = header_bytes(count);
    if bytes.len() < header && size >= header as u64 {
        return Reading::Needs(header as u64);
    }
    let mut entries = Vec::with_capacity(count);
    let mut start = header as u64;
    for entry in rest.chunks_exact(ENTRY_BYTES).take(count) {
        let (digest, length) = entry.split_at(32);
        let length = u32::from_be_bytes(length.try_into().expect("4 bytes"));
        if length as usize > SMALL_BYTES_MAX {
            return Reading::Damaged(entries);
        }
        let end = start + u64::from(length);
        let digest = Digest(digest.try_into().expect("32 bytes"));
        entries.push(Entry { digest, start, end });
        start = end;
    }
    let hash = bytes.get(header - HASH_BYTES..header);
    match hash {
        Some(hash) if hash != &Sha256::digest(&bytes[..header - HASH_BYTES])[..] => {
            Reading::Damaged(entries)
        }
        _ => Reading::Entries(entries),
    }
}

/// What can be told from a whole pack whose index is damaged: what it names, and, where its lengths fit the object, what
/// its bytes are.
pub(super) fn salvage(named: Vec<Entry>, bytes: &[u8]) -> Vec<Entry> {
    let fits = named
        .last()
        .is_some_and(|last| last.end == bytes.len() as u64);
    let found = |entry: &Entry| {
        let bytes = bytes.get(entry.start as usize..entry.end as usize)?;
        let digest = Digest::of(bytes);
        (digest != entry.digest).then_some(Entry {
            digest,
            ..entry.clone()
        })
    };
    let others: Vec<Entry> = match fits {
        true => named.iter().filter_map(found).collect(),
        false => Vec::new(),
    };
    named.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(items: &[&[u8]]) -> (Vec<u8>, Vec<Entry>) {
        let items: Vec<_> = items.iter().map(|item| (Digest::of(item), *item)).collect();
        pack(&items)
    }

    #[test]
    fn a_pack_tells_its_items() {
        let (bytes, entries) = packed(&[b"one", b"", b"three"]);
        assert_eq!(
            read(&bytes, bytes.len() as u64),
            Reading::Entries(entries.clone())
        );
        let last = &entries[2];
        assert_eq!(&bytes[last.start as usize..last.end as usize], b"three");
        let size = bytes.len() as u64;
        assert_eq!(
            read(&bytes[..20], size),
            Reading::Needs(header_bytes(3) as u64)
        );
    }

    #[test]
    fn a_pack_that_was_cut_off_names_what_is_lost() {
        let (bytes, entries) = packed(&[b"one", b"two", b"three"]);
        let cut = bytes.len() - 6;
        assert_eq!(
            read(&bytes[..cut], cut as u64),
            Reading::Entries(entries.clone())
        );
        assert!(entries[0].end <= cut as u64 && entries[1].end > cut as u64);
        let cut = FIXED_BYTES + 2 * ENTRY_BYTES + 1;
        assert_eq!(
            read(&bytes[..cut], cut as u64),
            Reading::Entries(entries[..2].to_vec())
        );
    }

    #[test]
    fn a_flipped_bit_in_the_index_loses_nothing_that_can_be_told() {
        let (whole, entries) = packed(&[b"one", b"two", b"three"]);
        for bit in [FIXED_BYTES + ENTRY_BYTES, FIXED_BYTES + ENTRY_BYTES + 35] {
            let mut bytes = whole.clone();
            bytes[bit] ^= 1;
            let Reading::Damaged(named) = read(&bytes, bytes.len() as u64) else {
                panic!("not seen");
            };
            let told = salvage(named, &bytes);
            assert!(told.contains(&entries[0]), "the first is there");
            if bit == FIXED_BYTES + ENTRY_BYTES {
                assert!(entries.iter().all(|entry| told.contains(entry)));
            }
        }
    }

    #[test]
    fn what_a_hostile_index_claims_is_bounded() {
        let (mut bytes, _) = packed(&[b"one"]);
        bytes[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(
            read(&bytes, bytes.len() as u64),
            Reading::Damaged(Vec::new())
        );
        let (mut bytes, _) = packed(&[b"one"]);
        bytes[44..48].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(
            read(&bytes, bytes.len() as u64),
            Reading::Damaged(Vec::new())
        );
    }

    proptest! {
        #[test]
        fn reading_anything_ends(head in proptest::collection::vec(any::<u8>(), 0..200), claims: bool, size: u64) {
            let mut bytes = head;
            if claims && bytes.len() > 12 {
                bytes[..8].copy_from_slice(MAGIC);
                bytes[8..10].fill(0);
            }
            match read(&bytes, size) {
                Reading::Needs(needs) => prop_assert!(needs <= header_bytes(ITEMS_MAX) as u64),
                Reading::Entries(entries) => prop_assert!(entries.len() <= ITEMS_MAX),
                Reading::Damaged(entries) => drop(salvage(entries, &bytes)),
            }
        }
    }
}
