//! Lines put into their place in a file that lists things, leaving the rest as it stands.
//!
//! **Never:** a guess; a file that does not look as expected is an error that names the line to add by hand.

use anyhow::{Context, ensure};

/// `mod NAME;` among the first run of such lines, sorted; `before` is its visibility with a blank behind it.
pub(super) fn module(text: &str, before: &str, name: &str) -> anyhow::Result<String> {
    let is_module = |line: &str| {
        let line = line.strip_prefix("pub ").unwrap_or(line);
        line.strip_prefix("mod ")
            .is_some_and(|rest| rest.ends_with(';'))
    };
    sorted(text, is_module, &format!("{before}mod {name};"))
}

/// `pub use PATH;` among the first run of such lines, sorted.
pub(super) fn export(text: &str, path: &str) -> anyhow::Result<String> {
    let is_export = |line: &str| line.starts_with("pub use ") && line.ends_with(';');
    sorted(text, is_export, &format!("pub use {path};"))
}

fn sorted(text: &str, belongs: impl Fn(&str) -> bool, new: &str) -> anyhow::Result<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    ensure!(!lines.contains(&new), "there is already a line `{new}`");
    let first = lines.iter().position(|line| belongs(line));
    let first = first.with_context(|| format!("no line like `{new}` to put it beside"))?;
    let run = lines[first..].iter().take_while(|line| belongs(line));
    let place = first + run.take_while(|line| **line < new).count();
    lines.insert(place, new);
    Ok(lines.join("\n") + "\n")
}

/// An entry of the slice `ALL`, sorted; the slice is written one entry a line.
pub(super) fn entry(text: &str, new: &str) -> anyhow::Result<String> {
    const OPEN: &str = "= &[";
    let missing = || format!("no slice `ALL … = &[…];` to put `{new}` into");
    let name = text.find(" ALL:").with_context(missing)?;
    let start = name + text[name..].find(OPEN).with_context(missing)? + OPEN.len();
    let end = start + text[start..].find("];").with_context(missing)?;
    let inside = &text[start..end];
    ensure!(
        !inside.contains("//"),
        "`ALL` holds comments; put `{new}` into it by hand"
    );
    let mut entries: Vec<&str> = inside
        .split(',')
        .map(str::trim)
        .filter(|e| !e.is_empty())
        .collect();
    ensure!(!entries.contains(&new), "`ALL` already holds `{new}`");
    let place = entries.iter().take_while(|entry| **entry < new).count();
    entries.insert(place, new);
    let lines: String = entries
        .iter()
        .map(|entry| format!("\n    {entry},"))
        .collect();
    Ok(format!("{}{lines}\n{}", &text[..start], &text[end..]))
}

/// Lines at the end of the block whose first line ends with `opening`, one step deeper than it.
pub(super) fn last(text: &str, opening: &str, new: &str) -> anyhow::Result<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let missing = || format!("no block `{opening}` to put this into:\n{new}");
    let open = lines
        .iter()
        .position(|line| line.ends_with(opening))
        .with_context(missing)?;
    let indent = " ".repeat(lines[open].len() - lines[open].trim_start().len());
    let closing = format!("{indent}}}");
    let inside = &lines[open + 1..];
    let length = inside
        .iter()
        .position(|line| line.starts_with(&closing))
        .with_context(missing)?;
    let new = new.lines().map(|line| format!("{indent}    {line}"));
    lines.splice(open + 1 + length..open + 1 + length, new);
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_stands_in_its_sorted_place() {
        let of = |name| {
            module(
                "//! Doc.\n\nmod b;\nmod d;\n\n#[cfg(test)]\nmod testing;\n",
                "",
                name,
            )
            .unwrap()
        };
        assert!(of("a").starts_with("//! Doc.\n\nmod a;\nmod b;\n"));
        assert!(of("c").contains("mod b;\nmod c;\nmod d;\n"));
        assert!(of("e").contains("mod d;\nmod e;\n\n#[cfg(test)]"));
    }

    #[test]
    fn what_is_there_already_is_refused() {
        assert!(module("mod b;\n", "", "b").is_err());
        assert!(entry("static ALL: &[A] = &[a];", "a").is_err());
    }

    #[test]
    fn an_empty_slice_gets_its_first_entry() {
        let text = entry("pub static ALL: &[&dyn A] = &[];\n", "&a::A").unwrap();
        assert_eq!(text, "pub static ALL: &[&dyn A] = &[\n    &a::A,\n];\n");
    }

    #[test]
    fn a_slice_with_comments_is_left_to_people() {
        assert!(entry("static ALL: &[A] = &[\n    // first\n    a,\n];", "b").is_err());
    }

    #[test]
    fn a_block_gets_its_last_line() {
        let text = "fn f() {\n    Ok(match command {\n        A => {\n        }\n    })\n}\n";
        let expected =
            "fn f() {\n    Ok(match command {\n        A => {\n        }\n        B,\n    })\n}\n";
        assert_eq!(last(text, "match command {", "B,").unwrap(), expected);
    }
}
