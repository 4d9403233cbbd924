//! HTML that breaks parsers and whatever shows what they found.

use std::fmt::Write as _;

use super::{Lure, html, lies};

const DEPTH: usize = 200_000;
const ATTRIBUTES: usize = 100_000;

pub(super) fn deep(_: &Lure, _: &str) -> Vec<u8> {
    let body = "<div>".repeat(DEPTH) + "<title>deep</title>" + &"</div>".repeat(DEPTH);
    html("text/html", body.as_bytes())
}

pub(super) fn attributes(_: &Lure, _: &str) -> Vec<u8> {
    let mut body = String::from("<title>many</title><p");
    for number in 0..ATTRIBUTES {
        write!(body, " a{number}=1").expect("memory takes all");
    }
    body.push('>');
    html("text/html", body.as_bytes())
}

/// The charset in the header is wrong as well.
pub(super) fn title(_: &Lure, _: &str) -> Vec<u8> {
    let body = format!("<title>{}</title>", lies::HOSTILE.replace('<', "&lt;"));
    html("text/html; charset=utf-7", body.as_bytes())
}
