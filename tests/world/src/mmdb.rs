//! A writer of MaxMind DB files (format 2.0), just large enough for tests.
//!
//! A tree over IPv6, with IPv4 at `::/96`, and records of 24 bits.
//!
//! By hand, as the rest of the world: a reader's error must not be the writer's as well.

use std::net::IpAddr;

use serde_json::{Value, json};

/// What stands before the metadata.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// Zero bytes between the tree and the data.
const SEPARATOR: usize = 16;
/// A day in 2026, so that files are byte-stable.
const BUILT: u64 = 1_767_225_600;

/// Types of values.
const STRING: u8 = 2;
const DOUBLE: u8 = 3;
const U16: u8 = 5;
const U32: u8 = 6;
const MAP: u8 = 7;
const U64: u8 = 9;
const ARRAY: u8 = 11;

/// One side of a node.
#[derive(Clone, Copy)]
enum Side {
    Empty,
    Node(usize),
    /// Offset in the data section.
    Data(usize),
}

/// A file of these blocks, `ADDRESS/LENGTH`, each with its record. Blocks must not overlap.
///
/// # Panics
/// If a block is none, or a value is neither object, array, text nor number of at most 32 bits.
pub fn write(kind: &str, blocks: &[(&str, Value)]) -> Vec<u8> {
    let mut tree = vec![[Side::Empty; 2]];
    let mut data = Vec::new();
    for (block, record) in blocks {
        let offset = data.len();
        encode(record, &mut data);
        insert(&mut tree, &bits(block), offset);
    }
    let nodes = tree.len();
    let mut file = Vec::new();
    for side in tree.iter().flatten() {
        let value = match *side {
            Side::Empty => nodes,
            Side::Node(index) => index,
            Side::Data(offset) => nodes + SEPARATOR + offset,
        };
        let bytes = u32::try_from(value).expect("a small file").to_be_bytes();
        file.extend(&bytes[1..]);
    }
    file.extend([0; SEPARATOR]);
    file.extend(data);
    file.extend(MARKER);
    write_metadata(kind, nodes, &mut file);
    file
}

/// The format fixes the type of each number, so none is left to its size.
fn write_metadata(kind: &str, nodes: usize, out: &mut Vec<u8>) {
    let texts = [
        ("database_type", json!(kind)),
        ("description", json!({ "en": "Made up" })),
        ("languages", json!(["en"])),
    ];
    let numbers = [
        ("binary_format_major_version", U16, 2),
        ("binary_format_minor_version", U16, 0),
        ("build_epoch", U64, BUILT),
        ("ip_version", U16, 6),
        ("node_count", U32, nodes as u64),
        ("record_size", U16, 24),
    ];
    control(MAP, texts.len() + numbers.len(), out);
    for (key, value) in texts {
        encode(&json!(key), out);
        encode(&value, out);
    }
    for (key, kind, value) in numbers {
        encode(&json!(key), out);
        number(kind, value, out);
    }
}

fn insert(tree: &mut Vec<[Side; 2]>, bits: &[bool], offset: usize) {
    let (last, path) = bits.split_last().expect("a block has a length");
    let mut at = 0;
    for &bit in path {
        at = match tree[at][usize::from(bit)] {
            Side::Node(next) => next,
            _ => {
                tree.push([Side::Empty; 2]);
                let next = tree.len() - 1;
                tree[at][usize::from(bit)] = Side::Node(next);
                next
            }
        };
    }
    tree[at][usize::from(*last)] = Side::Data(offset);
}

/// The bits of a block's prefix in the tree.
fn bits(block: &str) -> Vec<bool> {
    let (address, length) = block.split_once('/').expect("ADDRESS/LENGTH");
    let length: usize = length.parse().expect("a length");
    let (number, length) = match address.parse().expect("an address") {
        IpAddr::V4(four) => (u128::from(u32::from(four)), length + 96),
        IpAddr::V6(six) => (u128::from(six), length),
    };
    (0..length)
        .map(|at| number >> (127 - at) & 1 == 1)
        .collect()
}

/// A value after its control byte; types above 7 have a byte more.
fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            control(STRING, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Object(map) => {
            control(MAP, map.len(), out);
            for (key, value) in map {
                encode(&Value::String(key.clone()), out);
                encode(value, out);
            }
        }
        Value::Array(values) => {
            control(ARRAY, values.len(), out);
            values.iter().for_each(|value| encode(value, out));
        }
        Value::Number(value) => match value.as_u64() {
            Some(value) => number(U32, value, out),
            None => {
                control(DOUBLE, 8, out);
                out.extend(value.as_f64().expect("a number").to_be_bytes());
            }
        },
        Value::Null | Value::Bool(_) => panic!("no record has {value}"),
    }
}

/// Leading zero bytes are left out.
fn number(kind: u8, value: u64, out: &mut Vec<u8>) {
    let zeros = value.leading_zeros() as usize / 8;
    control(kind, 8 - zeros, out);
    out.extend(&value.to_be_bytes()[zeros..]);
}

fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let size = u8::try_from(size).expect("below 285");
    let short = size.min(29);
    match kind.checked_sub(7).filter(|&extended| extended > 0) {
        Some(extended) => out.extend([short, extended]),
        None => out.push(kind << 5 | short),
    }
    if short == 29 {
        out.push(size - 29);
    }
}
