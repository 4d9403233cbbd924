//! Zone transfers: AXFR over TCP from one server (RFC 5936), capped.

use std::net::SocketAddr;

use hickory_proto::rr::RecordType;
use tokio::net::TcpStream;

use super::TaskProbe;
use super::connect::{Door, Target};
use super::dns::{read_message, write_message};
use crate::collectors::CollectError;
use crate::probe::exchange::{Exchange, Frame};
use crate::probe::question::{self, Question};
use crate::probe::replay::name_of;
use crate::probe::{Transfer, answer};

const MESSAGES_MAX: usize = 10_000;
const BYTES_MAX: usize = 16 * 1024 * 1024;

impl TaskProbe {
    pub(super) async fn axfr(
        &self,
        zone: &str,
        server: SocketAddr,
    ) -> Result<Transfer, CollectError> {
        let zone = name_of(zone);
        let question = Question::new(&zone, RecordType::AXFR)?;
        let target = Target::At(server);
        let _places = self.enter(&target, Door::Web).await?;
        let timeouts = &self.scan.policy.timeouts;
        let mut stream = self.open(&target, timeouts.connect).await?;
        let id = u16::from_be_bytes(self.scan.live.entropy.draw());
        let mut payload = Vec::new();
        let messages = async {
            write_message(&mut stream, &question.query(id, false)).await?;
            let wait = timeouts.between_chunks;
            collect(&mut stream, id, wait, &mut payload).await
        };
        let outcome = match tokio::time::timeout(timeouts.total, messages).await {
            Ok(outcome) => outcome,
            Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
        };
        self.received(payload.len());
        // What came before a failure is kept, and shows as cut.
        if let (true, Err(error)) = (payload.is_empty(), outcome) {
            return Err(CollectError::Unavailable(format!(
                "AXFR from {server}: {error}"
            )));
        }
        let frame = Frame::Dns {
            name: zone,
            kind: RecordType::AXFR.to_string(),
            server: Some(server.to_string()),
            transport: "tcp".into(),
        };
        let exchange = Exchange { frame, payload };
        let evidence = self.keep(&exchange).await?;
        answer::transfer(&exchange.payload, evidence)
    }
}

/// Reads messages until the zone is whole, declined, broken or over a cap.
async fn collect(
    stream: &mut TcpStream,
    id: u16,
    wait: std::time::Duration,
    payload: &mut Vec<u8>,
) -> std::io::Result<()> {
    let (mut records, mut soas) = (0, 0);
    for _ in 0..MESSAGES_MAX {
        let message = tokio::time::timeout(wait, read_message(stream)).await??;
        if question::id(&message) != Some(id) {
            return Err(std::io::Error::other("a message with another id"));
        }
        let length = u16::try_from(message.len()).expect("its length was 2 bytes");
        payload.extend_from_slice(&length.to_be_bytes());
        payload.extend_from_slice(&message);
        let Ok(counted) = answer::counted(&message) else {
            return Ok(());
        };
        records += counted.records;
        soas += counted.soas;
        let is_over = records > answer::TRANSFER_RECORDS_MAX || payload.len() > BYTES_MAX;
        if counted.is_declined || soas >= 2 || is_over {
            return Ok(());
        }
    }
    Ok(())
}
