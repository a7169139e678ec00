//! The wire format in every split, and a stream that goes on where it broke.
#![expect(
    clippy::integer_division,
    clippy::string_slice,
    reason = "numbers and text of tests are small and known"
)]

use io_types::event::Event;
use serde_json::json;

use super::*;
use crate::node::Client;
use crate::test_server::{Answer, Server, dead_url};

const WIRE: &str = ": hello\r\n\r\nid: 1\r\nevent: e\r\ndata: {\"a\":1}\r\n\r\nid:2\ndata:x\ndata: y\nunknown: z\n\n\
                    retry: 5\r\rdata\r\rid: 9\ndata: last";

fn frame(id: &str, kind: &str, data: &str) -> SseFrame {
    SseFrame {
        kind: kind.to_owned(),
        id: id.to_owned(),
        data: data.to_owned(),
    }
}

#[test]
fn frames_come_out_the_same_however_they_are_split() {
    let expected = [
        frame("1", "e", "{\"a\":1}"),
        frame("2", "", "x\ny"),
        frame("", "", ""),
    ];
    let bytes = WIRE.as_bytes();
    for first in 0..=bytes.len() {
        for second in [first, first.midpoint(bytes.len()), bytes.len()] {
            let mut parser = SseParser::default();
            let mut frames = parser.feed(&bytes[..first]).unwrap();
            frames.extend(parser.feed(&bytes[first..second]).unwrap());
            frames.extend(parser.feed(&bytes[second..]).unwrap());
            assert_eq!(frames, expected, "split at {first} and {second}");
        }
    }
}

#[test]
fn what_is_no_event_stream_is_refused() {
    let mut parser = SseParser::default();
    assert!(
        parser
            .feed(b"data: \xff\n")
            .unwrap_err()
            .contains("not UTF-8")
    );
    let mut parser = SseParser::default();
    let long = vec![b'x'; FRAME_BYTES_MAX + 1];
    assert!(parser.feed(&long).unwrap_err().contains("a line has more"));
    let mut parser = SseParser::default();
    let line = [b"data: ".as_slice(), &long[..FRAME_BYTES_MAX / 2], b"\n"].concat();
    parser.feed(&line).unwrap();
    parser.feed(&line[..9]).unwrap();
    assert!(
        parser
            .feed(&line[..])
            .unwrap_err()
            .contains("an event has more")
    );
}

fn event(id: u64) -> String {
    let view = json!({
        "id": id, "height": id >> 20, "chain_time": 0, "transaction": null,
        "event": {"kind": "order_expired", "order": id}
    });
    format!("id: {id}\ndata: {view}\n\n")
}

#[tokio::test]
async fn a_broken_stream_goes_on_after_the_last_event_and_repeats_none() {
    let mut connections = 0;
    let server = Server::start(move |_| {
        connections += 1;
        match connections {
            // The second event breaks off in the middle.
            1 => Answer::Stream(vec![
                ": alive\n\n".to_owned(),
                event(5),
                event(6)[..20].to_owned(),
            ]),
            2 => Answer::Nothing,
            // A node that counts from the id itself sends it again.
            _ => Answer::Stream(vec![event(5), event(6), event(7)]),
        }
    })
    .await;
    let mut stream = Client::new(&server.url).unwrap().events(Some(0));
    let mut ids = Vec::new();
    for _ in 0..3 {
        let view = stream.next().await.unwrap();
        assert_eq!(
            view.event,
            Event::OrderExpired {
                order: io_types::OrderId(view.id)
            }
        );
        ids.push(view.id);
    }
    assert_eq!(ids, [5, 6, 7]);
    assert_eq!(stream.last_id(), Some(7));
    let lines: Vec<String> = server
        .requests()
        .into_iter()
        .map(|request| request.line)
        .collect();
    assert_eq!(
        lines,
        [
            "GET /v1/events?from=0",
            "GET /v1/events?from=5",
            "GET /v1/events?from=5"
        ]
    );
}

#[tokio::test]
async fn a_refusal_ends_the_stream_and_an_outage_does_not() {
    let body = json!({"code": 0, "error": "events before 900 are pruned"});
    let server = Server::start(move |_| Answer::Json(410, body.clone())).await;
    let mut stream = Client::new(&server.url).unwrap().events(Some(3));
    let error = stream.next().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Refused { status: 410, text, .. } if text.contains("pruned"))
    );

    let mut stream = Client::new(&dead_url().await).unwrap().events(None);
    assert!(matches!(
        stream.connect().await,
        Err(ClientError::Unreachable { .. })
    ));
    let waits = tokio::time::timeout(Duration::from_millis(600), stream.next()).await;
    assert!(waits.is_err(), "it goes on trying");
}

#[tokio::test]
async fn data_that_is_no_event_is_a_bad_answer() {
    let server = Server::start(|_| Answer::Stream(vec!["data: {\"id\":1}\n\n".to_owned()])).await;
    let mut stream = Client::new(&server.url).unwrap().events(None);
    let error = stream.next().await.unwrap_err();
    assert!(matches!(error, ClientError::BadAnswer { why, .. } if why.contains("height")));
}
