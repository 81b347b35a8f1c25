//! The bytes of the Yjs wire, as a client of a room writes and reads them.

/// The state vector of an empty document.
pub const EMPTY: &[u8] = &[0];
/// An awareness message of nobody.
pub const KEEP_ALIVE: &[u8] = &[1, 1, 0];

pub fn put_uint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes after their number.
pub fn buf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_uint(&mut out, bytes.len() as u64);
    out.extend_from_slice(bytes);
    out
}

/// A sync message: 0 step 1, 1 step 2, 2 update.
pub fn sync(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[0, kind][..], &buf(body)].concat()
}

/// The update by which a client adds text behind its own, which ends at this clock; at 0 it begins the text `t`.
pub fn typed(client: u64, clock: u64, text: &str) -> Vec<u8> {
    let mut out = vec![1, 1];
    put_uint(&mut out, client);
    put_uint(&mut out, clock);
    if clock == 0 {
        out.extend_from_slice(&[4, 1, 1, b't']);
    } else {
        out.push(0x84);
        put_uint(&mut out, client);
        put_uint(&mut out, clock - 1);
    }
    out.extend(buf(text.as_bytes()));
    out.push(0);
    out
}

/// An awareness message with one state.
pub fn present(client: u64, clock: u64, state: &str) -> Vec<u8> {
    let mut payload = vec![1];
    put_uint(&mut payload, client);
    put_uint(&mut payload, clock);
    payload.extend(buf(state.as_bytes()));
    [&[1][..], &buf(&payload)].concat()
}

/// What a sync message carries.
pub fn body(frame: &[u8]) -> &[u8] {
    let (mut length, mut at) = (0_usize, 2);
    for shift in 0.. {
        length |= usize::from(frame[at] & 0x7f) << (7 * shift);
        at += 1;
        if frame[at - 1] & 0x80 == 0 {
            break;
        }
    }
    assert_eq!(frame.len(), at + length, "one message in a frame");
    &frame[at..]
}

/// The number that the bytes begin with, taken from them; `None` when they end before it does.
pub fn take_uint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (&first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
