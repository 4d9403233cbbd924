//! Stand-in for the crate of test servers.
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

pub(super) struct Gateway {
    child: Mutex<Option<Child>>,
    folder: tempfile::TempDir,
    port: u16,
}

pub(super) fn s3() -> Option<Gateway> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("buckets/evidence")).unwrap();
    let gateway = Gateway {
        child: Mutex::new(None),
        folder,
        port,
    };
    gateway.restart();
    Some(gateway)
}

impl Gateway {
    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
    pub(super) fn bucket(&self) -> &'static str {
        "evidence"
    }
    pub(super) fn region(&self) -> &'static str {
        "us-east-1"
    }
    pub(super) fn access_key(&self) -> &'static str {
        "mirage"
    }
    pub(super) fn secret_key(&self) -> &'static str {
        "a-secret-of-tests"
    }
    pub(super) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
    pub(super) fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
    fn signal(&self, name: &str) {
        let pid = self
            .child
            .lock()
            .unwrap()
            .as_ref()
            .unwrap()
            .id()
            .to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }
    pub(super) fn stop(&self) {
        self.signal("-STOP");
    }
    pub(super) fn cont(&self) {
        self.signal("-CONT");
    }
    pub(super) fn restart(&self) {
        self.kill();
        let program = PathBuf::from(std::env::var_os("HOME").unwrap())
            .join(".cache/mirage-servers/versitygw-1.8.0/versitygw");
        let child = Command::new(program)
            .args([
                "--port",
                &format!("127.0.0.1:{}", self.port),
                "--health",
                "/health",
                "--keep-alive",
                "--quiet",
                "posix",
                "buckets",
            ])
            .env("ROOT_ACCESS_KEY", "mirage")
            .env("ROOT_SECRET_KEY", "a-secret-of-tests")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.child.lock().unwrap() = Some(child);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
    }
}
