//! The frames that come from a client, as far as their bounds need them: where each ends, and how much of a message is here.
//!
//! The protocol machine reads as much as it has room for and says nothing before a message is whole. So it is given the bytes
//! of one frame at a time, and what it keeps of a message can be counted and given a time. What the bytes mean, and whether
//! they are right, is its business.

use std::time::{Duration, Instant};

/// The longest head of a frame (RFC 6455 §5.2): two bytes, a length of eight and a mask of four.
const HEAD_MAX_BYTES: usize = 14;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const PONG: u8 = 0xa;

/// What has come of the frames of one client.
#[derive(Debug)]
pub(super) struct Frames {
    head: [u8; HEAD_MAX_BYTES],
    head_bytes: usize,
    /// Bytes still to come of the payload, once the head is whole.
    left: u64,
    /// Bytes of the message that is not whole.
    message_bytes: usize,
    /// When it began.
    began: Option<Instant>,
    /// The second that runs, and how many frames have come in it that ended no message.
    second: Instant,
    fruitless: usize,
}

impl Frames {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            head: [0; HEAD_MAX_BYTES],
            head_bytes: 0,
            left: 0,
            message_bytes: 0,
            began: None,
            second: now,
            fruitless: 0,
        }
    }

    /// How many bytes at the front of `bytes`, which has some, to hand on before it is asked again: none of the next frame.
    pub(super) fn take(&mut self, bytes: &[u8], now: Instant) -> usize {
        let mut taken = 0;
        while taken < bytes.len() && !self.has_head() {
            self.head[self.head_bytes] = bytes[taken];
            self.head_bytes += 1;
            taken += 1;
            if self.has_head() {
                self.left = self.length();
            }
        }
        let payload = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - taken);
        // Both fit: it is a part of what there is.
        self.left -= payload as u64;
        taken += payload;
        if !self.is_control() {
            self.message_bytes += taken;
            self.began.get_or_insert(now);
        }
        if self.has_head() && self.left == 0 {
            self.end_frame(now);
        }
        taken
    }

    fn end_frame(&mut self, now: Instant) {
        let (is_final, is_pong) = (self.head[0] & FINAL != 0, self.head[0] & OPCODE == PONG);
        self.head_bytes = 0;
        if is_final && !is_pong {
            return;
        }
        if now.saturating_duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.fruitless = 0;
        }
        self.fruitless += 1;
    }

    /// A message is whole, of so many bytes with the heads of its frames.
    pub(super) fn end_message(&mut self) -> usize {
        self.began = None;
        std::mem::take(&mut self.message_bytes)
    }

    /// The memory that an unfinished message takes, in bytes: the machine keeps a frame, and a copy of the frames before it.
    pub(super) fn cost(&self) -> usize {
        2 * self.message_bytes
    }

    /// When the message began that is not whole, if there is one.
    pub(super) fn began(&self) -> Option<Instant> {
        self.began
    }

    /// Frames that ended no message, pongs among them, within this second.
    pub(super) fn fruitless(&self) -> usize {
        self.fruitless
    }

    /// Opcodes from 8 on are of control frames, which may stand between those of a message.
    fn is_control(&self) -> bool {
        self.head[0] & 0x8 != 0
    }

    fn has_head(&self) -> bool {
        self.head_bytes >= 2 && self.head_bytes >= self.head_end()
    }

    /// Where the head ends, by its second byte.
    fn head_end(&self) -> usize {
        let length = match self.head[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.head[1] & MASKED == 0 { 0 } else { 4 }
    }

    fn length(&self) -> u64 {
        let [_, short, a, b, c, d, e, f, g, h, ..] = self.head;
        match short & !MASKED {
            126 => u64::from(u16::from_be_bytes([a, b])),
            127 => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            short => u64::from(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    /// What `bytes` are handed on as, each time.
    fn taken(frames: &mut Frames, mut bytes: &[u8], now: Instant) -> Vec<usize> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let taken = frames.take(bytes, now);
            all.push(taken);
            bytes = &bytes[taken..];
        }
        all
    }

    #[test]
    fn each_frame_is_handed_on_by_itself_however_long_its_length_is_written() {
        let now = Clock::system().instant();
        let short = [&[0x81, 0x83, 0, 0, 0, 0][..], b"abc"].concat();
        let medium = [&[0x82, 0xfe, 1, 0, 0, 0, 0, 0][..], &[7; 256]].concat();
        let long = [&[0x02, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0][..], &vec![7; 65_536]].concat();
        let all = [short, medium, long, vec![0x80, 0x00]].concat();
        assert_eq!(taken(&mut Frames::new(now), &all, now), [9, 264, 65_546, 2]);
        let mut frames = Frames::new(now);
        for byte in &all {
            assert_eq!(frames.take(&[*byte], now), 1);
        }
        assert_eq!((frames.head_bytes, frames.left), (0, 0));
    }

    #[test]
    fn a_message_counts_from_its_first_byte_to_its_end_and_what_comes_between_does_not() {
        let now = Clock::system().instant();
        let mut frames = Frames::new(now);
        taken(&mut frames, &[0x01, 0x82, 0, 0, 0, 0, b'a', b'b', 0x89, 0x81, 0, 0, 0, 0, b'!', 0x80], now);
        assert_eq!((frames.cost(), frames.began()), (18, Some(now)));
        taken(&mut frames, &[0x80, 0, 0, 0, 0], now + Duration::from_secs(3));
        assert_eq!((frames.began(), frames.end_message(), frames.cost()), (Some(now), 14, 0));
        assert_eq!(frames.began(), None);
    }

    #[test]
    fn frames_that_end_no_message_are_counted_by_the_second() {
        let now = Clock::system().instant();
        let mut frames = Frames::new(now);
        // A beginning, a continuation, a pong; then an end and a ping, which are counted as what they are.
        taken(&mut frames, &[0x01, 0, 0x00, 0, 0x8a, 0, 0x80, 0, 0x89, 0], now);
        assert_eq!(frames.fruitless(), 3);
        taken(&mut frames, &[0x8a, 0], now + Duration::from_secs(1));
        assert_eq!(frames.fruitless(), 1);
    }
}
