//! The program tells how to reach its world, and ends when its standard input does.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

#[test]
fn a_world_in_a_process_of_its_own_serves_until_its_input_closes() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mirage-world"))
        .args(["--hosts", "3", "--seed", "7", "--hostile"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(program.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["domain"], "mirage-corp.example");
    for key in ["ports", "crtsh_url", "rdap_url", "whois_server", "canary"] {
        assert!(!told[key].is_null(), "{line}");
    }
    let files = ["ca_file", "routes_file", "places_file"].map(|key| told[key].as_str().unwrap());
    for file in files {
        assert!(std::fs::exists(file).unwrap(), "{file}");
    }
    let resolver: SocketAddr = told["resolver"].as_str().unwrap().parse().unwrap();
    TcpStream::connect(resolver).unwrap();
    drop(program.stdin.take());
    assert!(program.wait().unwrap().success());
    TcpStream::connect(resolver).unwrap_err();
    for file in files {
        assert!(!std::fs::exists(file).unwrap(), "{file}");
    }
}
