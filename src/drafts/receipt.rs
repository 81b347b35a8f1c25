//! The short answer to a change, for clients that know the draft: what was done, as which version, and its hashes. It is asked for
//! with `Prefer: return=minimal` (RFC 7240), and a replay is answered with that of the change itself.

use std::io::Write as _;

use http::{HeaderName, HeaderValue, StatusCode};

use super::chain::{Link, hex};
use super::version;
use crate::net::Response;
use crate::net::http1::Headers;

const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const MINIMAL: HeaderValue = HeaderValue::from_static("return=minimal");

/// What is certified of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    /// The draft's version with it.
    pub(super) version: i64,
    /// The segment, where it appended one.
    pub(super) link: Option<Link>,
}

/// What came of a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// It was made, and this is its receipt if one is wanted.
    Now(Option<Receipt>),
    /// It had been made before: the request is a replay.
    Before(Option<Receipt>),
    /// It was not: so many segments of an older program lack their hashes that the first of them got theirs instead.
    NotYet,
}

impl From<bool> for Made {
    /// Whether it is a replay.
    fn from(replayed: bool) -> Self {
        if replayed { Self::Before(None) } else { Self::Now(None) }
    }
}

impl Receipt {
    /// As an answer about this draft. A pass has no segment, and nulls for it.
    pub(super) fn response(&self, draft_id: &str) -> Response {
        let mut body = Vec::with_capacity(384);
        body.extend_from_slice(br#"{"data":{"draft_id":"#);
        // Neither a text nor a Vec can fail.
        let _ = serde_json::to_writer(&mut body, draft_id);
        let version = self.version;
        match &self.link {
            Some(Link { order, segment_id, content, chain }) => {
                body.extend_from_slice(br#","segment_id":"#);
                let _ = serde_json::to_writer(&mut body, segment_id);
                let _ = write!(body, r#","segment_order":{order},"version":{version},"content_sha256":""#);
                body.extend_from_slice(&hex(content));
                body.extend_from_slice(br#"","chain_sha256":""#);
                body.extend_from_slice(&hex(chain));
                body.extend_from_slice(b"\"}}");
            }
            None => {
                let rest = r#""content_sha256":null,"chain_sha256":null}}"#;
                let _ = write!(body, r#","segment_id":null,"segment_order":null,"version":{version},{rest}"#);
            }
        }
        let response = Response::json(StatusCode::OK, body).with(APPLIED, MINIMAL);
        version::tagged(response, version)
    }
}

/// Whether the sender prefers a receipt: the first preference called `return` counts.
pub(super) fn is_preferred(headers: &Headers<'_>) -> bool {
    headers.items("prefer").find_map(returned).unwrap_or(false)
}

/// Whether a preference asks for little to be returned, if it is about that.
fn returned(preference: &[u8]) -> Option<bool> {
    // Parameters follow a semicolon; `return` has none that we know.
    let preference = preference.split(|byte| *byte == b';').next().unwrap_or_default();
    let mut parts = preference.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
    let is_return = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"return"));
    let value = parts.next().unwrap_or_default();
    let value = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    is_return.then(|| value.eq_ignore_ascii_case(b"minimal"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::net::Body;

    fn told(receipt: &Receipt) -> Value {
        let Body::Bytes(body) = receipt.response("d\"1").body else { panic!("it is held") };
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_receipt_has_the_same_members_whatever_it_is_of() {
        let link = Link { order: 2, segment_id: "s".to_owned(), content: [0xab; 32], chain: [1; 32] };
        let appended = told(&Receipt { version: 7, link: Some(link) });
        let (content, chain) = ("ab".repeat(32), "01".repeat(32));
        let data = json!({ "draft_id": "d\"1", "segment_id": "s", "segment_order": 2, "version": 7,
                           "content_sha256": content, "chain_sha256": chain });
        assert_eq!(appended, json!({ "data": data }));
        let passed = told(&Receipt { version: 8, link: None });
        let data = json!({ "draft_id": "d\"1", "segment_id": null, "segment_order": null, "version": 8,
                           "content_sha256": null, "chain_sha256": null });
        assert_eq!(passed, json!({ "data": data }));
    }

    #[test]
    fn the_first_preference_about_the_answer_counts() {
        for (preference, expected) in [
            ("return=minimal", Some(true)),
            ("Return = Minimal", Some(true)),
            ("return=\"minimal\"; foo=bar", Some(true)),
            ("return=representation", Some(false)),
            ("return", Some(false)),
            ("returns=minimal", None),
            ("respond-async", None),
            ("", None),
        ] {
            assert_eq!(returned(preference.as_bytes()), expected, "{preference}");
        }
    }
}
