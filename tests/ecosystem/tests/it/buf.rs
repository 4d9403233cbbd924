//! The descriptions of gRPC and the server, held against `buf`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use mirage_ecosystem::{npm, root};
use mirage_scenarios::{Place, serve};
use serde_json::Value;

use crate::ran::ran;

/// A copy of the descriptions, changed in one place.
fn changed(file: &str, from: &str, to: &str) -> Result<tempfile::TempDir> {
    let copy = tempfile::tempdir()?;
    let (kept, package) = (root().join("schemas/proto"), Path::new("mirage/v1"));
    fs::create_dir_all(copy.path().join(package))?;
    fs::copy(kept.join("buf.yaml"), copy.path().join("buf.yaml"))?;
    for entry in fs::read_dir(kept.join(package))? {
        let name = package.join(entry?.file_name());
        fs::copy(kept.join(&name), copy.path().join(&name))?;
    }
    let path = copy.path().join(package).join(file);
    let text = fs::read_to_string(&path)?;
    ensure!(text.contains(from), "{file} has no `{from}`");
    fs::write(path, text.replacen(from, to, 1))?;
    Ok(copy)
}

#[test]
fn the_descriptions_keep_to_the_habits_of_the_trade() -> Result<()> {
    let lint = |folder: &Path| {
        let mut command = npm("lint of the gRPC descriptions", "buf")?;
        command.arg("lint").current_dir(folder);
        Some(ran(command))
    };
    let Some(good) = lint(&root().join("schemas/proto")) else {
        return Ok(());
    };
    let (is_good, said) = good?;
    ensure!(is_good, "{said}");
    let bad = changed("moment.proto", "uint64 min_position", "uint64 minPosition")?;
    let (is_good, said) = lint(bad.path()).context("buf is there")??;
    ensure!(!is_good && said.contains("lower_snake_case"), "{said}");
    Ok(())
}

/// `released.binpb` is the descriptions of the last release; `docs/guides/gateway.md` says how it is made.
#[test]
fn nothing_breaks_who_was_built_for_the_last_release() -> Result<()> {
    let breaking = |folder: &Path| {
        let mut command = npm("changes of the gRPC descriptions", "buf")?;
        let released = root().join("schemas/proto/released.binpb");
        command.arg("breaking").arg("--against").arg(released);
        command.current_dir(folder);
        Some(ran(command))
    };
    let Some(good) = breaking(&root().join("schemas/proto")) else {
        return Ok(());
    };
    let (is_good, said) = good?;
    ensure!(is_good, "{said}");
    let bad = changed("finding.proto", "  bool in_scope = 11;\n", "")?;
    let (is_good, said) = breaking(bad.path()).context("buf is there")??;
    ensure!(!is_good && said.contains("\"11\""), "{said}");
    Ok(())
}

/// A call by a client that knows the server's descriptions from the server alone.
fn curl(url: &str, words: &[&str]) -> Option<Result<(bool, String)>> {
    let mut command = npm("gRPC by a foreign client", "buf")?;
    command.args(["curl", "--http2-prior-knowledge", "--protocol", "grpc"]);
    command.args(words).arg(url);
    Some(ran(command))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_client_finds_its_way_by_reflection() -> Result<()> {
    let place = Place::new()?;
    let words = ["api-keys", "issue", "test", "--role", "viewer"];
    let issued = place.objects(&words).await?;
    let key = issued[0]["api_key"].as_str().context("a key")?;
    let (_node, url) = serve(&place).await?;
    for protocol in ["grpc-v1", "grpc-v1alpha"] {
        let words = ["--reflect-protocol", protocol, "--list-services"];
        let Some(listed) = curl(&url, &words) else {
            return Ok(());
        };
        let (is_good, said) = listed?;
        ensure!(is_good, "{protocol}: {said}");
        for service in ["Finding", "Scan", "Watch", "Why"] {
            ensure!(
                said.contains(&format!("mirage.v1.{service}Service")),
                "{said}"
            );
        }
    }
    let call = |method: &str, words: &[&str]| {
        let called = curl(&format!("{url}/{method}"), words);
        called.context("buf is there")?
    };
    let list = "mirage.v1.ScanService/ListScans";
    let header = format!("Authorization: Bearer {key}");
    let (is_good, said) = call(list, &["--emit-defaults", "-H", &header, "-d", "{}"])?;
    ensure!(is_good, "{said}");
    let listed: Value = serde_json::from_str(&said)?;
    ensure!(listed["scans"] == serde_json::json!([]), "{said}");
    let (is_good, said) = call(list, &["-d", "{}"])?;
    ensure!(!is_good && said.contains("unauthenticated"), "{said}");
    let health = "grpc.health.v1.Health/Check";
    let asked = r#"{"service": "mirage.v1.WhyService"}"#;
    let (is_good, said) = call(health, &["-d", asked])?;
    ensure!(is_good && said.contains("SERVING"), "{said}");
    let (is_good, said) = call(health, &["-d", r#"{"service": "mirage.v1.NoService"}"#])?;
    ensure!(!is_good && said.contains("not_found"), "{said}");
    Ok(())
}
