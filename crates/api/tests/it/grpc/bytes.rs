//! Calls by name with bytes of one's own making, as no generated client would send them.

use axum::body::Bytes;
use prost::bytes::{Buf, BufMut};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::call;

/// Messages as they are on the wire.
#[derive(Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// The first message that a method answers; `key` is none for a call without a credential.
pub(super) async fn first(
    channel: &Channel,
    key: Option<&str>,
    method: &str,
    message: impl Into<Bytes>,
) -> Result<Bytes, Status> {
    let path: PathAndQuery = format!("/{method}").parse().unwrap();
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let request = match key {
        Some(key) => call(key, message.into()),
        None => Request::new(message.into()),
    };
    let answered = client.server_streaming(request, path, Plain).await?;
    let first = answered.into_inner().message().await?;
    Ok(first.expect("a message or a status"))
}
