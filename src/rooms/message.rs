//! The binary messages of the Yjs wire (contract 03 §2.2). Pure: a frame in, its messages out, borrowed from it; what is said
//! here goes one message a frame.

use super::lib0::{Decoder, Malformed, put_buf, put_uint, uint_bytes};

/// The most messages that one frame may hold. A message may be one byte and ask for everyone's state, so a long frame
/// of them would be answered with a multiple of itself.
pub const MESSAGES_PER_FRAME_MAX: usize = 1024;

/// An awareness message of nobody. Stock clients leave a server that says nothing for 30 s, and take no ping for a word
/// (contract 03 §2.5).
pub const KEEP_ALIVE: &[u8] = &[1, 1, 0];

const SYNC: u64 = 0;
const AWARENESS: u64 = 1;
const AUTH: u64 = 2;
const QUERY_AWARENESS: u64 = 3;
const SYNC_STATUS: u64 = 102;

const STEP_1: u64 = 0;
const STEP_2: u64 = 1;
const UPDATE: u64 = 2;

const DENIED: u64 = 0;

/// One message. What it carries has not been looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// The state vector of the other side, which wants what it lacks.
    Step1(&'a [u8]),
    /// An update that answers a state vector.
    Step2(&'a [u8]),
    /// An update that has just been made.
    Update(&'a [u8]),
    /// States of clients: the number of entries, then the entries.
    Awareness(&'a [u8]),
    /// Asks for the state of everyone.
    QueryAwareness,
    /// That something was denied. Only servers say so.
    Auth,
    /// Type 102: opaque bytes, to be sent back once everything before them is kept.
    Echo(&'a [u8]),
    /// Of a kind that is not known here. How long it is is not known either, so it is the last of its frame.
    Unknown,
}

/// The messages of a frame. Stock clients send one; others send several, one after the other. Ends after an error, after
/// [`Message::Unknown`], and with [`Malformed::TooMany`] after [`MESSAGES_PER_FRAME_MAX`].
pub fn messages(frame: &[u8]) -> Messages<'_> {
    Messages { decoder: Some(Decoder::new(frame)), taken: 0 }
}

/// Made by [`messages`].
#[derive(Debug)]
pub struct Messages<'a> {
    /// None once nothing more can be read.
    decoder: Option<Decoder<'a>>,
    taken: usize,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let decoder = self.decoder.as_mut().filter(|decoder| !decoder.is_at_end())?;
        let message = if self.taken == MESSAGES_PER_FRAME_MAX {
            Err(Malformed::TooMany(MESSAGES_PER_FRAME_MAX))
        } else {
            message(decoder)
        };
        self.taken += 1;
        if matches!(message, Ok(Message::Unknown) | Err(_)) {
            self.decoder = None;
        }
        Some(message)
    }
}

fn message<'a>(decoder: &mut Decoder<'a>) -> Result<Message<'a>, Malformed> {
    Ok(match decoder.uint()? {
        SYNC => match decoder.uint()? {
            STEP_1 => Message::Step1(decoder.buf()?),
            STEP_2 => Message::Step2(decoder.buf()?),
            UPDATE => Message::Update(decoder.buf()?),
            _ => Message::Unknown,
        },
        AWARENESS => Message::Awareness(decoder.buf()?),
        AUTH => match decoder.uint()? {
            DENIED => {
                decoder.str()?;
                Message::Auth
            }
            _ => Message::Unknown,
        },
        QUERY_AWARENESS => Message::QueryAwareness,
        SYNC_STATUS => Message::Echo(decoder.buf()?),
        _ => Message::Unknown,
    })
}

/// The frame that asks for what this state vector lacks.
pub fn step1(vector: &[u8]) -> Vec<u8> {
    frame(&[SYNC, STEP_1], vector)
}

/// The frame that answers a state vector with an update.
pub fn step2(update: &[u8]) -> Vec<u8> {
    frame(&[SYNC, STEP_2], update)
}

/// The frame of an update that has just been made.
pub fn update(update: &[u8]) -> Vec<u8> {
    frame(&[SYNC, UPDATE], update)
}

/// The frame of states of clients.
pub fn awareness(payload: &[u8]) -> Vec<u8> {
    frame(&[AWARENESS], payload)
}

/// The frame that gives opaque bytes back.
pub fn echo(opaque: &[u8]) -> Vec<u8> {
    frame(&[SYNC_STATUS], opaque)
}

/// The frame that tells a client why it may not do what it did.
pub fn denied(reason: &str) -> Vec<u8> {
    frame(&[AUTH, DENIED], reason.as_bytes())
}

