//! The decoder of the Yjs wire and what becomes of awareness frames never panic, whatever clients send, and keep no more than
//! their bounds.
//!
//! The input is a log of frames: a byte that says which of four sockets sends, or that it closes, or that time passes; a byte
//! for the length of what it sends; then that.
#![no_main]

use std::time::{Duration, Instant};

use inkring::rooms::awareness::{AWARENESS_LIVE_MAX_IDS, Awareness, Limits, Relay};
use inkring::rooms::message::{self, MESSAGES_PER_FRAME_MAX, Message, messages};
use libfuzzer_sys::fuzz_target;

/// The frame that says this again, if this server ever says it.
fn written(message: &Message<'_>) -> Option<Vec<u8>> {
    Some(match message {
        Message::Step1(vector) => message::step1(vector),
        Message::Step2(update) => message::step2(update),
        Message::Update(update) => message::update(update),
        Message::Awareness(payload) => message::awareness(payload),
        Message::Echo(opaque) => message::echo(opaque),
        Message::QueryAwareness | Message::Auth | Message::Unknown => return None,
    })
}

fuzz_target!(|bytes: &[u8]| {
    let (mut room, mut now) = (Awareness::new(Limits::default()), Instant::now());
    let (mut log, mut sockets) = (bytes, [0, 1, 2, 3]);
    while let [what, length, rest @ ..] = log {
        let place = usize::from(what & 3);
        let user = if place % 2 == 0 { "even" } else { "odd" };
        let (frame, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        log = rest;
        match what >> 6 {
            0 => {
                room.leave(sockets[place], now);
                sockets[place] += 4;
            }
            1 => {
                now += Duration::from_secs(u64::from(*length));
                let _ = room.sweep(now);
            }
            _ => {
                let mut count = 0;
                for message in messages(frame) {
                    count += 1;
                    let Ok(message) = message else { break };
                    if let Some(again) = written(&message) {
                        assert_eq!(messages(&again).collect::<Vec<_>>(), [Ok(message)]);
                    }
                    let Message::Awareness(payload) = message else { continue };
                    if let Ok(Some(Relay::Rewritten(fresh))) = room.receive(sockets[place], user, payload, now) {
                        assert!(fresh.len() <= payload.len());
                    }
                }
                assert!(count <= MESSAGES_PER_FRAME_MAX + 1);
            }
        }
        assert!(room.len() <= AWARENESS_LIVE_MAX_IDS);
    }
    for socket in sockets {
        room.leave(socket, now);
    }
    let _ = room.sweep(now + Duration::from_secs(30));
    assert!(room.is_empty() && room.all().is_none() && room.next_sweep().is_none());
});
