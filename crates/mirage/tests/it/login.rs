//! Somebody signs in to a server at the command line, lets another device in, and goes out again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::place::{Place, Ran};

const PASSWORD: &[u8] = b"correct horse battery\n";

/// A gateway in a process of its own, killed when dropped.
struct Gateway {
    /// Gone with it.
    _place: Place,
    child: Child,
    url: String,
}

impl Gateway {
    /// With an owner `ada`.
    fn begin() -> Self {
        let place = Place::empty();
        let create = place.command(&["users", "create", "ada", "--owner"]);
        with_input(create, PASSWORD).done();
        let mut serve = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = serve.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = said.find_map(|line| {
            let line = line.unwrap();
            let at = line.find("http://")?;
            Some(line[at..].split_once("/readyz")?.0.to_owned())
        });
        // Who no longer listens must not stop the one that speaks.
        std::thread::spawn(move || said.for_each(drop));
        let url = url.expect("it says where it listens");
        Self {
            _place: place,
            child,
            url,
        }
    }

    /// A command of somebody whose home is elsewhere, and who knows nothing but the server.
    fn from(&self, home: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mirage"));
        command.args(words).args(["--server", &self.url]);
        command.env_clear().env("HOME", home).current_dir(home);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, home: &Path, words: &[&str]) -> Ran {
        self.from(home, words).output().unwrap().into()
    }

    fn by_password(&self, home: &Path) -> Ran {
        let words = ["login", "--password", "ada", "-o", "jsonl"];
        with_input(self.from(home, &words), PASSWORD)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_input(mut command: Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}

/// The files under the folder of sessions.
fn kept(home: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(home.join(".config/mirage/sessions"));
    let paths = entries
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect()
}

#[test]
fn a_password_opens_a_session_that_commands_use_until_it_is_over() {
    let gateway = Gateway::begin();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let hint = gateway.run(home, &["scans"]).refused(4, "sign_in_needed");
    assert!(hint.contains("mirage login"), "{hint}");
    let wrong = gateway.from(home, &["login", "--password", "ada"]);
    with_input(wrong, b"wrong horse battery\n").refused(4, "sign_in_failed");
    let granted = gateway.by_password(home).objects();
    assert_eq!(granted[0]["role"], "owner");
    gateway.run(home, &["scans"]).done();

    let [file] = &kept(home)[..] else {
        panic!("one file a server");
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
        gateway.run(home, &["scans"]).refused(2, "bad_config");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    // A key that is set wins.
    let mut keyed = gateway.from(home, &["scans"]);
    keyed.env("MIRAGE_SERVER_API_KEY", "mirage.nothing");
    Ran::from(keyed.output().unwrap()).refused(4, "bad_credential");

    gateway.run(home, &["logout"]).done();
    assert!(kept(home).is_empty());
    gateway.run(home, &["logout"]).refused(4, "sign_in_needed");
}

#[test]
fn commands_at_once_refresh_an_old_token_once() {
    let gateway = Gateway::begin();
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    gateway.by_password(home).done();
    let file = kept(home).remove(0);
    let mut written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let first = written["refresh_token"].clone();
    written["access_until"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(&file, written.to_string()).unwrap();
    let running: Vec<Child> = (0..6)
        .map(|_| {
            let mut command = gateway.from(home, &["scans"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in running {
        Ran::from(child.wait_with_output().unwrap()).done();
    }
    let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_ne!(written["refresh_token"], first);
    // Not one of them used a token that was used before: the session still holds.
    gateway.run(home, &["logout"]).done();
}

#[test]
fn a_device_is_let_in_by_who_is_in_elsewhere() {
    let gateway = Gateway::begin();
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    gateway.by_password(home.path()).done();
    let mut device = gateway.from(other.path(), &["login", "-o", "jsonl"]);
    device.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut device = device.spawn().unwrap();
    let mut said = BufReader::new(device.stderr.take().unwrap()).lines();
    let code = said.find_map(|line| {
        let line = line.unwrap();
        Some(line.split_once("--confirm ")?.1.trim().to_owned())
    });
    let code = code.expect("it shows a code");
    let asked = gateway.run(home.path(), &["login", "--confirm", &code]);
    let told = asked.failed(2, "usage");
    assert!(told.contains("--yes"), "{told}");
    let confirm = ["login", "--confirm", &code, "--yes"];
    gateway.run(home.path(), &confirm).done();
    let ended: Ran = device.wait_with_output().unwrap().into();
    assert_eq!(ended.objects()[0]["role"], "owner");
    gateway.run(other.path(), &["scans"]).done();
    let again = gateway.run(home.path(), &confirm);
    again.refused(3, "bad_user_code");
}

#[test]
fn an_issuer_that_cannot_be_used_is_told_before_a_node_serves() {
    const ISSUER: (&str, &str) = ("MIRAGE_SERVE_OIDC_ISSUER", "https://id.example");
    const CLIENT: (&str, &str) = ("MIRAGE_SERVE_OIDC_CLIENT_ID", "mirage");
    const ADDRESS: (&str, &str) = ("MIRAGE_SERVE_OIDC_REDIRECT", "https://mirage.example");
    const CLEAR: (&str, &str) = ("MIRAGE_SERVE_OIDC_ISSUER", "http://id.example");
    const NOWHERE: (&str, &str) = ("MIRAGE_SERVE_OIDC_CA", "/nowhere/ca.pem");
    for (set, what) in [
        (&[ISSUER][..], "serve.oidc_client_id"),
        (&[ISSUER, CLIENT], "serve.oidc_redirect"),
        (&[CLEAR, CLIENT, ADDRESS], "https"),
        (&[ISSUER, CLIENT, ADDRESS, NOWHERE], "/nowhere/ca.pem"),
    ] {
        let place = Place::empty();
        let mut serve = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        serve.envs(set.iter().copied());
        let ran: Ran = serve.output().unwrap().into();
        let said = ran.failed(2, "bad_config");
        assert!(said.contains(what), "{said}");
    }
}
