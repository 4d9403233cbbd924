//! DNS over our own multiplexed UDP sockets, and over TCP where an answer is too large.
//!
//! A query leaves through a random socket of a pool with a random id and its letters in random case; one task per
//! socket receives for all who wait. So forging an answer takes guessing port, id and case.
//!
//! **Invariant:** a datagram counts only if source address, id and question are those of a query in flight.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::entropy::Entropy;
use crate::probe::question::{self, Question};

/// Sockets per address family.
const SOCKETS: usize = 16;
/// Queries in flight over all scans; spread over the sockets, far below what would overflow a receive buffer.
const IN_FLIGHT_MAX: usize = 1024;
/// Wanted for a socket's receive buffer.
const RECEIVE_BYTES: usize = 1024 * 1024;
/// Draws of an id before a socket counts as full.
const DRAWS_MAX: usize = 16;

/// Why a query brought no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// Nothing came in time; `case_differs`: something did, but with other letters.
    Silent {
        case_differs: bool,
    },
    Failed(String),
}

impl From<std::io::Error> for Lost {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The pool, one per process.
pub(super) struct Sockets {
    four: Vec<Arc<Socket>>,
    six: Vec<Arc<Socket>>,
    slots: Semaphore,
    entropy: Entropy,
    /// Aborts its tasks when it is dropped.
    _receivers: JoinSet<()>,
}

struct Socket {
    udp: UdpSocket,
    waiting: Mutex<HashMap<u16, Waiting>>,
}

struct Waiting {
    server: SocketAddr,
    question: Question,
    /// Whether an answer came whose letters have another case.
    case_differs: bool,
    /// Taken by the answer. The id stays occupied until the asker leaves, so that no other can be given it before.
    reply: Option<oneshot::Sender<Vec<u8>>>,
}

impl Sockets {
    pub(super) fn open() -> std::io::Result<Self> {
        let mut receivers = JoinSet::new();
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for _ in 0..SOCKETS {
            four.push(Socket::open(
                (Ipv4Addr::UNSPECIFIED, 0).into(),
                &mut receivers,
            )?);
            // A machine may have no IPv6 at all.
            six.extend(Socket::open(
                (Ipv6Addr::UNSPECIFIED, 0).into(),
                &mut receivers,
            ));
        }
        Ok(Self {
            four,
            six,
            slots: Semaphore::new(IN_FLIGHT_MAX),
            entropy: Entropy::default(),
            _receivers: receivers,
        })
    }

    /// Sends one query over UDP and waits for its answer.
    pub(super) async fn ask(
        &self,
        server: SocketAddr,
        question: &Question,
        has_edns: bool,
        wait: Duration,
    ) -> Result<Vec<u8>, Lost> {
        let _slot = self.slots.acquire().await.expect("never closed");
        let pool = if server.is_ipv4() {
            &self.four
        } else {
            &self.six
        };
        let (mut place, query) = self.place(pool, server, question, has_edns)?;
        place.socket.udp.send_to(&query, server).await?;
        drop(query);
        match tokio::time::timeout(wait, &mut place.answer).await {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(_)) => Err(Lost::Failed("the receiver has ended".into())),
            Err(_) => Err(Lost::Silent {
                case_differs: place.case_differs(),
            }),
        }
    }

    /// Makes a query of the question, its id, socket and letters drawn at random, and a place where its answer is
    /// waited for.
    fn place<'a>(
        &self,
        pool: &'a [Arc<Socket>],
        server: SocketAddr,
        question: &Question,
        has_edns: bool,
    ) -> Result<(Place<'a>, Vec<u8>), Lost> {
        let asked = question.with_case(self.entropy.draw());
        for _ in 0..DRAWS_MAX {
            let [high, low, index] = self.entropy.draw();
            let index = usize::from(index) % pool.len().max(1);
            let socket = pool.get(index).ok_or_else(no_socket)?;
            let id = u16::from_be_bytes([high, low]);
            if let Entry::Vacant(vacant) = socket.waiting().entry(id) {
                let query = asked.query(id, has_edns);
                let (reply, answer) = oneshot::channel();
                vacant.insert(Waiting {
                    server,
                    question: asked,
                    case_differs: false,
                    reply: Some(reply),
                });
                return Ok((Place { socket, id, answer }, query));
            }
        }
        Err(no_socket())
    }

    /// Asks over a connection of its own; `question` is checked, its case is not, since nobody can inject here.
    pub(super) async fn ask_tcp(
        &self,
        server: SocketAddr,
        question: &Question,
        wait: Duration,
    ) -> Result<Vec<u8>, Lost> {
        let _slot = self.slots.acquire().await.expect("never closed");
        let exchange = async {
            let mut stream = TcpStream::connect(server).await?;
            let id = u16::from_be_bytes(self.entropy.draw());
            write_message(&mut stream, &question.query(id, true)).await?;
            let message = read_message(&mut stream).await?;
            let is_ours = question::id(&message) == Some(id);
            match is_ours && question.is_nearly_answered_by(&message) {
                true => Ok(message),
                false => Err(Lost::Failed("the answer is to another question".into())),
            }
        };
        match tokio::time::timeout(wait, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Lost::Silent {
                case_differs: false,
            }),
        }
    }
}

/// A socket with room for a burst: a default one holds some 300 datagrams, less than may be in flight.
fn bind(local: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = socket2::Socket::new(Domain::for_address(local), Type::DGRAM, None)?;
    // The kernel grants what it allows; with less, what is lost is asked again.
    let _ = socket.set_recv_buffer_size(RECEIVE_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    UdpSocket::from_std(socket.into())
}

fn no_socket() -> Lost {
    Lost::Failed("no socket of this address family has room".into())
}

/// Sends one message after its length (RFC 1035 §4.2.2).
pub(super) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
    let framed = [&length.to_be_bytes(), message].concat();
    stream.write_all(&framed).await
}

/// Reads one message; its length bounds it to 64 KiB.
pub(super) async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// A query's place among those that wait; leaving it gives the id back.
struct Place<'a> {
    socket: &'a Socket,
    id: u16,
    answer: oneshot::Receiver<Vec<u8>>,
}

impl Place<'_> {
    fn case_differs(&self) -> bool {
        let waiting = self.socket.waiting();
        waiting.get(&self.id).is_some_and(|own| own.case_differs)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.socket.waiting().remove(&self.id);
    }
}

impl Socket {
    fn open(local: SocketAddr, receivers: &mut JoinSet<()>) -> std::io::Result<Arc<Self>> {
        let socket = Arc::new(Self {
            udp: bind(local)?,
            waiting: Mutex::default(),
        });
        receivers.spawn(socket.clone().receive());
        Ok(socket)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<u16, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn receive(self: Arc<Self>) {
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            match self.udp.recv_from(&mut buffer).await {
                Ok((length, from)) => self.deliver(&buffer[..length], from),
                // Errors of single datagrams come and go; a lasting one must not spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn deliver(&self, message: &[u8], from: SocketAddr) {
        let Some(id) = question::id(message) else {
            return;
        };
        let mut all = self.waiting();
        let Some(waiting) = all.get_mut(&id).filter(|own| own.server == from) else {
            return;
        };
        if waiting.question.is_answered_by(message) {
            if let Some(reply) = waiting.reply.take() {
                // The asker may have given up meanwhile.
                let _ = reply.send(message.to_vec());
            }
        } else if waiting.question.is_nearly_answered_by(message) {
            waiting.case_differs = true;
        }
    }
}
