//! Requests that are not what a method takes.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use futures::stream;
use mirage_api::grpc::methods;
use mirage_api::grpc::v1::{ListFindingsRequest, ListScansRequest, Moment, StartScanRequest};
use mirage_domain::role::Role;
use prost::Message;
use tokio::time::timeout;
use tonic::Code;
use tonic_types::StatusExt;

use super::bytes::first;
use super::{Wired, code};

const LIST: &str = "mirage.v1.ScanService/ListScans";
const START: &str = "mirage.v1.ScanService/StartScan";

#[tokio::test]
async fn a_field_that_is_not_known_is_refused_however_deep_it_lies() {
    let wired = Wired::new().await;
    let (key, head) = (wired.rig.key(0, Role::Owner), wired.rig.head().await);
    // Field 15, a varint.
    let unknown = [0x78, 1];
    for method in methods::ALL {
        let refused = first(&wired.channel, Some(&key), method.name, unknown.to_vec()).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{}", method.name);
        assert_eq!(code(&refused), "bad_body");
    }
    let inside = |number: u8, mut inner: Vec<u8>| {
        inner.extend(unknown);
        let mut message = vec![number << 3 | 2, u8::try_from(inner.len()).unwrap()];
        message.append(&mut inner);
        message
    };
    // In the moment, in the time within it, and in an entry of the settings.
    let time = inside(2, vec![0x08, 1]);
    for (method, message) in [
        (LIST, inside(3, Vec::new())),
        (LIST, inside(3, time)),
        (START, inside(11, b"\x0a\x01a\x12\x01b".to_vec())),
    ] {
        let refused = first(&wired.channel, Some(&key), method, message).await;
        let refused = refused.unwrap_err();
        assert_eq!(code(&refused), "bad_body", "{refused:?}");
        assert!(refused.message().contains("has no field 15"), "{refused:?}");
    }
    assert_eq!(wired.rig.head().await, head);
}

#[tokio::test]
async fn what_is_no_message_is_an_invalid_argument() {
    let wired = Wired::new().await;
    let key = wired.rig.key(0, Role::Owner);
    for wrong in [
        // Cut within a key, a length, a value; a wrong wire type; a group; text that is no UTF-8; field 0; a long varint.
        &b"\x80"[..],
        b"\x12",
        b"\x12\x05ab",
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0a\x01a",
        b"\x0b\x0c",
        b"\x12\x02\xc3\x28",
        b"\x00\x00",
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    ] {
        let refused = first(&wired.channel, Some(&key), LIST, wrong.to_vec()).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::InvalidArgument,
            "{wrong:?}: {refused:?}"
        );
        assert_eq!(code(&refused), "bad_body", "{wrong:?}");
    }
    let asked = ListScansRequest {
        page_size: 1,
        moment: Some(Moment::default()),
        ..ListScansRequest::default()
    };
    let good = first(&wired.channel, Some(&key), LIST, asked.encode_to_vec()).await;
    assert!(!good.unwrap().is_empty());
}

#[tokio::test]
async fn a_message_of_more_than_a_mebibyte_is_refused() {
    let wired = Wired::new().await;
    let (key, head) = (wired.rig.key(0, Role::Owner), wired.rig.head().await);
    let sized = |bytes: usize| {
        let mut asked = StartScanRequest {
            seeds: vec!["\u{1}".to_owned()],
            name: String::new(),
            ..StartScanRequest::default()
        };
        asked.name = "x".repeat(bytes - asked.encoded_len() - 4);
        asked.encode_to_vec()
    };
    let most = 1024 * 1024;
    let (fits, large) = (sized(most), sized(most + 1));
    assert_eq!((fits.len(), large.len()), (most, most + 1));
    let refused = first(&wired.channel, Some(&key), START, fits).await;
    assert_eq!(code(&refused.unwrap_err()), "bad_seed");
    for large in [large, sized(8 * most)] {
        let refused = first(&wired.channel, Some(&key), START, large).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        assert_eq!(code(&refused), "body_too_large");
    }
    assert_eq!(wired.rig.head().await, head);
}

