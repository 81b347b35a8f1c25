//! An event as the text that clients get.

use std::fmt::Write as _;

use crate::net::Frame;
use crate::store::{Event, Space};

/// What sockets of drafts listen to.
pub(super) static TOPICS: Space = Space {
    name: "drafts",
    log_field: "draft_id",
    encode: |event, numbered| Frame::text(&frame_text(event, numbered)),
};

/// An event as clients get it (contract 01 §2.4), with its seq for those who catch up.
pub(super) fn frame_text(event: &Event, numbered: bool) -> String {
    // All of the rest: names, punctuation, time and seq.
    const REST_BYTES: usize = 160;
    let Event { topic, seq, kind, data, request_id, at } = event;
    let mut out = String::with_capacity(REST_BYTES + topic.name().len() + request_id.len() + data.len());
    out.push_str("{\"type\":");
    string(&mut out, kind);
    out.push_str(",\"draft_id\":");
    string(&mut out, topic.name());
    // Writing to a String cannot fail.
    let _ = write!(out, ",\"ts\":\"{}\",\"request_id\":", at.offset_style());
    string(&mut out, request_id);
    if numbered {
        let _ = write!(out, ",\"seq\":{seq}");
    }
    out.push_str(",\"data\":");
    out.push_str(data);
    out.push('}');
    out
}

fn string(out: &mut String, text: &str) {
    // A text always serialises; the error type only has no way to say so.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::Topic;

    #[test]
    fn a_frame_is_the_contracts_to_the_letter() {
        let event = Event {
            topic: Topic::new(&TOPICS, "d1"),
            seq: 7,
            kind: "collab.ring_passed",
            data: r#"{"to_user_id":"bob"}"#.into(),
            request_id: "a\"b\\".into(),
            at: Timestamp(1_766_474_933_933_715),
        };
        let start = r#"{"type":"collab.ring_passed","draft_id":"d1","ts":"2025-12-23T07:28:53.933715+00:00","request_id":"a\"b\\""#;
        assert_eq!(frame_text(&event, false), format!("{start},\"data\":{{\"to_user_id\":\"bob\"}}}}"));
        assert_eq!(frame_text(&event, true), format!("{start},\"seq\":7,\"data\":{{\"to_user_id\":\"bob\"}}}}"));
    }
}
