//! Answers of a node, looked at by an expert for HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use anyhow::{Context, Result, ensure};
use mirage_ecosystem::python;
use mirage_scenarios::{Place, serve};

use crate::ran::ran;

const WHAT: &str = "answers of GET by an expert for HTTP";

/// Answers that have nothing to do with one another.
const PATHS: [&str; 9] = [
    "/healthz",
    "/readyz",
    "/metrics",
    "/errors",
    "/api/v1/openapi.json",
    "/api/v1/scans",
    "/api/v1/modules",
    "/api/v1/log",
    "/api/v1/nothing",
];

/// A server that contradicts itself about caching.
fn careless() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            // A request of some lines; what is left of it is nobody's.
            let _ = stream.read(&mut [0; 4096])?;
            stream.write_all(
                b"HTTP/1.1 200 OK\r\nDate: yesterday\r\nContent-Type: text\r\nCache-Control: max-age=soon\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
            )?;
        }
        std::io::Result::Ok(())
    });
    Ok(url)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_keep_to_the_habits_of_http() -> Result<()> {
    let Some(mut good) = python(WHAT, "redbot", "check_http.py") else {
        return Ok(());
    };
    let place = Place::new()?;
    let words = ["api-keys", "issue", "test", "--role", "viewer"];
    let issued = place.objects(&words).await?;
    let key = issued[0]["api_key"].as_str().context("a key")?;
    let (_node, url) = serve(&place).await?;
    good.arg(url).args(PATHS).env("MIRAGE_KEY", key);
    let (is_good, said) = ran(good)?;
    ensure!(is_good, "{said}");
    let looked_at = PATHS.iter().filter(|path| said.contains(*path)).count();
    ensure!(looked_at == PATHS.len(), "{said}");
    let mut bad = python(WHAT, "redbot", "check_http.py").context("python is there")?;
    bad.arg(careless()?).arg("/");
    let (is_good, said) = ran(bad)?;
    ensure!(!is_good && said.contains("Date"), "{said}");
    Ok(())
}
