//! Ports for servers that must know them before they start, and keep them when they start again.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::Failure;

/// Below the range from which systems take the ports of outgoing connections: there a client that reconnects to a
/// killed server could be handed the server's own port, and meet itself.
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;
/// Somebody else may bind a port between our look and the server's.
const TRIES: usize = 5;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Starts something on `count` free ports, and again on others if one was taken meanwhile.
pub(crate) fn with<T>(count: usize, start: impl Fn(&[u16]) -> Result<T, Failure>) -> T {
    for attempt in 1.. {
        let ports: Vec<u16> = (0..count).map(|_| free()).collect();
        match start(&ports) {
            Ok(started) => return started,
            Err(failure) if failure.is_taken_port() && attempt < TRIES => {}
            Err(failure) => panic!("{failure}"),
        }
    }
    unreachable!("the last attempt returns or panics")
}

fn free() -> u16 {
    // Processes begin apart, and each goes on from where it was.
    let begin = std::process::id().wrapping_mul(97);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + begin.wrapping_add(step) % COUNT;
        let port = u16::try_from(port).expect("the range ends below 65 536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free between {FIRST} and {}", FIRST + COUNT);
}
