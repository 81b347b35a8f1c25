//! What `inkring smoke` tries of rooms: a stock client's first words, and the answers. Nothing is written, so the room is gone when
//! nobody is in it any more.

use crate::feature::smoke::{Caller, Found, SMOKE_ORIGIN, SMOKE_TOKEN, Smoke, brief};

/// Step 1 of a client that has nothing, and step 2 of a room that has nothing.
const STEP_1: [u8; 4] = [0, 0, 1, 0];
const STEP_2: [u8; 5] = [0, 1, 2, 0, 0];

/// What is answered where no feature has a socket.
const NO_SOCKET: &str = "There is no socket at this path";

/// Enters a room of its own, is asked what it has, asks for everything, and gets an empty document.
pub(super) fn smoke(smoke: &mut Smoke<'_>) {
    smoke.step_if_there("room", enter);
}

fn enter(caller: &Caller) -> Result<Found, String> {
    let mut socket = match caller.open(&format!("/rooms/inkring-{}", caller.name()), "room") {
        // No proxy says it in these words.
        Err(why) if why.contains(NO_SOCKET) => {
            return Ok(Found::LeftOut("the server has no rooms (ROOMS_ENABLED=false)".to_owned()));
        }
        opened => opened?,
    };
    socket.send_binary(&STEP_1)?;
    let (mut asked, mut answered) = (false, false);
    while !(asked && answered) {
        let expected = "the first messages of an empty room";
        let frame = socket.binary(expected)?;
        match &frame[..] {
            [0, 0, ..] => asked = true,
            [0, 1, ..] if frame == STEP_2 => answered = true,
            // Awareness, and what keeps a connection alive.
            [1, ..] => {}
            // One byte says how long the reason is.
            [2, 0, _, reason @ ..] => return Err(refused(caller, &String::from_utf8_lossy(reason))),
            _ => return Err(format!("expected {expected}, got {}", brief(&format!("{frame:?}")))),
        }
    }
    socket.close();
    Ok(Found::There)
}

fn refused(caller: &Caller, reason: &str) -> String {
    let advice = match reason {
        _ if reason.starts_with("Origin not allowed") => {
            format!("; set {SMOKE_ORIGIN} or --origin to one of the server's WS_ALLOWED_ORIGINS")
        }
        _ if caller.trial().token.is_none() => {
            format!("; put a token that this server accepts into {SMOKE_TOKEN} or --token-file")
        }
        _ => String::new(),
    };
    format!("expected to enter a room, but was refused: {}{advice}", brief(reason))
}
