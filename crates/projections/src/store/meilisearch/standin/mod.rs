//! A stand-in for Meilisearch: what is used of it, on real sockets, with a script of faults.
//!
//! A task is looked at twice before it is done, and only then its work can be seen: who does not wait reads old data.
//! It refuses what the server refuses (a filter or an order that the settings do not allow, a wrong key), and knows
//! nothing of ranking.

pub(super) mod filter;
mod routes;
mod state;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;
pub(super) use state::State;

pub(super) const KEY: &str = "a-key-of-tests";

/// What happens instead of an answer, or after the work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// This status and code, in the server's form.
    Status(u16, &'static str),
    /// What something between answers for a server that is down.
    Html,
    /// The connection is closed without an answer.
    Reset,
    /// The connection ends within the answer.
    Half,
    /// Nothing comes, for as long as the other side waits.
    Silence,
    /// The work is done, and the answer lost.
    Unheard,
    /// A page lacks its last document.
    Fewer,
    /// The task that is handed in fails so.
    TaskFails(&'static str, &'static str),
    TaskCanceled,
    TaskEndless,
}

pub(super) struct Standin {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    streams: Mutex<Vec<TcpStream>>,
}

impl Standin {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            streams: Mutex::default(),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.state.lock().unwrap().is_over {
                    return;
                }
                serving
                    .streams
                    .lock()
                    .unwrap()
                    .push(stream.try_clone().unwrap());
                let shared = serving.clone();
                std::thread::spawn(move || serve(&shared, stream));
            }
        });
        Self { address, shared }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// The next requests that begin so (`POST /indexes/x`) meet these, one each.
    pub(super) fn script(&self, begin: &str, faults: &[Fault]) {
        let script = faults.iter().map(|fault| (begin.to_owned(), *fault));
        self.state().script.extend(script);
    }

    /// Breaks every connection, as a server that is killed does.
    pub(super) fn cut(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.state().is_over = true;
        self.cut();
        // Wakes the one that waits for connections.
        let _ = TcpStream::connect(self.address);
    }
}

pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) key: Option<String>,
    pub(super) is_lines: bool,
    pub(super) body: Vec<u8>,
}

fn serve(shared: &Shared, stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(request) = read(&mut reader) {
        let fault = shared.state.lock().unwrap().fault(&request);
        let (status, body) = match fault {
            Some(Fault::Reset) => break,
            Some(Fault::Silence) => {
                // Until the other side has had enough.
                let _ = reader.read(&mut [0; 1]);
                break;
            }
            Some(Fault::Status(status, code)) => (status, problem(code)),
            Some(Fault::Html) => {
                respond(&mut stream, 502, "<html>bad gateway</html>", None);
                continue;
            }
            fault => {
                let (status, mut body) = shared.state.lock().unwrap().answer(&request, fault);
                if let (Some(Fault::Fewer), Some(results)) = (fault, body["results"].as_array_mut())
                {
                    results.pop();
                }
                if matches!(fault, Some(Fault::Unheard)) {
                    break;
                }
                (status, body)
            }
        };
        let cut = matches!(fault, Some(Fault::Half)).then_some(5);
        respond(&mut stream, status, &body.to_string(), cut);
        if cut.is_some() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut parts = line.split(' ');
    let (method, path) = (parts.next()?.to_owned(), parts.next()?.to_owned());
    let mut request = Request {
        method,
        path,
        key: None,
        is_lines: false,
        body: Vec::new(),
    };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => request.key = value.strip_prefix("Bearer ").map(str::to_owned),
            "content-type" => request.is_lines = value == "application/x-ndjson",
            _ => {}
        }
    }
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn respond(stream: &mut TcpStream, status: u16, body: &str, cut: Option<usize>) {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let sent = cut.map_or(body.len(), |cut| cut.min(body.len()));
    let _ = stream.write_all(
        [head.as_bytes(), &body.as_bytes()[..sent]]
            .concat()
            .as_slice(),
    );
}

pub(super) fn problem(code: &str) -> serde_json::Value {
    json!({ "message": "what was sent", "code": code, "type": "invalid_request", "link": "" })
}