/// These numbers, each of one byte, and then bytes after their number.
fn frame(kind: &[u64], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(kind.len() + uint_bytes(body.len() as u64) + body.len());
    kind.iter().for_each(|&number| put_uint(&mut out, number));
    put_buf(&mut out, body);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(frame: &[u8]) -> Vec<Result<Message<'_>, Malformed>> {
        messages(frame).collect()
    }

    /// The reference vectors of contract 03 §2.2: what they are, and the bytes.
    const VECTORS: &[(Message<'_>, &[u8])] = &[
        (Message::Step1(&[0]), &[0, 0, 1, 0]),
        (Message::Step2(&[0, 0]), &[0, 1, 2, 0, 0]),
        (
            Message::Update(&[1, 1, 5, 0, 4, 1, 1, 0x74, 2, 0x48, 0x69, 0]),
            &[0, 2, 0x0c, 1, 1, 5, 0, 4, 1, 1, 0x74, 2, 0x48, 0x69, 0],
        ),
        (Message::Step1(&[1, 5, 2]), &[0, 0, 3, 1, 5, 2]),
        (Message::Update(&[0, 1, 5, 1, 0, 1]), &[0, 2, 6, 0, 1, 5, 1, 0, 1]),
        (Message::Awareness(b"\x01\x05\x01\x07{\"n\":1}"), b"\x01\x0b\x01\x05\x01\x07{\"n\":1}"),
        (Message::Awareness(b"\x01\x05\x02\x04null"), b"\x01\x08\x01\x05\x02\x04null"),
        (Message::Awareness(&[0]), KEEP_ALIVE),
        (Message::Auth, &[2, 0, 2, 0x6e, 0x6f]),
    ];

    /// As this server says it.
    fn said(message: Message<'_>) -> Vec<u8> {
        match message {
            Message::Step1(vector) => step1(vector),
            Message::Step2(bytes) => step2(bytes),
            Message::Update(bytes) => update(bytes),
            Message::Awareness(payload) => awareness(payload),
            Message::Echo(opaque) => echo(opaque),
            Message::Auth => denied("no"),
            Message::QueryAwareness => vec![3],
            Message::Unknown => vec![4],
        }
    }

    #[test]
    fn the_reference_vectors_are_read_and_written() {
        for &(message, bytes) in VECTORS {
            assert_eq!(all(bytes), [Ok(message)]);
            assert_eq!(said(message), bytes, "{message:?}");
        }
        assert_eq!(all(&[102, 2, 8, 9]), [Ok(Message::Echo(&[8, 9]))]);
        assert_eq!(all(&[3]), [Ok(Message::QueryAwareness)]);
        assert_eq!(all(&[]), []);
    }

    #[test]
    fn a_frame_may_hold_several_and_ends_with_what_is_not_known() {
        let whole: Vec<u8> = VECTORS.iter().flat_map(|(_, bytes)| *bytes).copied().collect();
        let known: Vec<_> = VECTORS.iter().map(|(message, _)| Ok(*message)).collect();
        assert_eq!(all(&whole), known);
        for unknown in [&[4, 3][..], &[0, 3, 3], &[2, 1, 3], &[101, 3]] {
            let frame = [&[3], unknown].concat();
            assert_eq!(all(&frame), [Ok(Message::QueryAwareness), Ok(Message::Unknown)], "{unknown:?}");
        }
    }

    #[test]
    fn what_is_cut_short_or_no_text_ends_the_frame() {
        for (frame, malformed) in [
            (&[0][..], Malformed::Short),
            (&[0, 0], Malformed::Short),
            (&[0, 2, 9, 1, 2], Malformed::Short),
            (&[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 3], Malformed::Short),
            (&[0xff; 9], Malformed::TooLarge),
            (&[2, 0, 1, 0xff, 3], Malformed::NotUtf8),
        ] {
            let frame = [&[3], frame].concat();
            assert_eq!(all(&frame), [Ok(Message::QueryAwareness), Err(malformed)], "{frame:?}");
        }
    }

    #[test]
    fn a_frame_holds_so_many_messages_and_not_one_more() {
        let many = vec![3; MESSAGES_PER_FRAME_MAX];
        assert_eq!(all(&many), vec![Ok(Message::QueryAwareness); MESSAGES_PER_FRAME_MAX]);
        let found = all(&[3; MESSAGES_PER_FRAME_MAX + 2]).pop();
        assert_eq!(found, Some(Err(Malformed::TooMany(MESSAGES_PER_FRAME_MAX))));
        assert_eq!(all(&[3; MESSAGES_PER_FRAME_MAX + 2]).len(), MESSAGES_PER_FRAME_MAX + 1);
    }

    proptest! {
        #[test]
        fn what_was_said_is_read_again_whatever_stands_before_it(bodies in prop::collection::vec((0..6u8, any::<Vec<u8>>()), 0..20)) {
            let meant: Vec<_> = bodies.iter().map(|(kind, body)| match kind {
                0 => Message::Step1(body),
                1 => Message::Step2(body),
                2 => Message::Update(body),
                3 => Message::Awareness(body),
                4 => Message::Echo(body),
                _ => Message::Auth,
            }).collect();
            let frame: Vec<u8> = meant.iter().flat_map(|message| said(*message)).collect();
            prop_assert_eq!(all(&frame), meant.into_iter().map(Ok).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_read_to_an_end(frame: Vec<u8>) {
            let found = all(&frame);
            prop_assert!(found.len() <= frame.len());
            let last = found.len().saturating_sub(1);
            prop_assert!(found[..last].iter().all(|message| !matches!(message, Err(_) | Ok(Message::Unknown))));
        }
    }
}
