//! A route table: a text of `PREFIX<TAB>NUMBER[<TAB>NAME]` lines.
//!
//! As pyasn writes it; lists of ranges such as iptoasn's are turned into it first.
//!
//! Lines that are empty or begin with `;` or `#` are comments. The longest block around an address counts; several
//! lines of one block are several systems that announce it.

use std::net::IpAddr;

use ipnet::IpNet;

use super::kept::Kept;
use super::{Found, ORIGINS_MAX, Origin, announced, around, named, number};
use crate::collectors::CollectError;

/// The whole Internet has about 1.3 million routes of 40 bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

static TABLE: Kept<Table> = Kept::new();

/// The text, and where in it each block's line begins, by block.
struct Table {
    text: String,
    lines: Vec<(IpNet, u32)>,
}

/// One line, taken apart.
#[derive(Debug, PartialEq)]
struct Route<'t> {
    origin: Origin,
    name: &'t str,
}

pub(super) async fn collect(
    address: IpAddr,
    path: &str,
    found: &Found,
) -> Result<(), CollectError> {
    let table = TABLE.read(path, FILE_BYTES_MAX, Table::read).await?;
    let lines = table.content.around(address);
    if lines.is_empty() {
        return Ok(());
    }
    if lines.len() > ORIGINS_MAX {
        found.remark("cap-reached", "origins", address.to_string());
    }
    let lines = &lines[..lines.len().min(ORIGINS_MAX)];
    let document = serde_json::json!({ "file_sha256": table.digest, "lines": lines });
    let evidence = found.document("route-table", document.to_string()).await?;
    for route in lines.iter().filter_map(|line| route(line)) {
        let Some(system) = announced(&route.origin, evidence, found) else {
            continue;
        };
        named(route.name, evidence, &system, found);
    }
    Ok(())
}

impl Table {
    fn read(bytes: Vec<u8>) -> Result<Self, String> {
        let text = String::from_utf8(bytes).map_err(|_| "the route table is no UTF-8")?;
        let mut lines = Vec::new();
        let mut at = 0;
        for (index, line) in text.split_inclusive('\n').enumerate() {
            if !is_comment(line) {
                let Some(route) = route(line) else {
                    return Err(format!("line {} is no route", index + 1));
                };
                // Bounded by the file's.
                let at = u32::try_from(at).map_err(|_| "the route table is too long")?;
                lines.push((route.origin.block, at));
            }
            at += line.len();
        }
        lines.sort_unstable();
        lines.shrink_to_fit();
        Ok(Self { text, lines })
    }

    /// The lines of the longest block around an address, in the file's order.
    fn around(&self, address: IpAddr) -> Vec<&str> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let own = (0..=bits)
            .rev()
            .filter_map(|length| around(address, length));
        own.map(|block| self.of(&block))
            .find(|lines| !lines.is_empty())
            .unwrap_or_default()
    }

    fn of(&self, block: &IpNet) -> Vec<&str> {
        let first = self.lines.partition_point(|(own, _)| own < block);
        let lines = self.lines[first..]
            .iter()
            .take_while(|(own, _)| own == block);
        lines
            .filter_map(|(_, at)| self.text[*at as usize..].lines().next())
            .collect()
    }
}

fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with([';', '#'])
}

fn route(line: &str) -> Option<Route<'_>> {
    let mut fields = line.trim().splitn(3, '\t').map(str::trim);
    let block: IpNet = fields.next()?.parse().ok()?;
    let number = number(fields.next()?)?;
    Some(Route {
        origin: Origin {
            block: block.trunc(),
            number,
        },
        name: fields.next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod unit {
    use super::*;

    fn table(text: &str) -> Result<Table, String> {
        Table::read(text.as_bytes().to_vec())
    }

    #[test]
    fn the_longest_block_counts_and_each_of_its_lines() {
        let text = "; IP\tASN\n\n192.0.2.0/24\t64500\tLast\r\n# more\n192.0.0.0/8\t1\n\
            192.0.2.128/25\tAS64501\tMirage, Corp\n192.0.2.0/24\t64502\n2001:db8::/32\t64503\n";
        let table = table(text).unwrap();
        let around = |address: &str| table.around(address.parse().unwrap());
        assert_eq!(
            around("192.0.2.200"),
            ["192.0.2.128/25\tAS64501\tMirage, Corp"]
        );
        assert_eq!(
            around("192.0.2.1"),
            ["192.0.2.0/24\t64500\tLast", "192.0.2.0/24\t64502"]
        );
        assert_eq!(around("192.9.9.9"), ["192.0.0.0/8\t1"]);
        assert_eq!(around("2001:db8::1"), ["2001:db8::/32\t64503"]);
        assert!(around("8.8.8.8").is_empty() && around("::1").is_empty());
    }

    #[test]
    fn a_line_that_is_no_route_is_named() {
        for text in [
            "192.0.2.0/24 64500\n",
            "192.0.2.0/33\t1",
            "192.0.2.1\t1",
            "192.0.2.0/24\t-1",
            "192.0.2.0/24\t4294967296",
            "192.0.2.0/24\t",
            "\u{1b}]0;x\u{7}",
        ] {
            let error = table(&format!("# first\n{text}")).err();
            assert_eq!(error.as_deref(), Some("line 2 is no route"), "{text}");
        }
        assert!(Table::read(vec![0xff]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9a./:\t\n#AS \u{fc}]*") {
            if let Ok(table) = table(&text) {
                table.around(IpAddr::from([192, 0, 2, 1]));
            }
        }
    }
}