#[tokio::test]
async fn a_call_past_its_deadline_is_told_so() {
    let wired = Wired::new().await;
    let rig = &wired.rig;
    let mut request = call(&wired, &[]);
    // It never ends.
    *request.body_mut() = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let most = "30m".parse().unwrap();
    request.headers_mut().insert("grpc-timeout", most);
    // Sooner than any answer is given up.
    let answered = timeout(Duration::from_secs(15), rig.send(request)).await;
    assert_eq!(answered.unwrap().headers["grpc-status"], "4");
    let mut request = call(&wired, &[0, 0, 0, 0, 0]);
    let most = "20S".parse().unwrap();
    request.headers_mut().insert("grpc-timeout", most);
    let answered = rig.send(request).await;
    assert!(!answered.headers.contains_key("grpc-status"));
    assert!(answered.body.len() > 5);
}

fn call(wired: &Wired, body: &'static [u8]) -> Request<Body> {
    Request::post(format!("/{LIST}"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(
            header::AUTHORIZATION,
            format!("Bearer {}", wired.rig.key(0, Role::Owner)),
        )
        .body(Body::from(body))
        .unwrap()
}

#[tokio::test]
async fn the_body_of_a_call_is_one_whole_message() {
    let wired = Wired::new().await;
    for wrong in [
        // Nothing, a cut prefix, a length that is not there, two messages, a compressed one.
        &b""[..],
        b"\0\0\0",
        b"\0\0\0\0\x05ab",
        b"\0\0\0\0\0\0\0\0\0\0",
        b"\x01\0\0\0\0",
    ] {
        let answered = wired.rig.send(call(&wired, wrong)).await;
        assert_eq!(answered.headers["grpc-status"], "3", "{wrong:?}");
        assert_eq!(answered.headers["code"], "bad_body", "{wrong:?}");
    }
}

#[tokio::test]
async fn whoever_does_not_speak_grpc_is_answered_in_http() {
    let wired = Wired::new().await;
    let rig = &wired.rig;
    let mut json = call(&wired, b"{}");
    let media = "application/json".parse().unwrap();
    json.headers_mut().insert(header::CONTENT_TYPE, media);
    let answered = rig.send(json).await;
    assert_eq!(answered.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(answered.code(), "unsupported_media");
    let mut get = call(&wired, b"");
    *get.method_mut() = axum::http::Method::GET;
    let answered = rig.send(get).await;
    assert_eq!(answered.code(), "method_not_allowed");
}

#[tokio::test]
async fn a_method_that_there_is_not_is_unimplemented() {
    let wired = Wired::new().await;
    let key = wired.rig.key(0, Role::Owner);
    for method in [
        "mirage.v1.ScanService/DropScans",
        "mirage.v2.ScanService/ListScans",
    ] {
        let refused = first(&wired.channel, Some(&key), method, Vec::new()).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unimplemented, "{method}");
    }
}

#[tokio::test]
async fn a_refusal_has_its_code_its_advice_and_its_trace() {
    let wired = Wired::new().await;
    let mut asked = wired.owner(ListFindingsRequest {
        scan: "scn_none".to_owned(),
        ..ListFindingsRequest::default()
    });
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let metadata = asked.metadata_mut();
    metadata.insert("traceparent", trace.parse().unwrap());
    asked.set_timeout(Duration::from_secs(20));
    let refused = wired.findings().list_findings(asked).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    assert_eq!(refused.metadata().get("trace-id").unwrap(), trace_id);
    let details = refused.get_error_details();
    assert_eq!(details.request_info().unwrap().request_id, trace_id);
    let info = details.error_info().unwrap();
    assert_eq!((&*info.reason, &*info.domain), ("NO_SUCH_SCAN", "mirage"));
    assert_eq!(info.metadata["code"], "no_such_scan");
    assert!(!info.metadata["hint"].is_empty());
}
