//! WebSocket frames as the server sends them: encoded once, unmasked, shared by every socket they go to.

use std::sync::Arc;

/// The longest reason a close frame can carry, in bytes (RFC 6455 §5.5: 125 less the code).
pub(super) const CLOSE_REASON_MAX_BYTES: usize = 123;

const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;
const FINAL_CLOSE: u8 = 0x88;
const FINAL_PING: u8 = 0x89;

/// One encoded frame. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    bytes: Arc<[u8]>,
    is_passing: bool,
    may_gather: bool,
}

impl Frame {
    /// A whole text message.
    pub fn text(payload: &str) -> Self {
        Self::encode(FINAL_TEXT, payload.as_bytes())
    }

    /// A whole binary message.
    pub fn binary(payload: &[u8]) -> Self {
        Self::encode(FINAL_BINARY, payload)
    }

    /// A ping without a payload.
    pub fn ping() -> Self {
        Self::encode(FINAL_PING, &[])
    }

    /// A close with this code and reason; a reason over [`CLOSE_REASON_MAX_BYTES`] is cut at a character.
    pub fn close(code: u16, reason: &str) -> Self {
        let longest = reason.len().min(CLOSE_REASON_MAX_BYTES);
        let end = (0..=longest).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(&reason.as_bytes()[..end]);
        Self::encode(FINAL_CLOSE, &payload)
    }

    fn encode(first: u8, payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(payload.len() + 10);
        bytes.push(first);
        match payload.len() {
            short @ 0..126 => bytes.push(short as u8),
            medium @ 126..65_536 => {
                bytes.push(126);
                bytes.extend_from_slice(&(medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(127);
                bytes.extend_from_slice(&(long as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        Self { bytes: bytes.into(), is_passing: false, may_gather: false }
    }

    /// The same as one that a later one makes needless, such as where somebody's cursor is: who reads too slowly may not get it
    /// ([`Session::caught_up`](super::Session::caught_up)).
    #[must_use]
    pub fn passing(self) -> Self {
        Self { is_passing: true, ..self }
    }

    /// Whether it may be left out for who reads too slowly.
    pub(super) fn is_passing(&self) -> bool {
        self.is_passing
    }

    /// The same as one of a stream that people watch: sent to a socket that was written to a moment ago, it may wait some
    /// milliseconds (`GATHER`) for those that follow, so that they leave with one write.
    #[must_use]
    pub fn gathering(self) -> Self {
        Self { may_gather: true, ..self }
    }

    /// Whether it may wait for those that follow.
    pub(super) fn may_gather(&self) -> bool {
        self.may_gather
    }

    /// As on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_the_shortest_form() {
        let head = |length: usize| Frame::text(&"x".repeat(length)).as_bytes()[..10.min(length + 2)].to_vec();
        assert_eq!(head(3), [0x81, 3, b'x', b'x', b'x']);
        assert_eq!(Frame::binary(&[0, 0xff]).as_bytes(), [0x82, 2, 0, 0xff]);
        assert_eq!(head(125)[..2], [0x81, 125]);
        assert_eq!(head(126)[..4], [0x81, 126, 0, 126]);
        assert_eq!(head(65_535)[..4], [0x81, 126, 0xff, 0xff]);
        assert_eq!(head(65_536)[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_close_carries_code_and_reason_and_stays_a_control_frame() {
        assert_eq!(Frame::close(1008, "no").as_bytes(), [0x88, 4, 0x03, 0xf0, b'n', b'o']);
        let long = Frame::close(1011, &"é".repeat(200));
        assert_eq!(long.as_bytes()[1], 124, "122 bytes of whole characters and the code");
    }
}
