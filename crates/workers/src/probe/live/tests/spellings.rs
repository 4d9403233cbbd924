//! Refused addresses in over a thousand spellings that URL parsers take.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// One of each refused range and some more, the canary's own first.
const FOUR: &[[u8; 4]] = &[
    [127, 0, 0, 1],
    [127, 255, 255, 254],
    [0, 0, 0, 0],
    [0, 1, 2, 3],
    [10, 0, 0, 1],
    [10, 255, 1, 2],
    [100, 64, 1, 2],
    [100, 127, 9, 8],
    [169, 254, 169, 254],
    [169, 254, 1, 2],
    [172, 16, 1, 2],
    [172, 31, 255, 1],
    [192, 0, 0, 8],
    [192, 168, 1, 1],
    [198, 18, 1, 2],
    [198, 19, 254, 2],
    [224, 0, 0, 251],
    [239, 1, 2, 3],
    [240, 1, 2, 3],
    [255, 255, 255, 255],
];

const SIX: &[&str] = &[
    "::",
    "::1",
    "::7f00:1",
    "fe80::1",
    "febf::2",
    "fc00::1",
    "fd12:3456::1",
    "fd00:ec2::254",
    "ff02::1",
    "ff05::2",
    "fec0::1",
    "64:ff9b:1::7f00:1",
    "2001:0:7f00:1::",
    "2001:0:1:2::3",
];

/// What no host is, and so no address either: zones have no place in a URL (WHATWG), and these numbers none in IPv4.
pub(super) const NO_HOSTS: &[&str] = &[
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[::1%251]",
    "[::1%lo]",
    "[::ffff:127.1]",
    "[::127.0.0.1.]",
    "127.0.0.256",
    "127.0.0.0x1ff",
    "0127.0.0.08",
    "1.2.3.4.5",
    "4294967296",
    "[::1",
    "[1::2::3]",
    "127.0.0.1%00",
    "127.0.0.1%2f",
];

pub(super) fn all() -> Vec<String> {
    let mut hosts = BTreeSet::new();
    for four in FOUR {
        hosts.extend(dotted(*four));
        hosts.extend(disguised(&Ipv4Addr::from(*four).to_string()));
        let [a, b, c, d] = four.map(u16::from);
        let (high, low) = (a << 8 | b, c << 8 | d);
        // Mapped, compatible, NAT64, 6to4.
        hosts.extend(expanded(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low)));
        hosts.extend(expanded(Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low)));
        hosts.extend(expanded(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)));
        hosts.extend(expanded(Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)));
        let text = Ipv4Addr::from(*four);
        for prefix in [
            "::ffff:",
            "::FFFF:",
            "0:0:0:0:0:ffff:",
            "::",
            "64:ff9b::",
            "64:FF9B::0:",
        ] {
            hosts.insert(format!("[{prefix}{text}]"));
        }
    }
    for six in SIX {
        hosts.extend(expanded(six.parse().unwrap()));
    }
    hosts.into_iter().collect()
}

/// One to four numbers, each decimal, octal or hexadecimal, and the same with a last dot.
fn dotted(four: [u8; 4]) -> Vec<String> {
    let [a, b, c, d] = four.map(u32::from);
    let forms: [Vec<u32>; 4] = [
        vec![u32::from_be_bytes(four)],
        vec![a, b << 16 | c << 8 | d],
        vec![a, b, c << 8 | d],
        vec![a, b, c, d],
    ];
    let bases: [fn(u32) -> String; 5] = [
        |number| number.to_string(),
        |number| format!("0{number:o}"),
        |number| format!("{number:#x}"),
        |number| format!("0X{number:X}"),
        |number| format!("0x{number:010x}"),
    ];
    let mut hosts = Vec::new();
    for numbers in &forms {
        // All in one base, and each in the next one.
        for (first, step) in [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (0, 1), (2, 1)] {
            let number = |(at, number): (usize, &u32)| bases[(first + at * step) % 5](*number);
            let texts: Vec<String> = numbers.iter().enumerate().map(number).collect();
            hosts.push(texts.join("."));
        }
    }
    let dots: Vec<String> = hosts.iter().map(|host| format!("{host}.")).collect();
    [hosts, dots].concat()
}

/// Letters that become the digits and dots of `text` when a host is read (UTS 46, percent-decoding).
fn disguised(text: &str) -> Vec<String> {
    let other = |zero: char| {
        let digit = |c: char| match c.to_digit(10) {
            Some(digit) => char::from_u32(u32::from(zero) + digit).unwrap(),
            None => c,
        };
        text.chars().map(digit).collect::<String>()
    };
    let escaped: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let wide = other('\u{ff10}');
    vec![
        wide.replace('.', "\u{ff0e}"),
        wide,
        other('\u{1d7ce}'),
        other('\u{1d7f6}'),
        text.replace('.', "\u{3002}"),
        text.replace('.', "\u{ff61}"),
        text.replace('.', "%2e"),
        text.replacen('1', "%31", 1),
        text.replacen('2', "\u{b2}", 1),
        escaped,
    ]
}

/// An IPv6 address short, whole, padded, and in capitals.
fn expanded(six: Ipv6Addr) -> Vec<String> {
    let words = six.segments();
    let join = |word: fn(&u16) -> String| words.iter().map(word).collect::<Vec<_>>().join(":");
    let short = six.to_string();
    let whole = join(|word| format!("{word:x}"));
    let padded = join(|word| format!("{word:04x}"));
    let loud = join(|word| format!("{word:04X}"));
    let texts = [short.to_uppercase(), short, whole, padded, loud];
    texts.into_iter().map(|text| format!("[{text}]")).collect()
}
