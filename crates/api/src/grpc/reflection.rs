//! Server reflection, v1 and v1alpha: the descriptions, which anybody may read, as the one of REST.
//!
//! **Invariant:** no conversation goes on for longer than an answer may take, nor past the gateway's stop.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use futures::StreamExt;
use futures::future::select;
use tokio::time::sleep;
use tonic_reflection::server::Builder;

use super::{DESCRIPTORS, with};
use crate::gateway::Gateway;
use crate::router::ANSWER_MAX;

/// Largest question, in bytes: the name of a symbol or a file.
const QUESTION_BYTES_MAX: usize = 16 * 1024;

pub(super) fn routes(gateway: &Arc<Gateway>) -> Router {
    let described = || {
        Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let sound = "the descriptions are compiled together";
    let v1 = described().build_v1().expect(sound);
    let v1alpha = described().build_v1alpha().expect(sound);
    let v1 = v1.max_decoding_message_size(QUESTION_BYTES_MAX);
    let v1alpha = v1alpha.max_decoding_message_size(QUESTION_BYTES_MAX);
    with(with(Router::new(), v1), v1alpha)
        .route_layer(from_fn_with_state(gateway.clone(), not_for_ever))
}

/// Ends the questions, and with them the answers.
async fn not_for_ever(
    State(gateway): State<Arc<Gateway>>,
    request: Request,
    next: Next,
) -> Response {
    let end = select(
        Box::pin(sleep(ANSWER_MAX)),
        Box::pin(gateway.live.stopped()),
    );
    let (parts, questions) = request.into_parts();
    let questions = questions.into_data_stream().take_until(end);
    let request = Request::from_parts(parts, Body::from_stream(questions));
    next.run(request).await
}
