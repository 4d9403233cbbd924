//! Redirects to where a scanner must not go: around in circles, inwards, out of HTTP.

use super::Lure;

fn to(target: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {target}\r\ncontent-length: 0\r\n\
         connection: close\r\n\r\n"
    )
    .into_bytes()
}

pub(super) fn around(lure: &Lure, _: &str) -> Vec<u8> {
    to(&format!("http://{}:{}/", lure.name, lure.ports.http))
}

pub(super) fn spiral(_: &Lure, path: &str) -> Vec<u8> {
    to(&format!(
        "/{}",
        path.trim_start_matches('/').parse::<u64>().unwrap_or(0) + 1
    ))
}

pub(super) fn canary(lure: &Lure, _: &str) -> Vec<u8> {
    to(&format!("http://{}/", lure.canary))
}

pub(super) fn loopback(lure: &Lure, _: &str) -> Vec<u8> {
    to(&format!("http://127.0.0.1:{}/", lure.canary.port()))
}

/// 127.0.0.1 as one number, which URL parsers take and filters forget.
pub(super) fn decimal(lure: &Lure, _: &str) -> Vec<u8> {
    to(&format!("http://2130706433:{}/", lure.canary.port()))
}

pub(super) fn mapped(lure: &Lure, _: &str) -> Vec<u8> {
    to(&format!(
        "http://[::ffff:127.0.0.1]:{}/",
        lure.canary.port()
    ))
}

pub(super) fn schemeless(lure: &Lure, _: &str) -> Vec<u8> {
    to(&format!("//127.0.0.1:{}/", lure.canary.port()))
}

pub(super) fn metadata(_: &Lure, _: &str) -> Vec<u8> {
    to("http://169.254.169.254/latest/meta-data/")
}

pub(super) fn data(_: &Lure, _: &str) -> Vec<u8> {
    to("data:text/html,<script>alert(1)</script>")
}

pub(super) fn file(_: &Lure, _: &str) -> Vec<u8> {
    to("file:///etc/passwd")
}
